"""What the players of BiGAN learn from, by formulas written out again."""

import pytest
import torch
from torch.nn.functional import softplus

from gangen import Clock, NonSaturating, Players, UsageError, noise
from gangen_conditional.networks.latent import LatentDiscriminator, LatentEncoder
from gangen_conditional.objectives.bigan import BiGAN, rectangles
from gangen_image import ImageSpec

SPEC = ImageSpec(1, 8)
CLOCK = Clock("adversarial", 0, 1)
BATCH = {"image": torch.arange(4 * 64, dtype=torch.uint8).reshape(4, 1, 8, 8)}


class Generator(torch.nn.Module):
    """Images of a single grey, the first number of the latent."""

    class prior:
        dim = 3

    def latent(self, n):
        return noise.normal(n, 3)

    def forward(self, latent):
        return latent[:, :1, None, None].expand(-1, 1, 8, 8)


@pytest.fixture
def players():
    torch.manual_seed(0)
    encoder = LatentEncoder(SPEC, latent_dim=3, width=2, norm="none")
    discriminator = LatentDiscriminator(SPEC, latent_dim=3, width=2, hidden_dim=4, spectral_norm=False)
    return Players({"generator": Generator(), "encoder": encoder, "discriminator": discriminator})


@pytest.mark.parametrize("stochastic", [True, False])
def test_both_sides_of_the_game_have_the_labels_exchanged(players, stochastic):
    game = BiGAN(SPEC, loss=NonSaturating(), stochastic=stochastic)
    with noise.shared(1):
        judged, _ = game.discriminate(players, BATCH, CLOCK)
    with noise.shared(1):
        fooled, _ = game.generate(players, BATCH, CLOCK)
    images = BATCH["image"] / 127.5 - 1
    code = players.encoder(images)
    with noise.shared(1):
        codes = code.mean + (code.log_variance / 2).exp() * noise.normal(4, 3) if stochastic else code.mean
        latents = noise.normal(4, 3)
    real = players.discriminator(images, codes)
    fake = players.discriminator(players.generator(latents), latents)
    torch.testing.assert_close(judged, softplus(-real).mean() + softplus(fake).mean())
    torch.testing.assert_close(fooled, softplus(real).mean() + softplus(-fake).mean())


def test_the_discriminator_teaches_nobody_else(players):
    loss, _ = BiGAN(SPEC, loss=NonSaturating()).discriminate(players, BATCH, CLOCK)
    loss.backward()
    assert all(it.grad is None for it in players.encoder.parameters())
    assert all(it.grad is not None for it in players.discriminator.parameters())


def test_further_terms_are_squared_distances(players):
    plain, whole, hidden = (
        BiGAN(SPEC, loss=NonSaturating(), stochastic=False, **options)
        for options in ({}, {"reconstruction": 2.0}, {"completion": 3.0})
    )
    with noise.shared(1):
        loss, _ = plain.generate(players, BATCH, CLOCK)
    with noise.shared(1):
        further, _ = whole.generate(players, BATCH, CLOCK)
    images = BATCH["image"] / 127.5 - 1
    again = players.generator(players.encoder(images).mean)
    torch.testing.assert_close(further - loss, 2 * (again - images).square().mean())
    with noise.shared(1):
        _, stats = hidden.generate(players, BATCH, CLOCK)
    with noise.shared(1):
        noise.normal(4, 3)  # the latents
        mask = rectangles(images)
    guess = players.generator(players.encoder(images * ~mask).mean)
    torch.testing.assert_close(stats["completion"], (guess - images).square().mean())


def test_rectangles_hide_a_part_of_every_image():
    with noise.shared(0):
        mask = rectangles(torch.zeros(500, 1, 16, 16))
    rows, columns = mask.any(3).squeeze(1), mask.any(2).squeeze(1)
    assert (mask.squeeze(1) == rows[:, :, None] & columns[:, None, :]).all()
    assert mask.flatten(1).any(1).all()
    assert ((rows.sum(1) >= 4) & (columns.sum(1) >= 4)).all()
    assert mask.float().mean((0, 1)).min() > 0.1  # everywhere now and then


def test_players_of_unequal_latents_are_told_apart(players):
    odd = LatentEncoder(SPEC, latent_dim=5, width=2)
    with pytest.raises(UsageError, match="3 numbers in the generator, 5 in the encoder and 3 in the discriminator"):
        BiGAN(SPEC, loss=NonSaturating()).generate(Players({**players, "encoder": odd}), BATCH, CLOCK)
