"""Vector quantisation: vectors become the nearest of a few, the codes (van den Oord et al., 2017)."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from gangen import all_gather, all_sum, noise

# Rows of a codebook that fewer vectors than this choose, on average over batches, begin anew.
UNUSED = 0.1


class Quantized(NamedTuple):
    """Vectors as the nearest code: ``latent`` float ``[n, dim, side, side]``; ``index`` int64 ``[n, places]``.

    ``latent`` has the gradient of the ``vectors`` before, float ``[n, places, dim]``, as if nothing had happened to
    them (straight through). ``cost`` is what training pays for, a scalar.
    """

    latent: Tensor
    index: Tensor
    vectors: Tensor
    cost: Tensor

    @property
    def mean(self) -> Tensor:
        return self.latent

    def sample(self) -> Tensor:
        return self.latent


class Codebook(nn.Module):
    """``codes`` vectors of ``dim`` numbers; what is quantised pays ``commitment |z - e|^2`` to stay near its code e.

    With a ``decay`` codes are moving averages of the vectors that chose them (appendix A.1 of the paper), of all
    processes; those that nearly nobody chooses begin anew at vectors of the batch (Dhariwal et al., 2020, section 3.1).
    Without one they learn by the gradient of ``|z - e|^2`` (equation 3). What averages remember are buffers, equal on
    all processes.
    """

    def __init__(self, codes: int, dim: int, *, commitment: float, decay: float | None) -> None:
        super().__init__()
        self.commitment = commitment
        self.decay = decay
        first = torch.empty(codes, dim).uniform_(-1, 1)
        if decay is None:
            self.embedding = nn.Parameter(first)
        else:
            self.register_buffer("embedding", first)
            self.register_buffer("count", torch.zeros(codes))
            self.register_buffer("total", torch.zeros(codes, dim))

    def forward(self, grid: Tensor) -> Quantized:
        """Of vectors float ``[n, dim, side, side]``."""
        vectors = grid.flatten(2).mT.to(self.embedding.dtype)  # not in half precision, which is too coarse
        index = torch.cdist(vectors.detach(), self.embedding.detach()[None]).argmin(2)
        chosen = self.embedding[index]
        cost = self.commitment * (vectors - chosen.detach()).square().mean()
        if self.decay is None:
            cost = cost + (vectors.detach() - chosen).square().mean()
        latent = grid + (chosen.detach().mT.reshape(grid.shape) - grid).detach()
        return Quantized(latent, index, vectors, cost)

    @torch.no_grad()
    def follow(self, found: Quantized) -> None:
        """Let moving averages take in the vectors of a batch, whose part on this process is ``found``."""
        if self.decay is None:
            return
        vectors = found.vectors.detach()
        chosen = nn.functional.one_hot(found.index.flatten(), len(self.embedding)).to(vectors)
        with torch.autocast(vectors.device.type, enabled=False):
            count, total = all_sum(chosen.sum(0)), all_sum(chosen.T @ vectors.flatten(0, 1))
        self.count.lerp_(count, 1 - self.decay)
        self.total.lerp_(total, 1 - self.decay)
        used = self.count > 0
        self.embedding[used] = self.total[used] / self.count[used, None]
        # One vector of each row, wherever it is, in an order that all processes agree on.
        n, places, _ = vectors.shape
        place = (noise.uniform(n, device=vectors.device, dtype=vectors.dtype) * places).long()
        order = all_gather(noise.uniform(n, device=vectors.device, dtype=vectors.dtype)).flatten().argsort()
        offered = all_gather(vectors[torch.arange(n, device=place.device), place]).flatten(0, 1)[order]
        unused = (self.count < UNUSED).nonzero().flatten()[: len(offered)]
        self.embedding[unused] = offered[: len(unused)]
        self.count[unused] = 1.0
        self.total[unused] = offered[: len(unused)]

    @torch.no_grad()
    def perplexity(self, found: Quantized) -> Tensor:
        """As how many codes, equally often chosen, the batch of all processes uses: exp of the entropy, a scalar."""
        share = all_sum(found.index.flatten().bincount(minlength=len(self.embedding)).double())
        share = share / share.sum()
        return torch.special.entr(share).sum().exp()
