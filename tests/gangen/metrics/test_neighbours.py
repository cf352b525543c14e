"""What nearest neighbours tell, against double loops written out by hand and against known answers."""

import math

import pytest
import torch

from gangen.errors import UsageError
from gangen.metrics.neighbours import nearest_distances, nearest_neighbour_test, overlap


def normal(rows, columns, seed=0, shift=0.0):
    return shift + torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed)).double()


def naive_radii(rows, k):
    return [sorted(math.dist(a, b) for j, b in enumerate(rows) if j != i)[k - 1] for i, a in enumerate(rows)]


def naive_overlap(real, fake, k):
    """Precision, recall, density, coverage as sums over all pairs."""
    real, fake = real.tolist(), fake.tolist()
    real_radii, fake_radii = naive_radii(real, k), naive_radii(fake, k)
    inside = [[math.dist(r, f) <= radius for r, radius in zip(real, real_radii, strict=True)] for f in fake]
    precision = sum(any(row) for row in inside) / len(fake)
    recall = sum(any(math.dist(r, f) <= radius for f, radius in zip(fake, fake_radii, strict=True)) for r in real)
    density = sum(sum(row) for row in inside) / (k * len(fake))
    coverage = sum(any(row[i] for row in inside) for i in range(len(real)))
    return precision, recall / len(real), density, coverage / len(real)


def naive_test(real, fake):
    pool = [(row, 0) for row in real.tolist()] + [(row, 1) for row in fake.tolist()]
    right = {0: [], 1: []}
    for i, (row, side) in enumerate(pool):
        nearest = min((math.dist(row, other), of) for j, (other, of) in enumerate(pool) if j != i)
        right[side].append(nearest[1] == side)
    shares = [sum(right[side]) / len(right[side]) for side in (0, 1)]
    return sum(right[0] + right[1]) / len(pool), *shares


@pytest.mark.parametrize(("n", "m", "k"), [(7, 12, 1), (30, 20, 3), (25, 40, 5), (6, 6, 5)])
def test_overlap_is_that_of_all_pairs(n, m, k):
    real, fake = normal(n, 3), normal(m, 3, seed=1, shift=0.7)
    assert overlap(real, fake, k=k) == pytest.approx(naive_overlap(real, fake, k), abs=1e-9)


@pytest.mark.parametrize(("n", "m"), [(2, 2), (20, 20), (15, 31)])
def test_nearest_neighbour_test_asks_every_other_row(n, m):
    real, fake = normal(n, 2), normal(m, 2, seed=1, shift=0.5)
    assert nearest_neighbour_test(real, fake) == pytest.approx(naive_test(real, fake), abs=1e-9)


def test_nearest_distances_of_chunks_are_those_of_all_rows():
    rows, others = normal(1203, 2), normal(40, 2, seed=1)
    whole = (rows[:, None] - rows).square().sum(-1).sqrt().fill_diagonal_(torch.inf).sort(1).values
    assert nearest_distances(rows, k=3).numpy() == pytest.approx(whole[:, 2].numpy(), abs=1e-9)
    across = (rows[:, None] - others).square().sum(-1).sqrt().sort(1).values
    assert nearest_distances(rows, others, k=2).numpy() == pytest.approx(across[:, 1].numpy(), abs=1e-9)


def test_one_distribution_overlaps_and_cannot_be_told_apart():
    found = overlap(normal(1200, 4), normal(1200, 4, seed=1))
    assert found.precision > 0.9 and found.recall > 0.9
    assert found.density == pytest.approx(1, abs=0.1)
    assert found.coverage == pytest.approx(1 - 2**-5, abs=0.03)
    assert nearest_neighbour_test(normal(1200, 4), normal(1200, 4, seed=1)) == pytest.approx((0.5,) * 3, abs=0.05)


def test_identical_sets():
    rows = normal(600, 40)
    # Each ball has k neighbours of its own and, across sets, its centre too.
    assert overlap(rows, rows, k=5) == (1, 1, pytest.approx(6 / 5), 1)
    assert nearest_neighbour_test(rows, rows) == (0, 0, 0)


def test_disjoint_sets():
    real, fake = normal(50, 4), normal(50, 4, seed=1, shift=100)
    assert overlap(real, fake) == (0, 0, 0, 0)
    assert nearest_neighbour_test(real, fake) == (1, 1, 1)


def test_a_few_good_samples_repeated_are_precise_and_cover_little():
    real = normal(500, 4)
    found = overlap(real, normal(5, 4, seed=1).repeat(100, 1))
    assert found.precision > 0.7 and found.recall < 0.1 and found.coverage < 0.2
    assert nearest_neighbour_test(real, normal(5, 4, seed=1).repeat(100, 1)).fake == 1


def test_of_equally_far_neighbours_either_may_be_asked():
    real = torch.tensor([[0.0], [0.0], [5.0], [5.0]])
    assert nearest_neighbour_test(real, real) == (0.5, 0.5, 0.5)


def test_too_few_or_broken_rows_are_refused():
    with pytest.raises(UsageError, match="too few samples to compare: 5, where at least 6 are needed"):
        overlap(normal(9, 2), normal(5, 2))
    with pytest.raises(UsageError, match="1, where at least 2"):
        nearest_neighbour_test(normal(1, 2), normal(9, 2))
    with pytest.raises(UsageError, match="2, where at least 3"):
        nearest_distances(normal(9, 2), normal(2, 2), k=3)
    with pytest.raises(UsageError, match="nan or infinite"):
        overlap(normal(9, 2), torch.full((9, 2), torch.nan))
