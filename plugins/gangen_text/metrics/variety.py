"""How different texts are from one another."""

from collections.abc import Callable
from typing import Annotated, Any, ClassVar, Literal

import torch
from annotated_types import Ge
from torch import Tensor

from gangen import Figure, MetricContext, once_a_run
from gangen_text.metrics.words import OfText, available, real_rows
from gangen_text.spec import TextSpec


class Variety(OfText):
    """What figures have in common that say how different texts are from one another.

    Beside the figure ``name`` of n samples stands that of n held-out texts: n is ``samples``, or the number of
    held-out texts where they are fewer. Such figures change with n, so that they compare at the same n only.
    """

    name: str
    good: ClassVar[Literal["high", "real"]]
    measure: Callable[[Tensor, TextSpec], float]

    def __init__(self, *, samples: Annotated[int, Ge(1)] = 1000) -> None:
        self.samples = samples

    def __call__(self, context: MetricContext) -> dict[str, Figure]:
        found = self.measure(context.samples(self.count(context)), context.data.codec.spec)
        return {self.name: Figure(found, self._real(context), self.good)}

    @once_a_run
    def _real(self, context: MetricContext) -> float:
        data = context.data
        return self.measure(real_rows(context, data.heldout, self.count(context)), data.codec.spec)

    def count(self, context: MetricContext) -> int:
        """How many texts are on each side."""
        return available(context.data.heldout, self.samples)

    def protocol(self, context: MetricContext) -> dict[str, int]:
        """How many texts were looked at."""
        count = self.count(context)
        return {"samples": count, "held-out rows": count}


class NGramVariety(Variety):
    """What such figures have in common that look at runs of ``n`` tokens; their names end in ``_N``."""

    good: ClassVar = "real"

    def __init__(self, *, n: Annotated[int, Ge(1)] = 2, **options: Any) -> None:
        super().__init__(**options)
        self.n = n
        self.name = f"{self.name}_{n}"


class Distinct(NGramVariety):
    """``distinct_N`` (Li et al., 2016): distinct n-grams over all n-grams of samples; ends are no part of them.

    Good samples are near the figure of held-out texts (see ``Variety``): nonsense has more distinct n-grams. It falls
    with the number of samples.
    """

    name = "distinct"

    def measure(self, tokens: Tensor, spec: TextSpec) -> float:
        grams = ngrams(tokens, spec, self.n)
        return len(grams.unique(dim=0)) / max(len(grams), 1)


class Entropy(NGramVariety):
    """``entropy_N`` (Ent-n, Zhang et al., 2018): entropy in nats of the n-grams of samples; ends are no part of them.

    Unlike distinct-n it sees whether n-grams are used evenly, and not only which. Good samples are near the figure of
    held-out texts (see ``Variety``): nonsense has more. It rises with the number of samples, and with their length.
    """

    name = "entropy"

    def measure(self, tokens: Tensor, spec: TextSpec) -> float:
        grams = ngrams(tokens, spec, self.n)
        shares = grams.unique(dim=0, return_counts=True)[1].double() / max(len(grams), 1)
        return torch.special.entr(shares).sum().item()


class Unique(Variety):
    """``unique``: share of distinct texts among samples, beside that among held-out texts (see ``Variety``)."""

    name = "unique"
    good: ClassVar = "high"

    def measure(self, tokens: Tensor, spec: TextSpec) -> float:
        # Whatever stands behind the end is no part of a text.
        tokens = tokens.masked_fill(~spec.mask(tokens), -1)
        return len(tokens.unique(dim=0)) / len(tokens)


def ngrams(tokens: Tensor, spec: TextSpec, n: int) -> Tensor:
    """All runs of ``n`` text tokens, int64 ``[count, n]``, of rows int64 ``[batch, length]``."""
    if n > tokens.shape[1]:
        return tokens.new_empty(0, n)
    return tokens.unfold(1, n, 1)[spec.text(tokens).unfold(1, n, 1).all(-1)]
