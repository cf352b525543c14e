"""The divergence frontier against numpy, a closed form and sets of which the answer is known."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch

from gangen.errors import UsageError
from gangen.metrics.divergence import frontier_area, frontier_score, k_means


def normal(rows, columns, seed=0, shift=0.0):
    return shift + torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed)).double()


def naive_area(p, q, scale):
    """The polygon below the curve, point by point."""
    points = [(0.0, 1.0)]
    for step in range(999, 0, -1):
        r = [step / 1000 * a + (1 - step / 1000) * b for a, b in zip(p, q, strict=True)]
        of_q, of_p = (sum(a * math.log(a / b) for a, b in zip(side, r, strict=True) if a > 0) for side in (q, p))
        points.append((math.exp(-scale * of_q), math.exp(-scale * of_p)))
    points.append((1.0, 0.0))
    return sum((x2 - x1) * (y1 + y2) / 2 for (x1, y1), (x2, y2) in pairwise(points))


@pytest.mark.parametrize("scale", [1.0, 5.0])
@pytest.mark.parametrize("holes", [False, True])
def test_area_is_that_of_the_polygon(scale, holes):
    p, q = np.random.default_rng(0).random((2, 9))
    if holes:
        p[:3], q[2:4] = 0, 0
    p, q = p / p.sum(), q / q.sum()
    found = frontier_area(torch.tensor(p), torch.tensor(q), scale=scale)
    assert found == pytest.approx(naive_area(p.tolist(), q.tolist(), scale), abs=1e-9)
    assert found == pytest.approx(frontier_area(torch.tensor(q), torch.tensor(p), scale=scale), abs=1e-9)


def test_area_of_equal_and_of_disjoint_distributions():
    p, q = torch.tensor([0.5, 0.5, 0.0]), torch.tensor([0.0, 0.0, 1.0])
    assert frontier_area(p, p) == pytest.approx(1, abs=1e-9)
    # c B(c + 1, c) for c = 5
    assert frontier_area(p, q) == pytest.approx(
        5 * math.factorial(5) * math.factorial(4) / math.factorial(10), abs=1e-6
    )


def test_score_of_known_sets():
    one, other = normal(500, 8), normal(500, 8, seed=1)
    assert frontier_score(one, one) == pytest.approx(1, abs=1e-9)
    assert frontier_score(one, other) > 0.9
    assert frontier_score(one, other + 0.7) < frontier_score(one, other + 0.3) < frontier_score(one, other)
    assert frontier_score(one, other + 100) < 0.05


def test_score_notices_a_mode_that_is_missing():
    modes = torch.arange(4.0).repeat(100)[:, None] * 10
    noise = normal(400, 2, seed=1)
    whole, halved = modes + normal(400, 2), (modes % 20) + noise
    assert frontier_score(whole, modes + noise, clusters=8) > 0.9
    assert frontier_score(whole, halved, clusters=8) < 0.5


def test_score_is_a_function_of_its_arguments():
    one, other = normal(200, 3), normal(200, 3, seed=1, shift=0.5)
    first = frontier_score(one, other)
    torch.manual_seed(7)
    assert frontier_score(one, other) == first
    assert frontier_score(one, other, seed=1) != first


def test_k_means_finds_clouds_that_are_far_apart():
    truth = torch.arange(5).repeat(20)
    cells = k_means(normal(100, 3) + 100.0 * truth[:, None], 5)
    assert len({(a, b) for a, b in zip(truth.tolist(), cells.tolist(), strict=True)}) == 5
    assert len(cells.unique()) == 5


def test_k_means_ends_where_every_row_is_nearest_to_the_mean_of_its_cell():
    rows = normal(300, 2)
    cells = k_means(rows, 7)
    means = np.stack([rows[cells == cell].numpy().mean(0) for cell in range(7)])
    distances = ((rows.numpy()[:, None] - means) ** 2).sum(-1)
    assert (distances.argmin(1) == cells.numpy()).all()


def test_rows_that_are_all_equal_have_a_finite_score():
    assert frontier_score(torch.ones(30, 2), torch.ones(30, 2)) == pytest.approx(1, abs=1e-9)


def test_too_few_or_broken_rows_are_refused():
    with pytest.raises(UsageError, match="too few samples to compare: 1"):
        frontier_score(normal(20, 2), normal(1, 2))
    with pytest.raises(UsageError, match="9 clusters cannot be compared: there must be from 2 to 8"):
        frontier_score(normal(20, 2), normal(8, 2), clusters=9)
    with pytest.raises(UsageError, match="nan or infinite"):
        frontier_score(normal(20, 2), torch.full((20, 2), torch.nan))
