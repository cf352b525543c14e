"""Who learns from what in VAE-GAN, and its terms by formulas written out again."""

import pytest
import torch
from torch.distributions import Normal, kl_divergence
from torch.nn.functional import softplus

from gangen import Clock, NonSaturating, Players, UsageError, noise
from gangen_conditional.networks.gaussian import Gaussian
from gangen_conditional.networks.latent import LatentEncoder
from gangen_conditional.objectives.vaegan import VAEGAN
from gangen_image import ImageSpec

SPEC = ImageSpec(1, 8)
CLOCK = Clock("adversarial", 0, 1)
BATCH = {"image": torch.arange(4 * 64, dtype=torch.uint8).reshape(4, 1, 8, 8)}
IMAGES = BATCH["image"] / 127.5 - 1


class Generator(torch.nn.Module):
    class prior:
        dim = 3

    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(3, 64)

    def sample(self, n, condition=None):
        return self(noise.normal(n, 3))

    def forward(self, latent):
        return self.layer(latent).reshape(-1, 1, 8, 8)


class Discriminator(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.trunk, self.head = torch.nn.Linear(64, 5), torch.nn.Linear(5, 1)

    def features(self, images, condition=None):
        return self.trunk(images.flatten(1)).tanh()

    def forward(self, images, condition=None):
        return self.head(self.features(images)).squeeze(1)


@pytest.fixture
def players():
    torch.manual_seed(0)
    encoder = LatentEncoder(SPEC, latent_dim=3, width=2, norm="none")
    return Players({"generator": Generator(), "encoder": encoder, "discriminator": Discriminator()})


def drawn(*shapes):
    with noise.shared(1):
        return [noise.normal(*shape) for shape in shapes]


def terms(players):
    """The divergence, reconstructions, and half the squared distance of features, with gradient to everybody."""
    code = players.encoder(IMAGES)
    mean, deviation = code.mean, (code.log_variance / 2).exp()
    (chance,) = drawn((4, 3))
    again = players.generator(mean + deviation * chance)
    off = players.discriminator.features(again) - players.discriminator.features(IMAGES).detach()
    divergence = kl_divergence(Normal(mean, deviation), Normal(0.0, 1.0)).sum(1).mean()
    return divergence, again, off.square().sum(1).mean() / 2


def gradients(loss, player):
    return torch.autograd.grad(loss, list(player.parameters()), allow_unused=True)


def test_the_divergence_is_that_of_torch_distributions():
    code = Gaussian(torch.randn(6, 2, 3), torch.randn(6, 2, 3))
    expected = kl_divergence(Normal(code.mean, (code.log_variance / 2).exp()), Normal(0.0, 1.0)).sum((1, 2))
    torch.testing.assert_close(code.divergence(), expected)


def test_the_encoder_learns_from_the_prior_and_the_features_alone(players):
    game = VAEGAN(SPEC, loss=NonSaturating(), prior=0.5)
    with noise.shared(1):
        loss, _ = game.encode(players, BATCH, CLOCK)
    divergence, _, unlike = terms(players)
    torch.testing.assert_close(gradients(loss, players.encoder), gradients(0.5 * divergence + unlike, players.encoder))
    assert VAEGAN.encode.updates == ("encoder",)


def test_gamma_weighs_the_features_for_the_generator_alone(players):
    game = VAEGAN(SPEC, loss=NonSaturating(), gamma=0.25)
    with noise.shared(1):
        loss, _ = game.decode(players, BATCH, CLOCK)
    _, again, unlike = terms(players)
    fresh = players.generator(drawn((4, 3), (4, 3))[1])
    fooled = (softplus(-players.discriminator(again)).mean() + softplus(-players.discriminator(fresh)).mean()) / 2
    torch.testing.assert_close(gradients(loss, players.generator), gradients(fooled + 0.25 * unlike, players.generator))
    assert VAEGAN.decode.updates == ("generator",)
    assert all(gradient is None for gradient in gradients(fooled_by(game, players), players.encoder))


def fooled_by(game, players):
    with noise.shared(1):
        return game.decode(players, BATCH, CLOCK)[0]


def test_the_discriminator_learns_from_both_kinds_of_fakes_and_no_likelihood(players):
    game = VAEGAN(SPEC, loss=NonSaturating())
    with noise.shared(1):
        loss, _ = game.discriminate(players, BATCH, CLOCK)
    judge = players.discriminator
    again, fresh = terms(players)[1], players.generator(drawn((4, 3), (4, 3))[1])
    fakes = (softplus(judge(again)).mean() + softplus(judge(fresh)).mean()) / 2
    torch.testing.assert_close(loss, softplus(-judge(IMAGES)).mean() + fakes)
    assert all(it is None for name in ("encoder", "generator") for it in gradients(loss, players[name]))


def test_the_control_is_a_variational_autoencoder(players):
    with noise.shared(1):
        loss, _ = VAEGAN(SPEC, loss=NonSaturating(), deviation=0.5).autoencode(players, BATCH, CLOCK)
    divergence, again, _ = terms(players)
    density = Normal(again, 0.5).log_prob(IMAGES).flatten(1).sum(1).mean()
    constant = 64 * Normal(0.0, 0.5).log_prob(torch.tensor(0.0))
    torch.testing.assert_close(loss, divergence - (density - constant))


def test_players_of_unequal_latents_are_told(players):
    odd = LatentEncoder(SPEC, latent_dim=5, width=2)
    with pytest.raises(UsageError, match="3 numbers in the generator and 5 in the encoder"):
        VAEGAN(SPEC, loss=NonSaturating()).encode(Players({**players, "encoder": odd}), BATCH, CLOCK)
