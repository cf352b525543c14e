"""How likely and how varied the words are that were filled in."""

import math
from typing import Annotated

import torch.nn.functional as F
from annotated_types import Ge
from torch import Tensor

from gangen import Axis, Batch, Figure, MetricContext, Tradeoff, UsageError, once_a_run
from gangen_conditional.spec import HolesSpec
from gangen_text import KneserNey


class FillPerplexity:
    """``fill_perplexity``: of filled words under an n-gram model that no player has a part in.

    The model is ``gangen_text.KneserNey`` of that ``order`` and learns from one half of the held-out texts; samples
    fill the holes of the other. Which half a text is in follows from its tokens. The perplexity is the exponential of
    the mean negative log-likelihood in nats of the words in holes and of the one behind each, by which a fill that does
    not go with what follows is seen. Beside it stands that of the truth.

    Words that are likely everywhere have a low perplexity too, so look at ``fill_distinct`` beside it: different fills
    over all fills, with that of the truth. ``fill_words`` is the mean number of words (and marks) in a hole.

    ``samples`` is how many texts are filled, of which half count.

    Raises:
        UsageError: the data have no holes.
    """

    tradeoff = Tradeoff(Axis("fill_perplexity", "low"), Axis("fill_distinct", "high"))

    def __init__(self, *, samples: Annotated[int, Ge(1)] = 2000, order: Annotated[int, Ge(1)] = 3) -> None:
        self.samples = samples
        self.order = order

    def check(self, context: MetricContext) -> None:
        """Raises UsageError for data without holes."""
        if not isinstance(getattr(context.data.codec.spec, "input", None), HolesSpec):
            raise UsageError("metric conditional/fill_perplexity needs texts with holes, as conditional/masked has")

    def __call__(self, context: MetricContext) -> dict[str, Figure]:
        rows, (model, real) = self._rows(context), self._real(context)
        filled = self._measure(context, model, context.samples(self.samples).cpu(), rows)
        return {name: Figure(filled[name], real[name], "real") for name in filled}

    def protocol(self, context: MetricContext) -> dict[str, int]:
        """How many texts were filled and counted, and how many the model has learned from."""
        taught = int((~_asked(context.data.heldout.rows()["tokens"], _spec(context))).sum())
        counted = int(_asked(self._rows(context)["tokens"], _spec(context)).sum())
        return {"samples": counted, "held-out rows": taught}

    def _rows(self, context: MetricContext) -> Batch:
        """The held-out rows whose holes samples fill, in order."""
        n = self.samples
        return context.data.heldout.batch(0, range(n), n, seed=context.seed, device="cpu")

    @once_a_run
    def _real(self, context: MetricContext) -> tuple[KneserNey, dict[str, float]]:
        """The model of the one half, and the figures of the truth of the other."""
        tokens, spec = context.data.heldout.rows()["tokens"], _spec(context)
        taught = tokens[~_asked(tokens, spec)]
        model = KneserNey(_closed_up(taught, taught != spec.pad)[0], context.data.codec.spec, order=self.order)
        rows = self._rows(context)
        return model, self._measure(context, model, rows["tokens"], rows)

    def _measure(self, context: MetricContext, model: KneserNey, tokens: Tensor, rows: Batch) -> dict[str, float]:
        """Figures by name of ``tokens``, int64 ``[n, length]``, which fill the holes of ``rows``."""
        spec = _spec(context)
        asked = _asked(rows["tokens"], spec)
        tokens, holes = tokens[asked], spec.holes(rows["input"][asked])
        if not holes.any():
            raise UsageError("conditional/fill_perplexity: no text that counts has a hole; hold out more")
        texts, words = _closed_up(tokens, tokens != spec.pad, holes)
        scored = words | F.pad(words, (1, 0))[:, :-1]
        fills = tokens[holes].view(-1, spec.longest)
        return {
            "fill_perplexity": math.exp(-model.log_prob(texts)[scored].mean().item()),
            "fill_distinct": len(fills.unique(dim=0)) / len(fills),
            "fill_words": (fills != spec.pad).sum().item() / len(fills),
        }


def _spec(context: MetricContext) -> HolesSpec:
    return context.data.codec.spec.input


def _asked(tokens: Tensor, spec: HolesSpec) -> Tensor:
    """Which texts are in the half whose holes are filled, bool ``[n]``: copies of a text are in the same."""
    return (tokens * (tokens != spec.pad)).sum(1) % 2 == 1


def _closed_up(tokens: Tensor, kept: Tensor, holes: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Rows with the tokens to be ``kept`` in front, and where those of holes are then."""
    order = (~kept).long().argsort(dim=1, stable=True)
    marks = kept if holes is None else kept & holes
    return tokens.gather(1, order), marks.gather(1, order)
