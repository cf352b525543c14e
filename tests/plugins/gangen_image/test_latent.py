"""Latents: their distributions, truncation, and the ways between them."""

import math

import pytest
import torch

from gangen.errors import UsageError
from gangen_image.latent import Latent


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def test_latents_have_their_distribution():
    normal, uniform, sphere = (
        Latent(distribution, 16).draw(4000, dtype=torch.float64)
        for distribution in ("normal", "uniform", "hypersphere")
    )
    assert normal.std().item() == pytest.approx(1, abs=0.02)
    assert uniform.min() >= -1 and uniform.max() < 1
    assert uniform.std().item() == pytest.approx(3**-0.5, abs=0.01)
    assert torch.allclose(sphere.norm(dim=1), torch.tensor(4.0, dtype=torch.float64))


def test_truncation_keeps_the_central_probability():
    latent = Latent("normal", 16)
    drawn = latent.draw(2000, dtype=torch.float64)
    truncated = latent.truncate(drawn, math.erf(2 / math.sqrt(2)))
    assert 1.9 < truncated.abs().max() < 2
    # The variance of a normal variable within two standard deviations.
    density = math.exp(-2) / math.sqrt(2 * math.pi)
    assert truncated.var().item() == pytest.approx(1 - 4 * density / math.erf(2 / math.sqrt(2)), abs=0.02)
    assert torch.equal(drawn.flatten().argsort(), truncated.flatten().argsort())
    assert torch.equal(latent.truncate(drawn, 1.0), drawn)
    uniform = Latent("uniform", 16)
    assert uniform.truncate(uniform.draw(100), 0.5).abs().max() <= 0.5


def test_truncation_that_means_nothing_is_refused():
    for truncation in (0.0, -1.0, 1.5):
        with pytest.raises(UsageError, match="above 0 and at most 1"):
            Latent("normal", 4).truncate(torch.zeros(1, 4), truncation)
    with pytest.raises(UsageError, match="hypersphere cannot be truncated"):
        Latent("hypersphere", 4).truncate(torch.zeros(1, 4), 0.5)


@pytest.mark.parametrize("distribution", ["normal", "uniform", "hypersphere"])
def test_ways_between_latents(distribution):
    latent = Latent(distribution, 512)
    start, end = latent.draw(3), latent.draw(3)
    middle = latent.between(start, end, 0.5)
    assert torch.allclose(latent.between(start, end, 0.0), start, atol=1e-4)
    assert torch.allclose(latent.between(start, end, 1.0), end, atol=1e-4)
    if distribution == "uniform":
        assert torch.allclose(middle, (start + end) / 2)
    else:
        assert torch.allclose(middle.norm(dim=1), torch.full((3,), 512**0.5), rtol=0.05)
