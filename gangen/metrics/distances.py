"""How far two sets of features are apart: moments of Gaussians, kernels, and transport along lines.

Features are float tensors ``[n, F]`` of any device; figures are floats, computed on the CPU in float64.
"""

import torch
from torch import Tensor
from torch.nn.functional import normalize

from gangen.errors import UsageError

Gaussian = tuple[Tensor, Tensor]

# Rows that are compared with all others in one go.
CHUNK = 100


def as_float64(features: Tensor, least: int) -> Tensor:
    """``[n, F]`` in float64 on the CPU.

    Raises:
        UsageError: n is below ``least``, or a feature is not finite.
    """
    if len(features) < least:
        raise UsageError(f"too few samples to compare: {len(features)}, where at least {least} are needed")
    features = features.detach().cpu().double()
    if not features.isfinite().all():
        raise UsageError("samples cannot be compared: their features have values that are nan or infinite")
    return features


def gaussian(features: Tensor) -> Gaussian:
    """Mean ``[F]`` and unbiased covariance ``[F, F]``, float64 on the CPU, of ``[n, F]`` with n of at least 2.

    Takes O(n F^2).

    Raises:
        UsageError: there are fewer than 2 rows, or features are not finite.
    """
    features = as_float64(features, least=2)
    return features.mean(0), torch.cov(features.T).reshape(features.shape[1], -1)


def frechet_distance(first: Gaussian, second: Gaussian) -> float:
    """|m1 - m2|^2 + tr(S1 + S2 - 2 (S1 S2)^(1/2)), Dowson and Landau (1982), for (mean, covariance) in float64.

    S1 S2 has the eigenvalues of the symmetric S1^(1/2) S2 S1^(1/2), whose roots are real and add up to the trace also
    where a covariance has not full rank. Takes O(F^3).

    Raises:
        UsageError: they have other numbers of features.
    """
    (mean1, covariance1), (mean2, covariance2) = first, second
    if mean1.shape != mean2.shape:
        raise UsageError(f"samples cannot be compared: they have {len(mean1)} and {len(mean2)} features")
    values, vectors = torch.linalg.eigh(covariance1)
    root = vectors * values.clamp(min=0).sqrt() @ vectors.T
    cross = torch.linalg.eigvalsh(root @ covariance2 @ root).clamp(min=0).sqrt().sum()
    distance = (mean1 - mean2).square().sum() + covariance1.trace() + covariance2.trace() - 2 * cross
    return distance.clamp(min=0).item()


def kernel_distance(first: Tensor, second: Tensor) -> float:
    """The squared maximum mean discrepancy of ``[n, F]`` and ``[m, F]`` under (x . y / F + 1)^3, without bias.

    This is the estimator of the kernel inception distance (Binkowski et al., 2018), on all pairs at once.
    The usual protocol is the mean of the same estimator over random subsets of 1,000: it has the same expectation and
    a larger variance. Being unbiased, it is around 0, and often below, for two sets of one distribution.

    Takes O((n + m)^2 F), and memory for 100 rows of pairs.

    Raises:
        UsageError: a set has fewer than 2 rows, or features are not finite.
    """
    first, second = as_float64(first, least=2), as_float64(second, least=2)
    n, m = len(first), len(second)
    within = _kernel_sum(first, first) - _kernel(first.square().sum(1), first.shape[1]).sum()
    beyond = _kernel_sum(second, second) - _kernel(second.square().sum(1), first.shape[1]).sum()
    across = _kernel_sum(first, second)
    return (within / (n * (n - 1)) + beyond / (m * (m - 1)) - 2 * across / (n * m)).item()


def gaussian_kernel_distance(first: Tensor, second: Tensor) -> float:
    """1,000 times the squared maximum mean discrepancy of ``[n, F]`` and ``[m, F]`` under exp(-|x - y|^2 / 200).

    This is the distance of CMMD (Jayasumana et al., 2024): bandwidth 10, rows brought to length 1, and all pairs, those
    of a row with itself included, so that it is never below 0 and falls as n grows.

    Takes O((n + m)^2 F), and memory for 100 rows of pairs.

    Raises:
        UsageError: a set has fewer than 2 rows, or features are not finite.
    """
    first, second = (normalize(as_float64(rows, least=2)) for rows in (first, second))

    def mean(rows: Tensor, others: Tensor) -> Tensor:
        squares = rows.square().sum(1), others.square().sum(1)
        parts = zip(rows.split(CHUNK), squares[0].split(CHUNK), strict=True)
        sums = [torch.exp((2 * part @ others.T - own[:, None] - squares[1]) / 200).sum() for part, own in parts]
        return torch.stack(sums).sum() / (len(rows) * len(others))

    return 1000 * (mean(first, first) + mean(second, second) - 2 * mean(first, second)).clamp(min=0).item()


def sliced_distance(first: Tensor, second: Tensor, *, directions: int = 1000, seed: int = 0) -> float:
    """3 F times the mean, over random directions, of the squared distance W2 of ``[n, F]`` and ``[m, F]`` along each.

    This is the Monge inception distance (MIND; Berthet et al., 2026) where features are Inception's. Along a line the
    cheapest transport takes the ranks of one side to those of the other, so that it is found by sorting; the paper
    has as many rows on both sides, and here rows are split where there are not. It falls as n and m grow. Directions
    are a function of ``seed`` and F. Takes O((n + m) (F + log(n + m)) directions).

    Raises:
        UsageError: a set has fewer than 2 rows, or features are not finite.
    """
    first, second = as_float64(first, least=2), as_float64(second, least=2)
    n, m, features = len(first), len(second), first.shape[1]
    generator = torch.Generator().manual_seed(seed)
    ways = normalize(torch.randn(directions, features, generator=generator, dtype=torch.float64))
    # Between two neighbouring cuts, counted in parts of a row, one row of each side meets one of the other.
    cuts = torch.cat([torch.arange(1, n + 1) * m, torch.arange(1, m + 1) * n]).unique()
    shares = cuts.diff(prepend=cuts.new_zeros(1)).double() / (n * m)
    ranks = (cuts - 1) // m, (cuts - 1) // n
    total = 0.0
    for some in ways.split(CHUNK):
        here, there = (some @ rows.T for rows in (first, second))
        gaps = here.sort(1).values[:, ranks[0]] - there.sort(1).values[:, ranks[1]]
        total += (gaps.square() @ shares).sum().item()
    return 3 * features * total / directions


def _kernel(products: Tensor, features: int) -> Tensor:
    return (products / features + 1) ** 3


def _kernel_sum(first: Tensor, second: Tensor) -> Tensor:
    """The kernel of all pairs, added up."""
    sums = (_kernel(rows @ second.T, first.shape[1]).sum() for rows in first.split(CHUNK))
    return sum(sums, start=first.new_zeros(()))
