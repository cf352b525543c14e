"""Likelihood of samples under another language model, which knows more than the one that wrote them."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Protocol

import torch
import torch.nn.functional as F
from annotated_types import Ge
from torch import Tensor

from gangen import Batch, Figure, MetricContext, UsageError, load, once_a_run, open_pretrained, opening_pretrained
from gangen_text.data.tokenization import pretrained_tokenizer
from gangen_text.metrics.words import OfText, available
from gangen_text.spec import TextSpec

WHO = "metric text/generative_nll"
ROWS_AT_ONCE = 64
# Longer texts are cut.
MAX_LENGTH = 1024


class Scorer(Protocol):
    """A language model that says how likely texts are."""

    def __call__(self, rows: Tensor, condition: Batch) -> tuple[Tensor, int]:
        """The sum of the nats of texts, int64 ``[n, length]`` by condition, and how many tokens that is of."""
        ...


class GenerativeNLL(OfText):
    """``generative_nll``: of ``samples`` texts under another language model, in nats per token of that model's.

    It is the logarithm of generative perplexity. ``model`` is the folder of a run or model of gangen with the same
    tokens, such as a larger one of the same data, or a causal language model of transformers, a folder of
    ``save_pretrained`` with its tokenizer or a name on the hub. The former knows the label or prompt of a text, where
    it has learned with these, and its end is a token; the latter reads texts again with its own tokenizer, behind its
    start token, or its end token where it has none, up to 1,024 tokens or where it reads no more, without the end.

    Beside it stands that of as many held-out texts. Samples that repeat what is likely are below it, so that less is
    not better: look at text/reverse_nll, or at diversity, beside it. Figures compare under the same model alone.

    Raises:
        UsageError: the model cannot be opened, or has other tokens, or no likelihood.
    """

    def __init__(self, *, model: str, samples: Annotated[int, Ge(1)] = 1000) -> None:
        self.model = model
        self.samples = samples
        self._scorer: Scorer | None = None

    def check(self, context: MetricContext) -> None:
        """Open the model, before anything is trained."""
        super().check(context)
        self._open(context)

    def __call__(self, context: MetricContext) -> dict[str, Figure]:
        condition = context.conditions(self.samples)
        found = self._nll(context, context.samples(self.samples), condition)
        return {"generative_nll": Figure(found, self._real(context), "real")}

    @once_a_run
    def _real(self, context: MetricContext) -> float:
        n = available(heldout := context.data.heldout, self.samples)
        batch = heldout.batch(0, range(n), n, seed=context.seed, device="cpu")
        return self._nll(context, batch["tokens"], batch)

    def _nll(self, context: MetricContext, rows: Tensor, condition: Batch) -> float:
        scorer = self._open(context)
        nats, tokens = torch.zeros((), dtype=torch.float64), 0
        for start in range(0, len(rows), ROWS_AT_ONCE):
            part = slice(start, start + ROWS_AT_ONCE)
            batch = {name: column[part].to(context.device) for name, column in condition.items()}
            more, count = scorer(rows[part].to(context.device), batch)
            nats, tokens = nats + more.cpu(), tokens + count
        if not tokens:
            raise UsageError(f"{WHO}: there is no token in these texts for {self.model!r} to read")
        return nats.item() / tokens

    def _open(self, context: MetricContext) -> Scorer:
        if self._scorer is None:
            folder = Path(self.model).expanduser()
            own = folder.is_dir() and not (folder / "config.json").exists()
            self._scorer = OfGangen(self.model, context) if own else OfTransformers(self.model, context)
        return self._scorer

    def protocol(self, context: MetricContext) -> dict[str, object]:
        """How many texts were on each side, and which model read them."""
        held = available(context.data.heldout, self.samples)
        return {"samples": self.samples, "held-out rows": held, "model": self.model}


class OfGangen:
    """The generator of a model of gangen. Raises UsageError for other tokens than the data's, or without likelihood."""

    def __init__(self, folder: str, context: MetricContext) -> None:
        model = load(Path(folder).expanduser())
        self.net: Any = next((net for net in model.networks.values() if hasattr(net, "log_prob")), None)
        if self.net is None:
            raise UsageError(f"{WHO}: no network of {folder} has log_prob()")
        own, other = context.data.codec.spec, model.codec.spec
        if not isinstance(other, TextSpec) or vocabulary(other) != vocabulary(own):
            raise UsageError(f"{WHO}: {folder} has other tokens than these data; name one of the same data")
        if other != (own if other.labels else replace(own, labels=())):
            raise UsageError(f"{WHO}: {folder} reads texts of another length, or by other labels or prompts")
        self.net.to(context.device)
        self.mask = own.mask

    @torch.no_grad()
    def __call__(self, rows: Tensor, condition: Batch) -> tuple[Tensor, int]:
        """See Scorer."""
        return -self.net.log_prob(rows, condition).double().sum(), int(self.mask(rows).sum())


def vocabulary(spec: TextSpec) -> dict[str, int] | None:
    """The number of each token that texts are read with."""
    return spec.tokenizer and spec.tokenizer.get_vocab()


class OfTransformers:
    """A causal language model of transformers, by folder or name. Raises UsageError where it cannot be opened."""

    def __init__(self, model: str, context: MetricContext) -> None:
        self.net: Any = open_pretrained(model, WHO, auto="AutoModelForCausalLM", unread=None).float()
        with opening_pretrained(model, WHO):
            self.tokenizer = pretrained_tokenizer(model)
            starts = (self.tokenizer.bos_token_id, self.tokenizer.eos_token_id)
            if (start := next((it for it in starts if it is not None), None)) is None:
                raise ValueError("its tokenizer has neither a start nor an end token")
        self.start = start
        self.longest = min(MAX_LENGTH, getattr(self.net.config, "max_position_embeddings", MAX_LENGTH) - 1)
        self.texts = context.data.codec.decode
        self.net.to(context.device)

    @torch.no_grad()
    def __call__(self, rows: Tensor, condition: Batch) -> tuple[Tensor, int]:
        """See Scorer."""
        read = self.tokenizer(self.texts(rows), add_special_tokens=False)["input_ids"]
        longest = min(self.longest, max(map(len, read)))
        ids = torch.tensor([[self.start, *row[:longest], *[-1] * (longest - len(row))] for row in read])
        targets = ids[:, 1:].to(rows.device)
        # What stands behind a text is read by no token of it.
        logits = self.net(input_ids=ids.clamp(min=0).to(rows.device)).logits[:, :-1]
        nats = F.cross_entropy(logits.flatten(0, 1).double(), targets.flatten(), ignore_index=-1, reduction="sum")
        return nats, int((targets >= 0).sum())
