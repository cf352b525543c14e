"""Pretrained language models of the package transformers, and how texts are read with one."""

from pathlib import Path
from typing import Literal

import torch
from safetensors import SafetensorError
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from gangen import UsageError
from gangen_text.data.tokenization import named, pretrained_tokenizer

Pooling = Literal["mean", "last", "first"]
# Longer texts are cut.
MAX_LENGTH = 256
# Texts of like length are read so many at a time: little of it is padding.
TOGETHER = 16
# What the library raises where it cannot open something.
OPENING = (OSError, ValueError, KeyError, TypeError, ImportError, RuntimeError, SafetensorError)


class Reader(nn.Module):
    """A vector for each text: last hidden states of an encoder or decoder, pooled.

    ``model`` is a folder of ``save_pretrained`` with its tokenizer, or a name on the hub. ``pooling`` takes the mean of
    a text's tokens, or the state of the ``last`` or ``first``. Texts are cut after ``max_length`` tokens, or where the
    model reads no more. Its dropout is off, in training too. ``who`` opens it, which errors say.

    Raises:
        UsageError: the model or its tokenizer cannot be opened.
    """

    def __init__(self, model: str, pooling: Pooling, who: str, max_length: int = MAX_LENGTH) -> None:
        super().__init__()
        self.net = open_pretrained(model, who).float()
        try:
            tokenizer = pretrained_tokenizer(model)
        except OPENING as error:
            raise _refused(who, model, _first_line(error)) from None
        tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
        if tokenizer.pad_token is None:
            raise _refused(who, model, "its tokenizer has neither a padding nor an end token")
        config = self.net.config
        limits = (max_length, tokenizer.model_max_length, getattr(config, "max_position_embeddings", max_length))
        self.longest, self.tokenizer = min(limits), tokenizer
        self.pooling = pooling
        self.dim: int = config.hidden_size

    def train(self, mode: bool = True) -> "Reader":
        """The model itself stays in evaluation mode."""
        super().train(mode)
        self.net.eval()
        return self

    def forward(self, texts: list[str]) -> Tensor:
        """Float ``[n, dim]`` of ``n`` texts; one that is empty is read as a padding token."""
        texts = [text if text.strip() else self.tokenizer.pad_token for text in texts]
        read = self.tokenizer(texts, truncation=True, max_length=self.longest)["input_ids"]
        order = torch.tensor([len(ids) for ids in read]).argsort(stable=True)
        groups = [[torch.tensor(read[row]) for row in rows] for rows in order.split(TOGETHER)]
        pooled = torch.cat([self._pooled(group) for group in groups])
        return pooled[order.argsort().to(pooled.device)]

    def _pooled(self, texts: list[Tensor]) -> Tensor:
        ids = pad_sequence(texts, batch_first=True, padding_value=self.tokenizer.pad_token_id).to(self.net.device)
        mask = pad_sequence([torch.ones_like(text) for text in texts], batch_first=True).to(self.net.device)
        states = self.net(input_ids=ids, attention_mask=mask).last_hidden_state
        if self.pooling == "first":
            return states[:, 0]
        if self.pooling == "last":
            return states[torch.arange(len(states)), mask.sum(1) - 1]
        return (states * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)


def open_pretrained(model: str, who: str) -> torch.nn.Module:
    """The network of a folder or a name on the hub, of an encoder and decoder the encoder, in evaluation mode.

    Weights are read from safetensors only, and no code that comes with a model is run.

    Raises:
        UsageError: the model cannot be opened, by ``who``.
    """
    from transformers import AutoModel  # a second of imports that only those pay who read with it

    local = Path(model).expanduser()
    if local.is_file():
        raise _refused(who, model, "it is a file")
    if not local.exists() and (local.is_absolute() or model.startswith(".") or model.count("/") > 1):
        raise _refused(who, model, "there is no such folder")
    try:
        # Weights that are not in the file, such as those of a head that nobody uses, are drawn at random.
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(0)
            net, report = AutoModel.from_pretrained(use_safetensors=True, output_loading_info=True, **named(model))
    except OPENING as error:
        raise _refused(who, model, _first_line(error)) from None
    if net.main_input_name != "input_ids" or not hasattr(net.config, "hidden_size"):
        raise _refused(who, model, "it is no model of text alone")
    missing = sorted(key for key in report["missing_keys"] if "pooler" not in key)
    if missing:
        raise _refused(who, model, f"its weights lack {missing[0]}, among {len(missing)} in all")
    return (net.get_encoder() if net.config.is_encoder_decoder else net).eval()


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n")[0]


def _refused(who: str, model: str, reason: str) -> UsageError:
    return UsageError(
        f"{who} cannot open model {model!r}: {reason}\n"
        "name a folder that save_pretrained() of a model and its tokenizer wrote, or a model on the hub\nweights "
        "must be safetensors, as pickles (pytorch_model.bin) can run code: save such a model again to convert it"
    )
