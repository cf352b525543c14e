"""Noise is a function of a seed, and processes share one global batch of it."""

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
