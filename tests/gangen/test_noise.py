"""Noise is a function of a seed: processes share one global batch of it, or each row has its own."""

import pytest
import torch

from gangen import noise


@pytest.mark.parametrize("draw", [noise.uniform, noise.normal])
def test_parts_are_the_rows_of_the_whole(draw):
    with noise.shared(5):
        first, second = draw(6, 2), draw(6, 3)
    for part in range(3):
        with noise.shared(5, part, parts=3):
            assert torch.equal(draw(2, 2), first[2 * part : 2 * part + 2])
            assert torch.equal(draw(2, 3), second[2 * part : 2 * part + 2])


@pytest.mark.parametrize("draw", [noise.uniform, noise.normal])
def test_a_row_of_its_own_noise_draws_the_same_in_any_company(draw):
    with noise.by_row([(5, 0), (5, 1), 9]):
        first, second = draw(3, 17), draw(6, 2)
    for row, seed in enumerate([(5, 0), (5, 1), 9]):
        with noise.by_row([seed]):
            assert torch.equal(draw(1, 17), first[row : row + 1])
            assert torch.equal(draw(2, 2), second[2 * row : 2 * row + 2])
    assert len({tuple(row) for row in first.tolist()}) == 3
    assert not torch.equal(first[:, :2], second[::2])


def test_rows_of_neighbouring_seeds_have_nothing_in_common():
    with noise.by_row([(7, row) for row in range(4_000)]):
        drawn = noise.normal(4_000, 4)
    each = torch.cat([drawn, drawn.roll(1, dims=0), drawn.roll(2, dims=0)], 1)
    assert (torch.corrcoef(each.T) - torch.eye(12)).abs().max() < 0.07  # 4.4 standard deviations


def test_a_draw_that_does_not_divide_among_rows_is_made_by_the_context_around():
    with noise.shared(1):
        expected = noise.uniform(2)
    with noise.shared(1), noise.by_row([1, 2, 3]):
        noise.uniform(3)
        assert torch.equal(noise.uniform(2), expected)


def test_seeds_of_rows_count_beyond_32_bits():
    with noise.by_row([5, 5 + 2**32, 5 + 2**63]):
        assert len(set(noise.uniform(3).tolist())) == 3


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_noise_of_rows_is_of_the_type_that_was_asked_for(dtype):
    with noise.by_row([1, 2]):
        uniform, normal = noise.uniform(2, 5_000, dtype=dtype), noise.normal(2, 5_000, dtype=dtype)
    assert uniform.dtype == normal.dtype == dtype
    assert uniform.min() >= 0 and uniform.max() < 1
    assert uniform.double().mean().item() == pytest.approx(0.5, abs=0.02)
    assert normal.double().mean().item() == pytest.approx(0, abs=0.04)
    assert normal.double().std().item() == pytest.approx(1, abs=0.04)


def test_seeds_differ_and_repeat():
    drawn = []
    for seed in (1, 2, 1):
        with noise.shared(seed):
            drawn.append(noise.normal(4))
    assert torch.equal(drawn[0], drawn[2])
    assert not torch.equal(drawn[0], drawn[1])


def test_an_inner_context_leaves_the_outer_one_where_it_was():
    with noise.shared(1):
        expected = [noise.uniform(3), noise.uniform(3)]
    with noise.shared(1):
        first = noise.uniform(3)
        with noise.shared(2):
            noise.uniform(3)
        assert torch.equal(first, expected[0])
        assert torch.equal(noise.uniform(3), expected[1])


def test_without_a_context_noise_follows_torchs_own_seed():
    torch.manual_seed(3)
    expected = torch.rand(2, 2)
    torch.manual_seed(3)
    assert torch.equal(noise.uniform(2, 2), expected)


def test_uniform_noise_is_uniform_and_normal_noise_normal():
    with noise.shared(0):
        uniform, normal = noise.uniform(100_000, dtype=torch.float64), noise.normal(100_000, dtype=torch.float64)
    assert uniform.min() >= 0 and uniform.max() < 1
    assert uniform.mean().item() == pytest.approx(0.5, abs=0.01)
    assert normal.mean().item() == pytest.approx(0, abs=0.02)
    assert normal.std().item() == pytest.approx(1, abs=0.02)
