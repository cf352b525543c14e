"""What logits tell that stand for log-ratios, log p(real) - log p(sample): of held-out rows and of samples."""

import math

import torch
from torch import Tensor

RESAMPLED, INTERVAL = 1000, (0.025, 0.975)


def gain(real: Tensor, fake: Tensor) -> Tensor:
    """E_real[s] - log E_fake[exp s] over the last dimension of logits float ``[..., n]`` and ``[..., m]``.

    What the likelihood of real rows gains, in nats a row, where samples are weighted by exp(s): at most the divergence
    KL(real | fake) of the whole distributions (Donsker and Varadhan, 1983).
    """
    return real.mean(-1) - (fake.logsumexp(-1) - math.log(fake.shape[-1]))


def gains_drawn_again(real: Tensor, fake: Tensor, seed: int) -> Tensor:
    """The gain on ``RESAMPLED`` bootstraps of both sides, float64, by ``seed``."""
    generator = torch.Generator().manual_seed(seed)
    return gain(*(side[torch.randint(len(side), (RESAMPLED, len(side)), generator=generator)] for side in (real, fake)))


def interval(drawn_again: Tensor) -> tuple[float, float]:
    """Where 95 % of bootstraps lie."""
    low, high = drawn_again.quantile(torch.tensor(INTERVAL, dtype=torch.float64)).tolist()
    return low, high


def accuracy(real: Tensor, fake: Tensor) -> Tensor:
    """How often the sign of logits is right, both sides alike, and by half where there is none."""
    return (1 + (real.sign().mean() - fake.sign().mean()) / 2) / 2


def auc(real: Tensor, fake: Tensor) -> Tensor:
    """The share of pairs in which a real row has the greater logit, ties by half (Mann and Whitney, 1947)."""
    order = fake.sort().values
    below, up_to = (torch.searchsorted(order, real, right=right) for right in (False, True))
    return (below + up_to).double().mean() / (2 * len(fake))


def effective(fake: Tensor) -> float:
    """Of how many rows the mean of exp(s) is made, (sum of weights)^2 / sum of their squares (Kish, 1965)."""
    return math.exp(2 * fake.logsumexp(0).item() - (2 * fake).logsumexp(0).item())
