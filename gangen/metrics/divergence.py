"""The divergence frontier of two sets of features: how much of each the other lacks, in one figure."""

import torch
from torch import Tensor

from gangen.errors import UsageError
from gangen.metrics.distances import as_float64

SMALLEST = 2
MIXTURES = 1000
ITERATIONS = 100


def frontier_score(
    first: Tensor, second: Tensor, *, clusters: int | None = None, scale: float = 5.0, seed: int = 0
) -> float:
    """The score of ``frontier_area`` for ``[n, F]`` and ``[m, F]``: near 1 for one distribution, near 0 for disjoint.

    After Pillutla et al. (2021), written from the paper. All rows together are put into ``clusters`` cells by k-means
    (default: a tenth of the smaller set, 2 at least); each set's shares of the cells are smoothed by half a row in each
    cell (Krichevsky and Trofimov, 1981), without which cells that one set does not reach weigh too much. Features are
    taken as they are, neither projected nor normalised, so figures are not those of other programs. The score of two
    halves of one set falls with ``clusters`` and grows with n: figures compare at equal counts only.

    Takes O((n + m) clusters F) for each of at most 100 iterations. It is a function of its arguments.

    Raises:
        UsageError: a set has fewer rows than ``clusters``, or than 2, or features are not finite.
    """
    first, second = as_float64(first, least=SMALLEST), as_float64(second, least=SMALLEST)
    fewer = min(len(first), len(second))
    clusters = max(SMALLEST, fewer // 10) if clusters is None else clusters
    if not SMALLEST <= clusters <= fewer:
        raise UsageError(f"{clusters} clusters cannot be compared: there must be from {SMALLEST} to {fewer}")
    cells = k_means(torch.cat([first, second]), clusters, seed=seed)
    shares = [
        (torch.bincount(part, minlength=clusters) + 0.5) / (len(part) + 0.5 * clusters)
        for part in cells.split([len(first), len(second)])
    ]
    return frontier_area(*shares, scale=scale)


def frontier_area(first: Tensor, second: Tensor, *, scale: float = 5.0) -> float:
    """The area under the divergence curve of two distributions over cells, float ``[k]`` each, which add up to 1.

    With R = a P + (1 - a) Q the curve has the points (exp(-c KL(Q|R)), exp(-c KL(P|R))) for a between 0 and 1, and ends
    at (1, 0) and (0, 1); c is ``scale`` (Pillutla et al., 2021, where c is 5). The area is that of trapezoids
    at a = 1/1000, ..., 999/1000. It is 1 for equal distributions, c B(c + 1, c) for disjoint ones, B being the beta
    function (.004 at c = 5), and symmetric. Takes O(1000 k).
    """
    first, second = first.double(), second.double()
    weight = (torch.arange(1, MIXTURES, dtype=torch.float64) / MIXTURES)[:, None]
    mixture = weight * first + (1 - weight) * second
    x, y = (torch.exp(-scale * _divergence(part, mixture)) for part in (second, first))
    zero, one = x.new_zeros(1), x.new_ones(1)
    x, y = torch.cat([one, x, zero]), torch.cat([zero, y, one])
    return torch.trapezoid(y.flip(0), x.flip(0)).item()


def k_means(rows: Tensor, clusters: int, *, seed: int = 0) -> Tensor:
    """The cell, int64 ``[n]``, of each of float64 ``[n, F]``.

    Lloyd's algorithm from the start of k-means++ (Arthur and Vassilvitskii, 2007). It ends once no row
    changes its cell, or after 100 iterations. A cell that loses all rows keeps its centre.
    """
    centres = _spread(rows, clusters, torch.Generator().manual_seed(seed))
    cells = torch.full((len(rows),), -1, device=rows.device)
    for _ in range(ITERATIONS):
        before, cells = cells, torch.cdist(rows, centres).argmin(1)
        if torch.equal(before, cells):
            break
        counts = torch.bincount(cells, minlength=clusters)[:, None]
        sums = torch.zeros_like(centres).index_add_(0, cells, rows)
        centres = torch.where(counts > 0, sums / counts.clamp(min=1), centres)
    return cells


def _spread(rows: Tensor, clusters: int, generator: torch.Generator) -> Tensor:
    """First centres ``[clusters, F]``: rows, each drawn by its squared distance from the ones before."""
    weight = torch.ones(len(rows), dtype=rows.dtype)
    centres: list[Tensor] = []
    for _ in range(clusters):
        total = weight.cumsum(0)
        drawn = torch.rand(1, generator=generator, dtype=rows.dtype) * total[-1]
        centre = rows[torch.searchsorted(total, drawn, right=True).clamp(max=len(rows) - 1)]
        distance = (rows - centre).square().sum(1)
        weight = torch.minimum(weight, distance) if centres else distance
        centres.append(centre)
    return torch.cat(centres)


def _divergence(part: Tensor, mixture: Tensor) -> Tensor:
    """KL(part | mixture) in nats, ``[r]``, for ``[k]`` and ``[r, k]``."""
    return (torch.special.xlogy(part, part) - torch.special.xlogy(part, mixture)).sum(1)
