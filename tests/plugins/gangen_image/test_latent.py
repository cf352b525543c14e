"""Latents: their distributions, truncation, and the ways between them."""

import math

import pytest
import torch

from gangen import noise
from gangen.errors import UsageError
from gangen_image.networks.latent import Latent
from gangen_image.networks.mlp import MLPGenerator
from gangen_image.networks.style import StyleGenerator
from gangen_image.spec import ImageSpec

DISTRIBUTIONS = ["normal", "uniform", "hypersphere"]


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


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
def test_ways_between_latents(distribution):
    latent = Latent(distribution, 512)
    start, end = latent.draw(3), latent.draw(3)
    middle = latent.between(start, end, 0.5)
    assert torch.equal(latent.between(start, end, 0.0), start)
    assert torch.equal(latent.between(start, end, 1.0), end)
    if distribution == "uniform":
        assert torch.allclose(middle, (start + end) / 2)
    else:
        assert torch.allclose(middle.norm(dim=1), torch.full((3,), 512**0.5), rtol=0.05)


def test_ways_on_the_hypersphere_stay_on_it_and_are_even():
    latent = Latent("hypersphere", 8)
    start, end = latent.draw(5, dtype=torch.float64), latent.draw(5, dtype=torch.float64)
    way = torch.stack([latent.between(start, end, step / 6) for step in range(7)])
    assert torch.allclose(way.norm(dim=2), torch.tensor(8**0.5, dtype=torch.float64), rtol=1e-7)
    steps = (way[1:] * way[:-1]).sum(2).div(8).acos()
    assert torch.allclose(steps, steps[:1].expand_as(steps), rtol=1e-6)


@pytest.mark.parametrize(
    ("distribution", "truncation"), [("normal", 1.0), ("normal", 0.7), ("uniform", 0.7), ("hypersphere", 1.0)]
)
def test_a_generator_goes_from_one_of_its_samples_to_the_next(distribution, truncation):
    net = MLPGenerator(ImageSpec(1, 8, ("a", "b")), latent=distribution).double()
    label = torch.tensor([1, 0, 1])
    with noise.shared(3):
        way = net.interpolate(3, 5, {"label": label}, truncation=truncation).unflatten(0, (3, 5))
    with noise.shared(3):
        plain = net.sample(6, {"label": label.repeat_interleave(2)}, truncation=truncation)
    assert torch.allclose(way[:, 0], plain[0::2]) and torch.allclose(way[:, -1], plain[1::2])
    with noise.shared(3):
        latent = net.latent(6)
    middle = net.sample(
        3, {"label": label}, latent=net.prior.between(latent[0::2], latent[1::2], 0.5), truncation=truncation
    )
    assert torch.allclose(way[:, 2], middle)


def test_nothing_but_the_latent_changes_on_a_way():
    net = StyleGenerator(ImageSpec(3, 8), latent_dim=4, width=4, max_width=4).eval()
    for name, parameter in net.named_parameters():
        if "noise_strength" in name:
            torch.nn.init.ones_(parameter)
        if name.startswith("mapping"):  # any latent has the same style: what is left is the noise of each pixel
            torch.nn.init.zeros_(parameter)
    with noise.shared(0):
        way = net.interpolate(2, 3).unflatten(0, (2, 3))
    assert torch.allclose(way, way[:, :1].expand_as(way), atol=1e-5)
    assert not torch.allclose(way[0], way[1], atol=1e-2)


def test_a_way_with_noise_of_its_own_is_the_same_beside_any_others():
    net = StyleGenerator(ImageSpec(3, 8), latent_dim=4, width=4, max_width=4).double().eval()
    for name, parameter in net.named_parameters():
        if "noise_strength" in name:
            torch.nn.init.ones_(parameter)
    with noise.by_row(range(3)):
        ways = net.interpolate(3, 4)
    with noise.by_row(range(2)):
        assert torch.allclose(net.interpolate(2, 4), ways[:8])
