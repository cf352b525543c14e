"""Two processes play the same image game as one: every loss with every penalty and every kind of condition.

Batches that do not come in whole packs or groups on each process are refused; see ``MICRO_BATCHES`` for ``accumulate``.
"""

import json
from itertools import product
from typing import get_args

import numpy as np
import pytest

from gangen import cli
from gangen.components.registry import Registry
from gangen.components.signatures import from_object

REGISTRY = Registry.discover()


def names(kind):
    return [component.name for component in REGISTRY.all(kind) if component.name.startswith(("gangen/", "image/"))]


LOSSES = names("losses")
PENALTIES = {name: {"use": name} for name in names("penalties")}
# A long way to look for the worst direction: fresh networks hardly move, and their differences have few digits left.
PENALTIES["gangen/virtual_adversarial"]["xi"] = 1.0
PENALTIES["gangen/lecam"]["weight"] = 0.3
PENALTIES |= {"none": None}
# What adds up as another does is played with one loss.
ONE_LOSS = ["gangen/approximate_r1", "gangen/approximate_r2", "gangen/centring"]
# Options of the generator and of the discriminator.
CONDITIONINGS = {
    "none": ({"condition": "none"}, {"condition": "none"}),
    "concatenation": ({"condition": "concat"}, {"condition": "concat"}),
    "conditional batch norm": ({"condition": "modulate", "norm": "batch"}, {"condition": "none"}),
    "AdaIN": ({"condition": "modulate", "norm": "instance"}, {"condition": "none"}),
    "FiLM": ({"condition": "modulate", "norm": "none"}, {"condition": "none"}),
    "projection": ({"condition": "concat"}, {"condition": "projection"}),
    "auxiliary classifier": ({"condition": "concat"}, {"condition": "classifier"}),
}


CROSSED = [
    (loss, penalty, conditioning)
    for loss, penalty, conditioning in product(LOSSES, PENALTIES, CONDITIONINGS)
    if penalty not in ONE_LOSS or loss == LOSSES[0]
]
ARRAYS = {"use": "image/arrays", "images": "data.npz:images", "labels": "data.npz:labels"}
DCGAN = {"use": "image/dcgan", "latent_dim": 3, "width": 2}, {"use": "image/dcgan", "width": 2}
ADAPTIVE = {"use": "image/adaptive", "start": 0.5, "samples": 200, "target": 0.1}


def recipe(generator, discriminator, objective, *, others=None, data=ARRAYS, turns=None, steps=2, batch_size=16):
    """A game of two, and of ``others``, by default on labelled images of 16 x 16 pixels."""
    # A large eps: Adam would blow up the rounding of gradients that are zero in theory, as that of a bias in a
    # relativistic loss, into differences of weights.
    optimizer = {"lr": 0.01, "eps": 1e-4}
    players = {"generator": generator, "discriminator": discriminator} | (others or {})
    return {
        "data": data,
        "players": {name: {"optimizer": optimizer, **player} for name, player in players.items()},
        "objective": {"use": "image/gan", **objective},
        "phases": {"adversarial": {"steps": steps, "turns": turns or {"discriminate": 1, "generate": 1}}},
        "trainer": {"batch_size": batch_size, "precision": "fp64", "threads": 1},
    }


def crossed(loss, penalty, conditioning):
    """One step; the penalty is also played alone, but with one loss only, which has no say in that."""
    generator, discriminator = (
        net | condition for net, condition in zip(DCGAN, CONDITIONINGS[conditioning], strict=True)
    )
    objective = {"loss": loss, "auxiliary": float(conditioning == "auxiliary classifier")}
    turns = {"discriminate": 1, "generate": 1}
    if PENALTIES[penalty]:
        objective["penalties"] = [PENALTIES[penalty]]
        if loss == LOSSES[0]:
            objective["lazy_penalties"] = [PENALTIES[penalty]]
            turns["penalize"] = 1
    return recipe(generator, discriminator, objective, turns=turns, steps=1, batch_size=8)


GAMES = {
    "packs, batch norm, clipped weights": recipe(
        {"use": "image/mlp", "hidden_dim": 6, "norm": "batch", "latent": "uniform"},
        {"use": "image/mlp", "hidden_dim": 6, "norm": "batch", "pac": 2, "weight_clip": 0.1, "clip": 0.01},
        {"loss": "wasserstein", "penalties": ["r2"]},
        turns={"discriminate": 2, "generate": 1},
    ),
    "points": recipe(
        {"use": "image/mlp", "hidden_dim": 6},
        {"use": "image/mlp", "hidden_dim": 6, "pac": 2},
        {"loss": "least_squares", "lazy_penalties": [{"use": "gradient_penalty", "center": 0}]},
        data={"use": "image/points", "size": 100, "heldout_size": 10},
        turns={"discriminate": 1, "generate": 1, "penalize": {"every": 2}},
    ),
    "residual, attention, spectral norm, minibatch standard deviation": recipe(
        {"use": "image/resnet", "width": 2, "max_width": 4, "attention": [8], "spectral_norm": True, "ema": 0.9},
        {"use": "image/resnet", "width": 2, "max_width": 4, "attention": [8], "norm": "batch", "minibatch_std": 2},
        {"loss": "hinge", "penalties": [{"use": "r1", "weight": 0.1}]},
    ),
    "r3gan": recipe(
        {"use": "image/r3gan", "width": 4, "max_width": 4, "group_size": 4, "blocks": 1, "latent": "hypersphere"},
        {"use": "image/r3gan", "width": 4, "max_width": 4, "group_size": 4, "blocks": 1},
        {"loss": "relativistic_paired", "penalties": ["r1", "r2"]},
        data=ARRAYS | {"flip": True},
    ),
    "style": recipe(
        {"use": "image/style", "latent_dim": 4, "width": 2, "max_width": 4, "style_mixing": 0.5}
        | {"ema": {"half_life": 50, "ramp_up": 0.05}},
        {"use": "image/style", "width": 2, "max_width": 4, "minibatch_std": 2, "pac": 2, "mapping_layers": 2},
        {"lazy_penalties": ["r1"], "path_length": 8},
        turns={"discriminate": 1, "generate": 1, "penalize": 1, "regularize": 1},
    ),
    "augmentation, consistency, layer norm": recipe(
        DCGAN[0] | {"norm": "layer"},
        DCGAN[1] | {"norm": "layer", "minibatch_std": 2},
        {
            "augmentation": "image/diffaugment",
            "penalties": [{"use": "image/consistency", "fakes": True}],
            "san": True,
            "loss": "hinge",
        },
    ),
    "adaptive augmentation, anchors, feature matching": recipe(
        DCGAN[0],
        DCGAN[1] | {"norm": "instance"},
        {
            "augmentation": ADAPTIVE,
            "penalties": [{"use": "lecam", "weight": 0.3, "one_sided": True}],
            "feature_matching": 0.5,
        },
    ),
    "used fakes, packs, auxiliary classifier": recipe(
        DCGAN[0] | {"norm": "none"},
        DCGAN[1] | {"norm": "none", "condition": "classifier", "pac": 2},
        {"loss": "minimax", "auxiliary": 0.5, "reuse_fakes": True, "augmentation": ADAPTIVE},
    ),
    "used fakes, relativistic average": recipe(
        DCGAN[0], DCGAN[1], {"loss": "relativistic_average", "reuse_fakes": True}
    ),
    "few labels": recipe(
        {"use": "image/mlp", "hidden_dim": 6, "condition": "none"},
        {"use": "image/mlp", "hidden_dim": 6, "condition": "classifier"},
        {"use": "image/semi_supervised"},
        others={"supervised": {"kind": "discriminators", "use": "image/mlp", "condition": "classifier"}},
        data={"use": "image/few_labels", "of": ARRAYS, "per_label": 5},
        turns={"discriminate": 1, "generate": 1, "supervise": 1},
    ),
}
# Micro-batches make up the whole batch, unless something looks at the rows of one together (batch norm, relativistic
# averages, feature matching) or moves on with each of them (moving averages, spectral norm's power iteration).
MICRO_BATCHES = ["points", "r3gan", "augmentation, consistency, layer norm", "used fakes, packs, auxiliary classifier"]


def accumulated(game, micro_batches=2):
    return game | {"trainer": game["trainer"] | {"accumulate": micro_batches}}


def crossed_name(loss, penalty, conditioning):
    return f"{loss}, {penalty}, {conditioning}".replace("/", ".")


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Recipes as text, about data that are there."""
    path, chance = tmp_path_factory.mktemp("data") / "data.npz", np.random.default_rng(0)
    np.savez(path, images=chance.integers(256, size=(40, 16, 16), dtype=np.uint8), labels=np.arange(40) % 2)
    return lambda game: json.dumps(game).replace("data.npz", str(path))  # JSON is YAML


@pytest.fixture(scope="module")
def played(play_on_one_and_two, written):
    games = {crossed_name(*names): crossed(*names) for names in CROSSED}
    games |= GAMES | {f"{name}, accumulated": accumulated(game) for name, game in GAMES.items()}
    return play_on_one_and_two({name: written(game) for name, game in games.items()})


def test_every_kind_of_condition_is_played():
    for player, kind in enumerate(["generators", "discriminators"]):
        options = [option for name in names(kind) for option in from_object(REGISTRY.find(kind, name).load())]
        unions = [get_args(option.annotation) for option in options if option.name == "condition"]
        offered = {choice for union in unions for literal in union for choice in get_args(literal)}
        assert offered == {both[player]["condition"] for both in CONDITIONINGS.values()}


@pytest.mark.parametrize(("loss", "penalty", "conditioning"), CROSSED)
def test_every_loss_with_every_penalty_and_every_condition(loss, penalty, conditioning, played):
    assert played.differences(crossed_name(loss, penalty, conditioning)) == []


@pytest.mark.parametrize("name", [*GAMES, *(f"{name}, accumulated" for name in GAMES)])
def test_every_network_and_every_trick(name, played):
    assert played.turns(name) >= {"discriminate", "generate"}
    assert played.differences(name) == []


@pytest.mark.parametrize("name", MICRO_BATCHES)
def test_micro_batches_have_the_gradients_of_the_whole_batch(name, played):
    assert played.differences(f"{name}, accumulated", name) == []


@pytest.mark.parametrize("option", ["pac", "minibatch_std"])
def test_pieces_of_a_batch_that_would_break_a_group_are_refused_at_once(option, written, tmp_path, capsys):
    game = accumulated(recipe(DCGAN[0], DCGAN[1] | {option: 4}, {}), 8)
    game["trainer"]["precision"] = "fp32"
    (tmp_path / "game.yaml").write_text(written(game))
    assert cli.main([str(tmp_path / "game.yaml"), f"run={tmp_path / 'run'}"]) != 0
    said = capsys.readouterr().err
    assert "batch_size 16 is 2 rows" in said and "takes rows in groups of 4; take a multiple" in said
    assert not list(tmp_path.glob("run/checkpoints/*"))
