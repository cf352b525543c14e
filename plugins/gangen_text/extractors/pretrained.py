"""What text metrics see with, where a pretrained language model is at hand."""

from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from gangen import Data, UsageError, digest
from gangen_text.spec import TextSpec

BATCH_SIZE = 32
# Longer texts are cut.
MAX_LENGTH = 256
# What the library raises where it cannot open something.
OPENING = (OSError, ValueError, KeyError, TypeError, ImportError, RuntimeError)


class Transformers:
    """Last hidden states of any encoder or decoder that ``transformers.AutoModel`` opens, one vector a text.

    ``model`` is a folder of ``save_pretrained`` with its tokenizer, or a name on the hub; figures carry its last
    part and the pooling.
    ``pooling`` takes the mean of a text's tokens, as sentence encoders do, or the state of the ``last`` or ``first``:
    last for a model that reads from left to right, as MAUVE does (Pillutla et al., 2021), first for BERT's [CLS].
    Means hardly move when words change places, so a recipe needs another extractor beside one with ``pooling: mean``.

    Texts are read as a file would show them, up to 256 tokens, in float32. Weights are read from safetensors only, and
    no code that comes with a model is run.

    Raises:
        UsageError: the model cannot be opened.
    """

    def __init__(self, *, model: str, pooling: Literal["mean", "last", "first"] = "mean") -> None:
        self.model = model
        self.pooling = pooling
        self.name = f"{Path(model).name}_{pooling}"
        self.key = type(self), model, pooling
        self.blind_to = "the order of words" if pooling == "mean" else None
        self._net: torch.nn.Module | None = None

    def check(self, data: Data) -> None:
        """Open the model, before anything is trained; raises UsageError where that fails, or data are no text."""
        if not isinstance(data.codec.spec, TextSpec):
            raise UsageError("extractor text/transformers reads texts, which these data are not")
        self._open()

    def fit(self, data: Data, device: torch.device) -> None:
        """Move the model to ``device``; it learns nothing."""
        self._open()
        self._codec = data.codec
        self._net.to(device)

    @property
    def digest(self) -> str:
        """Of all weights and the way of pooling."""
        return digest({**self._net.state_dict(), f"pooling {self.pooling}": torch.zeros(0)})

    @torch.no_grad()
    def features(self, samples: Tensor) -> Tensor:
        """Float32 ``[n, hidden size]`` of rows int64 ``[n, length]``."""
        texts = self._codec.decode(samples)
        batches = [texts[start : start + BATCH_SIZE] for start in range(0, len(texts), BATCH_SIZE)]
        return torch.cat([self._pooled(batch) for batch in batches]).to(samples.device)

    def _pooled(self, texts: list[str]) -> Tensor:
        # An empty text may have no tokens at all: it is read as one padding token.
        texts = [text if text.strip() else self._tokenizer.pad_token for text in texts]
        read = self._tokenizer(texts, padding=True, truncation=True, max_length=self._longest, return_tensors="pt")
        ids, mask = (read[name].to(self._net.device) for name in ("input_ids", "attention_mask"))
        states = self._net(input_ids=ids, attention_mask=mask).last_hidden_state
        if self.pooling == "first":
            return states[:, 0]
        if self.pooling == "last":
            return states[torch.arange(len(states)), mask.sum(1) - 1]
        return (states * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)

    def _open(self) -> None:
        if self._net is not None:
            return
        from transformers import AutoTokenizer  # a second of imports that only this extractor pays

        who = "extractor text/transformers"
        net = open_pretrained(self.model, who)
        try:
            tokenizer = AutoTokenizer.from_pretrained(**_named(self.model))
        except OPENING as error:
            raise _refused(who, self.model, _first_line(error)) from None
        tokenizer.padding_side = "right"
        tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
        if tokenizer.pad_token is None:
            raise _refused(who, self.model, "its tokenizer has neither a padding nor an end token")
        limits = (MAX_LENGTH, tokenizer.model_max_length, getattr(net.config, "max_position_embeddings", MAX_LENGTH))
        self._longest, self._tokenizer = min(limits), tokenizer
        self._net = net.float().requires_grad_(False)


def open_pretrained(model: str, who: str) -> torch.nn.Module:
    """The network of a folder or a name on the hub, of an encoder and decoder the encoder, in evaluation mode.

    Weights are read from safetensors only, and no code that comes with a model is run.

    Raises:
        UsageError: the model cannot be opened, by ``who``.
    """
    from transformers import AutoModel

    try:
        # Weights that are not in the file, such as those of a head that nobody uses, are drawn at random.
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(0)
            net, report = AutoModel.from_pretrained(use_safetensors=True, output_loading_info=True, **_named(model))
    except OPENING as error:
        raise _refused(who, model, _first_line(error)) from None
    missing = sorted(key for key in report["missing_keys"] if "pooler" not in key)
    if missing:
        raise _refused(who, model, f"its weights lack {missing[0]}, among {len(missing)} in all")
    return (net.get_encoder() if net.config.is_encoder_decoder else net).eval()


def _named(model: str) -> dict[str, Any]:
    local = Path(model).expanduser()
    known = {"local_files_only": True} if local.exists() else {}
    return {"pretrained_model_name_or_path": str(local) if known else model, "trust_remote_code": False, **known}


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n")[0]


def _refused(who: str, model: str, reason: str) -> UsageError:
    return UsageError(
        f"{who} cannot open model {model!r}: {reason}\n"
        "name a folder that save_pretrained() of a model and its tokenizer wrote, or a model on the hub\nweights "
        "must be safetensors, as pickles (pytorch_model.bin) can run code: save such a model again to convert it"
    )
