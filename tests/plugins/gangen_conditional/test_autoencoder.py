"""What popular scripts for such autoencoders get wrong: perceptual terms, leaking gradients, the adaptive weight.

That all of it holds on two processes, tests/distributed/test_conditional_gradients.py shows on the same game.
"""

import sys
from contextlib import nullcontext
from types import SimpleNamespace

import pytest
import torch
from torch import nn
from torch.nn.functional import relu

from gangen import Clock, Players, UsageError, noise
from gangen.losses import Hinge
from gangen.training.players import learning
from gangen_conditional.networks.grid import GridDecoder, GridEncoder
from gangen_conditional.objectives.autoencoder import Autoencoder, balancing_weight
from gangen_image import ImageSpec

SPEC = ImageSpec(1, 16, ("a", "b"))
CLOCK = Clock("adversarial", 0, 1)
CHANCE = torch.Generator().manual_seed(0)
IMAGE = torch.randint(256, (4, 1, 16, 16), generator=CHANCE, dtype=torch.uint8)
BATCH = {"image": IMAGE, "label": torch.tensor([0, 1, 1, 0])}
IMAGES = IMAGE / 127.5 - 1
SMALL = {"side": 4, "width": 2, "max_width": 4}


class Discriminator(nn.Module):
    def __init__(self):
        super().__init__()
        self.trunk, self.head = nn.Linear(256, 5), nn.Linear(5, 1)

    def features(self, images, condition=None):
        return self.trunk(images.flatten(1)).tanh()

    def forward(self, images, condition=None):
        return self.head(self.features(images)).squeeze(1)


@pytest.fixture
def players():
    torch.manual_seed(0)
    encoder = GridEncoder(SPEC, bottleneck="vq", codes=8, decay=0.9, **SMALL)
    return Players({"encoder": encoder, "generator": GridDecoder(SPEC, **SMALL), "discriminator": Discriminator()})


def reconstructed(players):
    code = players.encoder(IMAGES)
    return players.generator(code.latent), code.cost


def gradients(loss, player):
    return torch.autograd.grad(loss, list(player.parameters()), retain_graph=True)


def assert_same(found, expected):
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)


def test_the_perceptual_term_teaches_encoder_and_generator(players):
    again, cost = reconstructed(players)
    unlike = (players.discriminator.features(again) - players.discriminator.features(IMAGES)).square().mean()
    expected = (again - IMAGES).abs().mean() + 3 * unlike + cost
    wanted = {name: gradients(expected, players[name]) for name in ("encoder", "generator")}
    loss, stats = Autoencoder(SPEC, loss=Hinge(), perceptual=3.0).reconstruct(players, BATCH, CLOCK)
    assert_same(loss, expected)
    assert_same(stats["perceptual"], unlike)
    for name in wanted:
        assert_same(gradients(loss, players[name]), wanted[name])


def test_the_adversarial_term_has_the_weight_of_the_others_at_the_last_layer(players):
    again, cost = reconstructed(players)
    unlike = (players.discriminator.features(again) - players.discriminator.features(IMAGES)).square().mean()
    error, fooled = (again - IMAGES).abs().mean() + unlike, -players.discriminator(again).mean()
    last = players.generator.output.weight
    wanted, found = (torch.autograd.grad(it, last, retain_graph=True)[0].norm() for it in (error, fooled))
    weight = wanted / found
    expected = gradients(error + cost + 0.5 * weight * fooled, players.generator)
    loss, stats = Autoencoder(SPEC, loss=Hinge()).generate(players, BATCH, CLOCK)
    assert_same(stats["weight"], weight)
    assert_same(gradients(loss, players.generator), expected)


def test_the_weight_is_bounded_where_the_discriminator_teaches_nothing():
    last = nn.Parameter(torch.ones(3))
    assert balancing_weight(last.sum(), 0 * last.sum(), last) == 1e4


def test_no_turn_leaves_a_gradient_with_who_does_not_learn(players):
    game = Autoencoder(SPEC, loss=Hinge())
    everyone = {
        name: SimpleNamespace(trainable=list(net.parameters()), playing=nullcontext) for name, net in players.items()
    }
    for turn in (game.reconstruct, game.generate, game.discriminate):
        for parameter in (it for net in players.values() for it in net.parameters()):
            parameter.grad = None
        with learning(everyone, turn.updates):
            turn(players, BATCH, CLOCK)[0].backward()
        learned = {name for name, net in players.items() if any(it.grad is not None for it in net.parameters())}
        assert learned == set(turn.updates)


def test_the_discriminator_learns_by_the_hinge_alone(players):
    again = reconstructed(players)[0].detach()
    judge = players.discriminator
    expected = relu(1 - judge(IMAGES)).mean() + relu(1 + judge(again)).mean()
    before = players.encoder.codebook.embedding.clone()
    loss, _ = Autoencoder(SPEC, loss=Hinge()).discriminate(players, BATCH, CLOCK)
    assert_same(gradients(loss, judge), gradients(expected, judge))
    assert torch.equal(players.encoder.codebook.embedding, before)


def test_gaussian_codes_are_drawn_and_pay_for_each_number_of_the_image():
    torch.manual_seed(0)
    encoder, generator = GridEncoder(SPEC, divergence=0.5, **SMALL), GridDecoder(SPEC, **SMALL)
    with noise.shared(1):
        loss, stats = Autoencoder(SPEC, loss=Hinge(), perceptual=0.0).reconstruct(
            Players({"encoder": encoder, "generator": generator}), BATCH, CLOCK
        )
    code = encoder(IMAGES)
    with noise.shared(1):
        again = generator(code.mean + (code.log_variance / 2).exp() * noise.normal(4, 4, 4, 4))
    assert_same(stats["divergence"], code.divergence().mean() / 256)
    assert_same(loss, (again - IMAGES).abs().mean() + 0.5 * code.divergence().mean() / 256)


def test_features_may_be_those_of_any_module(players, monkeypatch):
    module = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Dropout(0.9))
    monkeypatch.setitem(sys.modules, "gangen_local_my_features", SimpleNamespace(small=module, call=lambda: module))
    game = Autoencoder(SPEC, loss=Hinge(), features="my_features:small")
    assert not game.state_dict() and game.needs == {}
    assert not any(it.requires_grad for it in module.parameters())
    again, _ = reconstructed(players)
    expected = (module(again) - module(IMAGES)).square().mean()
    assert_same(game.distance(players, BATCH, IMAGES, again), expected)
    assert torch.autograd.grad(game.distance(players, BATCH, IMAGES, again), again)[0].abs().sum() > 0
    for path, message in {
        "my_features:large": "'my_features:large' cannot be found",
        "my_feature:small": "'my_feature:small' cannot be found: there is no my_feature.py among the recipe's code",
        "my_features:call": "is neither a torch module nor the class of one",
    }.items():
        with pytest.raises(UsageError, match=message):
            Autoencoder(SPEC, loss=Hinge(), features=path)


def test_several_features_add_up(players, monkeypatch):
    class Both(nn.Module):
        def forward(self, images):
            return [images, 2 * images]

    monkeypatch.setitem(sys.modules, "gangen_local_my_features", SimpleNamespace(Both=Both))
    game = Autoencoder(SPEC, loss=Hinge(), features="my_features:Both")
    assert_same(game.distance(players, BATCH, IMAGES, IMAGES + 1), torch.tensor(1.0 + 4.0))


def test_a_grid_that_halving_does_not_reach_is_refused():
    with pytest.raises(UsageError, match="a grid of 5 x 5 is not possible: images of 16 pixels have one of 4, 8"):
        GridEncoder(SPEC, side=5)


def test_labels_are_learned_only_where_there_are_any(players):
    with pytest.raises(UsageError, match="turn 'classify' learns labels, and these data have none"):
        Autoencoder(SPEC, loss=Hinge()).classify(players, {"image": IMAGE}, CLOCK)
