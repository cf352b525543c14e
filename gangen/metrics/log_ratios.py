"""What logits tell that stand for log-ratios, log p(real) - log p(sample): of held-out rows and of samples."""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from gangen.components.registry import name_of
from gangen.contracts import Batch
from gangen.errors import UsageError
from gangen.losses import at_least_float32

RESAMPLED, INTERVAL = 1000, (0.025, 0.975)
# Rows that are judged in one go.
CHUNK = 250


class Rows(NamedTuple):
    """Rows as generators make them, ``[n, ...]``, and what each was made on."""

    rows: Tensor
    condition: Batch

    def take(self, which: Tensor | slice) -> "Rows":
        """Some of them."""
        return Rows(self.rows[which], {name: column[which] for name, column in self.condition.items()})

    def __len__(self) -> int:
        return len(self.rows)


def asked(discriminator: nn.Module, side: Rows) -> Tensor:
    """A logit for each row, float ``[n]``: the mean of its parts. Raises UsageError where rows are judged together."""
    logits = at_least_float32(discriminator(side.rows, side.condition))
    if len(logits) != len(side):
        raise UsageError(
            f"{name_of(discriminator)} gives {len(logits)} logits for {len(side)} rows, and a judge one for each"
        )
    return logits.flatten(1).mean(1) if logits.dim() > 1 else logits


def logits_of(discriminator: nn.Module, side: Rows) -> Tensor:
    """Those of all rows, float64 ``[n]`` on the CPU."""
    parts = [asked(discriminator, side.take(slice(at, at + CHUNK))) for at in range(0, len(side), CHUNK)]
    return torch.cat(parts).double().cpu()


def gain(real: Tensor, fake: Tensor, of_real: Tensor | None = None, of_fake: Tensor | None = None) -> Tensor:
    """E_real[s] - log E_fake[exp s], for logits float ``[n]`` and ``[m]``: what the likelihood of real rows gains, in
    nats a row, where samples are weighted by exp(s).

    It is at most the divergence KL(real | fake) of the whole distributions (Donsker and Varadhan, 1983). With groups
    from 0 on, int64 ``[n]`` and ``[m]``, samples of each are weighted among each other, and all groups have samples.
    """
    if of_real is None or of_fake is None:
        of_real, of_fake = _together(real), _together(fake)
    highest = fake.new_full((int(of_fake.max()) + 1,), -torch.inf).scatter_reduce(0, of_fake, fake, "amax")
    sums = torch.zeros_like(highest).index_add(0, of_fake, (fake - highest[of_fake]).exp())
    means = sums.log() + highest - of_fake.bincount().to(fake).log()
    return (real - means[of_real]).mean()


def gains_drawn_again(
    real: Tensor, fake: Tensor, seed: int, of_real: Tensor | None = None, of_fake: Tensor | None = None
) -> Tensor:
    """The gain on ``RESAMPLED`` bootstraps of both sides, samples within their groups, float64, by ``seed``."""
    if of_real is None or of_fake is None:
        of_real, of_fake = _together(real), _together(fake)
    generator = torch.Generator().manual_seed(seed)
    order = of_fake.argsort(stable=True)
    fake, of_fake = fake[order], of_fake[order]
    counts = of_fake.bincount()
    first, many = (counts.cumsum(0) - counts)[of_fake], counts[of_fake]
    gains = []
    for _ in range(RESAMPLED):
        drawn = torch.randint(len(real), (len(real),), generator=generator)
        places = first + (torch.rand(len(fake), generator=generator, dtype=torch.float64) * many).long()
        gains.append(gain(real[drawn], fake[places], of_real[drawn], of_fake))
    return torch.stack(gains)


def _together(logits: Tensor) -> Tensor:
    """One group of all."""
    return torch.zeros(len(logits), dtype=torch.int64)


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
