"""Independent normal distributions, as encoders give them of codes."""

from typing import NamedTuple, Self

from torch import Tensor

from gangen import noise

# Of log-variances: beyond, floats know no variance.
NARROWEST, WIDEST = -30.0, 20.0


class Gaussian(NamedTuple):
    """For each row N(``mean``, exp(``log_variance``)), float ``[n, ...]`` both, every number independent."""

    mean: Tensor
    log_variance: Tensor

    @classmethod
    def of(cls, numbers: Tensor) -> Self:
        """Of what a network says, float ``[n, 2 d, ...]``: the means, then the log-variances."""
        mean, log_variance = numbers.chunk(2, dim=1)
        return cls(mean, log_variance.clamp(NARROWEST, WIDEST))

    def sample(self) -> Tensor:
        """One draw of each row with gradient to both (the reparametrisation of Kingma and Welling, 2014)."""
        n, *shape = self.mean.shape
        drawn = noise.normal(n, *shape, device=self.mean.device, dtype=self.mean.dtype)
        return self.mean + (self.log_variance / 2).exp() * drawn

    def divergence(self) -> Tensor:
        """The Kullback-Leibler divergence of each row from N(0, 1), float ``[n]``, in nats: the paper's appendix B."""
        each = self.mean.square() + self.log_variance.exp() - 1 - self.log_variance
        return each.flatten(1).sum(1) / 2
