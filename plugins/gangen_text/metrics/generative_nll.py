"""Likelihood of samples under another language model, which knows more than the one that wrote them."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Protocol

import torch
import torch.nn.functional as F
from annotated_types import Ge, MinLen
from torch import Tensor

from gangen import (
    Batch,
    Data,
    Figure,
    MetricContext,
    RunError,
    UsageError,
    digest,
    load,
    once_a_run,
    open_pretrained,
    opening_pretrained,
)
from gangen_text.data.tokenization import pretrained_tokenizer
from gangen_text.metrics.words import OfText, available
from gangen_text.networks.language_model import looks_ahead
from gangen_text.spec import TextSpec

WHO = "metric text/generative_nll"
# Texts that are read at once, and logits, which are as many as texts times tokens times the vocabulary.
ROWS_AT_ONCE, LOGITS_AT_ONCE = 64, 2**25
# Longer texts are cut.
MAX_LENGTH = 1024


class Scorer(Protocol):
    """A language model that says how likely texts are."""

    net: Any

    def __call__(self, rows: Tensor, condition: Batch) -> tuple[Tensor, int]:
        """The sum of the nats of texts, int64 ``[n, length]`` by condition, and how many tokens that is of."""
        ...


class GenerativeNLL(OfText):
    """``generative_nll_NAME``: of ``samples`` texts under another language model, in nats per token of that model.

    Its exponential is the generative perplexity. ``model`` is a language model, which NAME is the last part of:

    - the folder of a run or model of gangen with the same tokens, such as a larger one of the same data. It is asked
      for each text by its label or prompt, if it has learned with those, and for its end. One that needs code of its
      own is refused.
    - a causal language model of transformers, a folder of ``save_pretrained`` with its tokenizer or a name on the hub.
      It reads texts again with its own tokenizer, without prompts, behind its start token, or its end token where it
      has none. It is not asked for the end, and reads up to 1,024 tokens, or as many as it can.

    Beside it stands that of as many held-out texts. Samples that repeat what is likely are below it, so that less is
    not better: look at text/reverse_nll, or at diversity, beside it. Figures compare under the same model alone, whose
    digest the evaluation has. It stays in memory during a run.

    Raises:
        UsageError: the model cannot be opened, is not causal, has other tokens, or no likelihood.
    """

    def __init__(self, *, model: Annotated[str, MinLen(1)], samples: Annotated[int, Ge(1)] = 1000) -> None:
        self.model = model
        self.samples = samples
        parts = [part for part in Path(model).parts if part != "model"] or [model]
        self.figure = f"generative_nll_{parts[-1]}"
        self._opened: tuple[Data, Scorer] | None = None

    def check(self, context: MetricContext) -> None:
        """Open the model, before anything is trained."""
        super().check(context)
        self._open(context)

    def __call__(self, context: MetricContext) -> dict[str, Figure]:
        condition = context.conditions(self.samples)
        found = self._nll(context, context.samples(self.samples), condition)
        return {self.figure: Figure(found, self._real(context), "real")}

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
        if self._opened is None or self._opened[0] is not context.data:
            folder = Path(self.model).expanduser()
            own = folder.is_dir() and not (folder / "config.json").exists()
            self._opened = context.data, (OfGangen if own else OfTransformers)(self.model, context)
        return self._opened[1]

    def protocol(self, context: MetricContext) -> dict[str, object]:
        """How many texts were on each side, and which model read them."""
        counts = {"samples": self.samples, "held-out rows": available(context.data.heldout, self.samples)}
        return counts | {"model": self.model, "digest": digest(self._open(context).net.state_dict())}


class OfGangen:
    """The generator of a model of gangen. Raises UsageError for other tokens than the data's, or without likelihood."""

    def __init__(self, folder: str, context: MetricContext) -> None:
        try:
            model = load(Path(folder).expanduser())
        except (RunError, UsageError) as error:  # what they say to do is about gangen sample
            raise UsageError(f"{WHO} cannot open {folder}: {str(error).splitlines()[0]}") from None
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
    """A causal language model of transformers. Raises UsageError where it cannot be opened, or read these texts."""

    def __init__(self, model: str, context: MetricContext) -> None:
        self.net: Any = open_pretrained(model, WHO, auto="AutoModelForCausalLM", unread=None).float()
        with opening_pretrained(model, WHO):
            self.tokenizer = pretrained_tokenizer(model)
            starts = (self.tokenizer.bos_token_id, self.tokenizer.eos_token_id)
            if (start := next((it for it in starts if it is not None), None)) is None:
                raise ValueError("its tokenizer has neither a start nor an end token")
            self.vocabulary = self.net.get_input_embeddings().num_embeddings
            if (most := max(self.tokenizer.get_vocab().values())) >= self.vocabulary:
                raise ValueError(f"its tokenizer has tokens up to {most:,}, and its network knows {self.vocabulary:,}")
            if looks_ahead(self.net.base_model, start):
                raise ValueError("it reads texts in both directions, so it is no causal model")
        self.start = start
        room = getattr(self.net.config, "max_position_embeddings", MAX_LENGTH + 1) - 1
        self.longest = min(MAX_LENGTH, room if room > 0 else MAX_LENGTH)
        self.tokenizer.model_max_length = self.longest
        self.texts = context.data.codec.decode
        self.net.to(context.device)

    @torch.no_grad()
    def __call__(self, rows: Tensor, condition: Batch) -> tuple[Tensor, int]:
        """See Scorer."""
        read = self.tokenizer(self.texts(rows), add_special_tokens=False, truncation=True)["input_ids"]
        longest = max(map(len, read))
        ids = torch.tensor([[self.start, *row, *[-1] * (longest - len(row))] for row in read], device=rows.device)
        nats = [self._nats(some) for some in ids.split(max(1, LOGITS_AT_ONCE // ((longest + 1) * self.vocabulary)))]
        return torch.stack(nats).sum(), sum(map(len, read))

    def _nats(self, ids: Tensor) -> Tensor:
        # What stands behind a text is read by no token of it.
        logits = self.net(input_ids=ids.clamp(min=0)).logits[:, :-1]
        targets = ids[:, 1:].flatten()
        return F.cross_entropy(logits.flatten(0, 1), targets, ignore_index=-1, reduction="none").double().sum()
