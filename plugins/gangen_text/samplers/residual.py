"""A language model corrected by its discriminator: one of several texts is chosen."""

from typing import Annotated, Any, ClassVar

import torch
from annotated_types import Interval
from torch import Tensor

from gangen import Batch, ChoosingSampler, Players, noise

Candidates = Annotated[int, Interval(ge=1, le=10_000)]

# So many texts, or as many as are asked for, are drawn and judged at once.
AT_ONCE = 512


class Residual(ChoosingSampler):
    """The residual energy-based model of Deng et al. (2020), p(x) ~ p_LM(x) exp(s(x)).

    p_LM is the generator with its settings of sampling, and s the logit of the discriminator. Of so many
    ``candidates``, drawn from p_LM, one is chosen with probability softmax(s): importance resampling, exact as their
    number grows. With 1 the generator's own samples come out. ``candidates`` is a setting of sampling too.

    s corrects the generator that it was taught on: play a last phase that teaches the discriminator alone, without a
    moving average of the generator.
    """

    plain: ClassVar = {"candidates": 1}

    def __init__(self, players: Players, *, candidates: Candidates = 16) -> None:
        super().__init__(players)
        self.candidates = candidates

    def sample(
        self, n: int, condition: Batch | None = None, *, candidates: Candidates | None = None, **settings: Any
    ) -> Tensor:
        """``n`` rows as the generator makes them.

        ``candidates`` are drawn for each, null for as many as the recipe says.
        """
        count = self.candidates if candidates is None else candidates
        if count == 1:
            return self.generator.sample(n, condition, **settings)
        seeds, at_once = noise.seeds(n), max(1, AT_ONCE // n)
        highest = torch.full((n,), -torch.inf, dtype=torch.float64)
        chosen: Tensor | None = None
        for start in range(0, count, at_once):
            numbers = range(start, min(start + at_once, count))
            rows = [row for row in range(n) for _ in numbers]
            each = [(seed, number) for seed in seeds for number in numbers]
            texts, logits, uniforms = self.propose(rows, each, condition, settings)
            # With Gumbel noise the highest is a draw from the softmax, and only the best so far needs to be kept.
            scores, places = (logits - (-uniforms.log()).log()).view(n, -1).max(1)
            texts = texts.unflatten(0, (n, -1))[torch.arange(n), places.to(texts.device)]
            better = (scores > highest).to(texts.device)
            chosen = texts.clone() if chosen is None else chosen
            chosen[better] = texts[better]
            highest = highest.maximum(scores)
        return chosen
