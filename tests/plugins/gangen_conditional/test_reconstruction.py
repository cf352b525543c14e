"""What is given back of pictures, and how far off it is."""

from types import SimpleNamespace

import pytest
import torch

from gangen import Players, TensorSplit, UsageError, frechet_distance, gaussian, noise
from gangen_conditional.metrics.reconstruction import Reconstruction as Metric
from gangen_conditional.networks.gaussian import Gaussian
from gangen_conditional.samplers.reconstruction import Reconstruction
from gangen_image import ImageCodec, ImageSpec

CHANCE = torch.Generator().manual_seed(0)
IMAGES = torch.randint(256, (20, 1, 8, 8), generator=CHANCE, dtype=torch.uint8)


class Encoder(torch.nn.Module):
    def forward(self, images):
        return Gaussian(images / 2, torch.zeros_like(images))


class Decoder(torch.nn.Module):
    def forward(self, code):
        return code + 0.1


class Generator(Decoder):
    def latent(self, n):
        return noise.normal(n, 1, 8, 8)

    def sample(self, n, condition=None):
        return self(self.latent(n))


def players(generator):
    return Players({"encoder": Encoder(), "generator": generator})


class Extractor(SimpleNamespace):
    name = "corner"

    def features(self, samples):
        return samples[:, 0, 0, :3]


class Context(SimpleNamespace):
    device, seed, batch_size = torch.device("cpu"), 0, 6

    def fitted(self, extractor):
        return extractor


def measured(generator):
    data = SimpleNamespace(codec=ImageCodec(ImageSpec(1, 8)), heldout=TensorSplit(image=IMAGES))
    return Metric(samples=100, extractor=Extractor())(Context(data=data, players=players(generator)))


def test_pictures_go_through_the_mean_of_their_codes():
    found = Reconstruction(players(Decoder())).sample(20, {"input": IMAGES})
    torch.testing.assert_close(found, (IMAGES / 127.5 - 1) / 2 + 0.1)


def test_without_a_picture_there_is_a_fresh_one_where_latents_can_be_drawn():
    with noise.shared(0):
        found = Reconstruction(players(Generator())).sample(3, {})
    with noise.shared(0):
        torch.testing.assert_close(found, noise.normal(3, 1, 8, 8) + 0.1)
    with pytest.raises(UsageError, match="only gives back what it is given: name a picture"):
        Reconstruction(players(Decoder())).sample(3, {})
    with pytest.raises(UsageError, match="there is no picture to reconstruct"):
        Reconstruction(players(Generator())).reconstruct(3, {})


def test_figures_compare_reconstructions_with_the_pictures_themselves():
    truth = IMAGES / 127.5 - 1
    again = truth / 2 + 0.1
    figures = measured(Decoder())
    assert figures.keys() == {"reconstruction_l1", "reconstruction_frechet_corner"}
    assert figures["reconstruction_l1"].value == pytest.approx((again - truth).abs().mean().item())
    expected = frechet_distance(gaussian(truth[:, 0, 0, :3]), gaussian(again[:, 0, 0, :3]))
    assert figures["reconstruction_frechet_corner"].value == pytest.approx(expected)
    assert all(figure.real == 0 and figure.good == "low" for figure in figures.values())


def test_generators_that_draw_latents_have_the_distance_of_fresh_pictures_too():
    figures = measured(Generator())
    assert figures["fresh_frechet_corner"].value > 0
    assert figures == measured(Generator())


def test_the_metric_names_the_player_that_is_missing():
    lacking = Context(data=None, players=Players({"generator": Generator()}))
    with pytest.raises(UsageError, match="needs the players encoder and generator, and there is no encoder"):
        Metric().check(lacking)
