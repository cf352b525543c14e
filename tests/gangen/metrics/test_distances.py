"""Distances of features against loops written out by hand, closed forms and torchmetrics."""

import math

import numpy as np
import pytest
import torch

from gangen.errors import UsageError
from gangen.metrics.distances import (
    frechet_distance,
    gaussian,
    gaussian_kernel_distance,
    kernel_distance,
    sliced_distance,
)


def normal(rows, columns, seed=0, shift=0.0):
    return shift + torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed))


def factor(rows, columns, seed=0):
    """A matrix A for a covariance A A^T."""
    return normal(rows, columns, seed).double()


def by_general_root(first, second):
    """The same distance through the eigenvalues of S1 S2 itself, which is not symmetric."""
    (mean1, s1), (mean2, s2) = first, second
    values = torch.linalg.eig((s1 @ s2).to(torch.complex128)).eigenvalues
    return ((mean1 - mean2) ** 2).sum() + (s1 + s2).trace() - 2 * values.sqrt().sum().real


def naive_kernel_distance(first, second):
    """Unbiased MMD^2, pair by pair."""

    def kernel(a, b):
        return (sum(float(x) * float(y) for x, y in zip(a, b, strict=True)) / len(a) + 1) ** 3

    def within(rows):
        values = [kernel(a, b) for i, a in enumerate(rows) for j, b in enumerate(rows) if i != j]
        return math.fsum(values) / len(values)

    first, second = first.tolist(), second.tolist()
    across = [kernel(a, b) for a in first for b in second]
    return within(first) + within(second) - 2 * math.fsum(across) / len(across)


def test_frechet_distance_of_independent_features_is_that_of_their_deviations():
    mean1, mean2 = torch.tensor([[1.0, -2.0, 0.5], [0.0, 1.0, 0.5]]).double()
    sd1, sd2 = torch.tensor([[1.0, 2.0, 0.0], [0.5, 2.0, 3.0]]).double()
    expected = ((mean1 - mean2) ** 2).sum() + ((sd1 - sd2) ** 2).sum()
    found = frechet_distance((mean1, torch.diag(sd1**2)), (mean2, torch.diag(sd2**2)))
    assert found == pytest.approx(expected.item(), abs=1e-9)


def test_frechet_distance_of_any_gaussians():
    a, b = factor(12, 20), factor(12, 20, seed=1)
    first = torch.linspace(-1, 1, 12).double(), a @ a.T
    second = torch.linspace(2, 0, 12).double(), b @ b.T
    found = frechet_distance(first, second)
    assert found == pytest.approx(by_general_root(first, second).item(), abs=1e-9)
    assert found == pytest.approx(frechet_distance(second, first), abs=1e-9)
    assert frechet_distance(first, first) == pytest.approx(0, abs=1e-9)


def test_frechet_distance_where_covariances_have_not_full_rank():
    a, b = factor(12, 4), factor(12, 2, seed=1)
    mean = torch.zeros(12).double()
    expected = (a @ a.T + b @ b.T).trace() - 2 * torch.linalg.matrix_norm(a.T @ b, "nuc")
    assert frechet_distance((mean, a @ a.T), (mean, b @ b.T)) == pytest.approx(expected.item(), abs=1e-5)


def test_frechet_distance_is_that_of_torchmetrics():
    reference = pytest.importorskip("torchmetrics.image.fid")._compute_fid
    first, second = gaussian(normal(300, 16)), gaussian(normal(200, 16, seed=1, shift=0.3) * 1.5)
    assert frechet_distance(first, second) == pytest.approx(reference(*first, *second).item(), abs=1e-6)


def test_a_gaussian_is_fitted_in_double_precision():
    features = 1000 + torch.rand(50, 3, generator=torch.Generator().manual_seed(0))
    mean, covariance = gaussian(features)
    assert mean.numpy() == pytest.approx(features.double().numpy().mean(0), rel=1e-12)
    assert covariance.numpy() == pytest.approx(np.cov(features.double().numpy().T), rel=1e-9)
    assert gaussian(features[:, :1])[1].shape == (1, 1)


@pytest.mark.parametrize(("n", "m", "columns"), [(2, 2, 1), (9, 14, 3), (20, 6, 5)])
def test_kernel_distance_is_that_of_all_pairs(n, m, columns):
    first, second = normal(n, columns), normal(m, columns, seed=1, shift=0.4)
    assert kernel_distance(first, second) == pytest.approx(naive_kernel_distance(first, second), rel=1e-9, abs=1e-9)


def test_kernel_distance_is_the_same_in_several_chunks():
    first, second = normal(1103, 4), normal(702, 4, seed=1, shift=0.2)

    def total(a, b):
        return (a.double().numpy() @ b.double().numpy().T / 4 + 1) ** 3

    expected = (total(first, first).sum() - total(first, first).trace()) / (1103 * 1102)
    expected += (total(second, second).sum() - total(second, second).trace()) / (702 * 701)
    expected -= 2 * total(first, second).mean()
    assert kernel_distance(first, second) == pytest.approx(expected, abs=1e-9)


def test_kernel_distance_is_that_of_torchmetrics():
    reference = pytest.importorskip("torchmetrics.image.kid").poly_mmd
    first, second = normal(100, 16).double(), normal(100, 16, seed=1, shift=0.3).double()
    assert kernel_distance(first, second) == pytest.approx(reference(first, second).item(), abs=1e-6)


def test_kernel_distance_has_no_bias():
    """Of 200 pairs of small sets of one distribution the mean is 0 within four standard errors."""
    found = torch.tensor([kernel_distance(normal(12, 2, seed), normal(12, 2, seed + 1000)) for seed in range(200)])
    assert found.min() < 0 < found.max()
    assert abs(found.mean()) < 4 * found.std() / math.sqrt(200)


@pytest.mark.parametrize(("n", "m", "columns"), [(2, 2, 1), (9, 14, 3), (120, 205, 5)])
def test_gaussian_kernel_distance_is_that_of_all_pairs_of_unit_vectors(n, m, columns):
    first, second = normal(n, columns).double().numpy(), normal(m, columns, seed=1, shift=0.4).double().numpy()
    unit = [rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (first, second)]

    def mean(a, b):
        return np.exp(-((a[:, None] - b[None]) ** 2).sum(2) / (2 * 10**2)).mean()

    expected = 1000 * (mean(unit[0], unit[0]) + mean(unit[1], unit[1]) - 2 * mean(*unit))
    found = gaussian_kernel_distance(torch.from_numpy(first), torch.from_numpy(second) * 7)  # whatever the length
    assert found == pytest.approx(expected, abs=1e-9)


def test_gaussian_kernel_distance_of_opposite_vectors():
    rows = torch.tensor([[3.0, 0.0], [3.0, 0.0]])
    assert gaussian_kernel_distance(rows, -rows) == pytest.approx(2000 * (1 - math.exp(-4 / 200)), rel=1e-12)


@pytest.mark.parametrize(("n", "m"), [(2, 2), (7, 7), (6, 4), (3, 8)])
def test_along_each_line_the_sliced_distance_is_that_of_the_cheapest_transport(n, m):
    """As an assignment of copies of rows, n of each of m and m of each of n."""
    from scipy.optimize import linear_sum_assignment

    first, second = normal(n, 3).double(), normal(m, 3, seed=1, shift=0.4).double()
    ways = torch.randn(5, 3, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    along = []
    for way in ways / ways.norm(dim=1, keepdim=True):
        a, b = (first @ way).repeat_interleave(m), (second @ way).repeat_interleave(n)
        cost = ((a[:, None] - b[None]) ** 2).numpy()
        along.append(cost[linear_sum_assignment(cost)].mean())
    found = sliced_distance(first, second, directions=5, seed=2)
    assert found == pytest.approx(3 * 3 * float(np.mean(along)), rel=1e-12)


def test_the_sliced_distance_of_a_shift_is_three_times_its_square():
    rows, shift = normal(50, 4), torch.tensor([1.0, 0.0, -2.0, 0.5])
    assert sliced_distance(rows, rows + shift, directions=20_000) == pytest.approx(3 * 5.25, rel=0.02)
    assert sliced_distance(rows, rows[torch.randperm(50)]) == pytest.approx(0, abs=1e-12)


def test_the_sliced_distance_sees_what_two_moments_do_not():
    normals, others = normal(2000, 2).double(), normal(2000, 2, seed=2)
    signs = normal(2000, 2, seed=1).double().sign()
    alike = (signs - signs.mean(0)) / signs.std(0) * normals.std(0) + normals.mean(0)
    assert frechet_distance(gaussian(normals), gaussian(alike)) < 0.01
    seen, chance = (sliced_distance(normals, rows, directions=50) for rows in (alike, others))
    assert seen > 0.3 > 0.06 > chance


MEASURES = [
    kernel_distance,
    gaussian_kernel_distance,
    sliced_distance,
    lambda a, b: frechet_distance(gaussian(a), gaussian(b)),
]


@pytest.mark.parametrize("measure", MEASURES)
def test_what_cannot_be_compared_is_refused(measure):
    with pytest.raises(UsageError, match="too few samples to compare: 1, where at least 2 are needed"):
        measure(normal(8, 3), normal(1, 3))
    for broken in (torch.nan, torch.inf):
        with pytest.raises(UsageError, match="nan or infinite"):
            measure(torch.full((8, 3), broken), normal(8, 3))
