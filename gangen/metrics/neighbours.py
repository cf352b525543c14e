"""What nearest neighbours tell of two sets of features: who is near whom, and whether the two can be told apart.

Features are float tensors ``[n, F]`` of any device, compared by Euclidean distance on the CPU in float64. Distances are
sums of squared differences, never expanded into products, so that copies are at distance 0 and equals are equal.
A matrix of n x m distances takes O(n m F), and memory for 100 of its rows.
"""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from gangen.metrics.distances import CHUNK, as_float64

EXACT = "donot_use_mm_for_euclid_dist"


class Overlap(NamedTuple):
    """How samples and real data overlap."""

    precision: float
    """Share of samples in a ball of a real row (Kynkaanniemi et al., 2019)."""
    recall: float
    """Share of real rows in a ball of a sample (the same)."""
    density: float
    """Mean number of balls of real rows that a sample is in, by k (Naeem et al., 2020)."""
    coverage: float
    """Share of real rows that have a sample in their own ball (the same)."""


class TwoSample(NamedTuple):
    """How often the nearest neighbour tells to which of two sets a row belongs."""

    accuracy: float
    real: float
    """Accuracy on real rows: low where each of them has a sample for a neighbour."""
    fake: float
    """Accuracy on samples: high where they are nearest to one another, as copies of few are."""


def nearest_distances(rows: Tensor, others: Tensor | None = None, *, k: int = 1) -> Tensor:
    """Distance of each of ``[n, F]`` from its k-th nearest of ``[m, F]``, or of the other rows: float64 ``[n]``.

    A row is no neighbour of itself, but a copy of it is.

    Raises:
        UsageError: there are fewer than k to be near to, or features are not finite.
    """
    rows = as_float64(rows, least=1 if others is not None else k + 1)
    others = None if others is None else as_float64(others, least=k)
    return torch.cat([distances.kthvalue(k, dim=1).values for distances in _distances(rows, others)])


def overlap(real: Tensor, fake: Tensor, *, k: int = 5) -> Overlap:
    """Improved precision and recall, density and coverage of samples ``[m, F]`` for real rows ``[n, F]``.

    The ball of a row reaches to its k-th nearest of its own set, and its border belongs to it. The ball of an outlier
    is large, so that precision is lenient where real rows have some; density counts balls instead. For m = n samples of
    the real distribution density is 1 in expectation, and coverage about 1 - 1 / 2^k, which is .97 for k = 5.

    Raises:
        UsageError: a set has k rows or fewer, or features are not finite.
    """
    real, fake = as_float64(real, least=k + 1), as_float64(fake, least=k + 1)
    real_radius, fake_radius = nearest_distances(real, k=k), nearest_distances(fake, k=k)
    balls = torch.zeros(len(fake), dtype=torch.int64)
    recalled, covered = [], []
    for distances, radius in zip(_distances(real, fake), real_radius.split(CHUNK), strict=True):
        inside = distances <= radius[:, None]
        balls += inside.sum(0)
        covered.append(inside.any(1))
        recalled.append((distances <= fake_radius).any(1))
    return Overlap(
        precision=_share(balls > 0),
        recall=_share(torch.cat(recalled)),
        density=balls.double().mean().item() / k,
        coverage=_share(torch.cat(covered)),
    )


def nearest_neighbour_test(real: Tensor, fake: Tensor) -> TwoSample:
    """Leave-one-out accuracy of the classifier that asks the nearest neighbour (Lopez-Paz and Oquab, 2017).

    Looked at for real rows and samples apart, as by Xu et al. (2018). For sets of equal size and distribution each of
    the three is one half in expectation; above, the sets differ; far below, samples are copies of real rows. Where the
    nearest real row and the nearest sample are equally far, the answer is half right.

    Raises:
        UsageError: a set has fewer than 2 rows, or features are not finite.
    """
    right = []
    for own, other in ((real, fake), (fake, real)):
        own_distance, other_distance = nearest_distances(own), nearest_distances(own, other)
        right.append((own_distance < other_distance).double() + 0.5 * (own_distance == other_distance))
    return TwoSample(accuracy=_share(torch.cat(right)), real=_share(right[0]), fake=_share(right[1]))


def _distances(rows: Tensor, others: Tensor | None) -> Iterator[Tensor]:
    """Distances ``[c, m]`` of all rows from ``others``, chunk by chunk; without others, of each row from the rest."""
    for start in range(0, len(rows), CHUNK):
        chunk = rows[start : start + CHUNK]
        distances = torch.cdist(chunk, rows if others is None else others, compute_mode=EXACT)
        if others is None:
            distances[:, start:].fill_diagonal_(torch.inf)
        yield distances


def _share(hits: Tensor) -> float:
    return hits.double().mean().item()
