"""How well samples cover data whose modes are known."""

from typing import Annotated

import torch
from annotated_types import Ge, Gt
from torch import Tensor

from gangen.errors import UsageError
from gangen.evaluation import Evaluation


class Modes:
    """Modes found, share of good samples, evenness; for data with ``modes`` float ``[K, 2]`` and deviation ``sd``.

    A sample is good within ``radius`` deviations of its nearest mode (Dumoulin et al. 2017; real points are good with
    probability 1 - exp(-radius^2 / 2), 0.989 at 3). A mode is found once one of ``samples`` samples is good for it.
    ``kl`` is KL(p || uniform) in nats, p being the shares of the modes in the good samples; log K where none is good.

    Raises:
        UsageError: the data have no known modes.
    """

    def __init__(self, *, samples: Annotated[int, Ge(1)] = 10_000, radius: Annotated[float, Gt(0)] = 3.0) -> None:
        self.samples = samples
        self.radius = radius

    def check(self, evaluation: Evaluation) -> None:
        if getattr(evaluation.data, "modes", None) is None:
            raise UsageError("metric image/modes needs data with known modes, as image/points has; take it out")

    def __call__(self, evaluation: Evaluation) -> dict[str, float]:
        modes, samples = evaluation.data.modes, evaluation.samples(self.samples)
        counts = good_per_mode(samples, modes.to(samples), self.radius * evaluation.data.sd)
        share = counts / counts.sum().clamp(min=1)
        kl = torch.special.xlogy(share, share * len(modes)).sum() if counts.any() else torch.tensor(len(modes)).log()
        return {
            "modes": int((counts > 0).sum()),
            "good": counts.sum().item() / self.samples,
            "kl": kl.item(),
        }


def good_per_mode(samples: Tensor, modes: Tensor, reach: float) -> Tensor:
    """How many of ``[n, d]`` have each of ``modes`` ``[K, d]`` nearest, and within ``reach``: float64 ``[K]``."""
    distance, nearest = torch.cdist(samples, modes).min(dim=1)
    return torch.bincount(nearest[distance <= reach], minlength=len(modes)).double()
