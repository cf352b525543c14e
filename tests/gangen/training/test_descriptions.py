"""Data with a description of several parts, of which each player is built for the one that its recipe names."""

import json
from dataclasses import dataclass

import pytest
import torch
from torch import nn

from gangen import TensorSplit, noise, saved_model, updates
from gangen.components.registry import Registry
from gangen.errors import RecipeError
from gangen.recipe.load import load_recipe
from gangen.training.assemble import check
from gangen.training.run import train

PLUGIN = """
@hookimpl
def gangen_data(register): register("pairs", "tests.gangen.training.test_descriptions:Pairs")

@hookimpl
def gangen_generators(register): register("line", "tests.gangen.training.test_descriptions:Line")

@hookimpl
def gangen_objectives(register): register("game", "tests.gangen.training.test_descriptions:Game")
"""

RECIPE = """
data: acme/pairs
players:
  generator: {use: acme/line, spec: picture}
  generator_of_words: {use: acme/line, spec: words}
  generator_before: {copy_of: generator_of_words}
objective: acme/game
sampler: {use: player, player: generator_of_words}
phases: {play: {steps: 2, turns: {play: 1}}}
trainer: {batch_size: 4}
"""


@dataclass
class Width:
    width: int


class Codec:
    per_prompt, spec = 1, {"picture": Width(3), "words": Width(5)}

    def prompts(self):
        return [""]

    def encode(self, prompt, n):
        return {}

    def decode(self, samples):
        return [str(len(row)) for row in samples]

    def render(self, sheet, path):
        return []

    def save(self, folder):
        pass

    @classmethod
    def load(cls, folder):
        return cls()


class Pairs:
    codec_class, codec = Codec, Codec()
    train = heldout = TensorSplit(picture=torch.ones(8, 3), words=torch.ones(8, 5))


class Line(nn.Module):
    def __init__(self, spec):
        super().__init__()
        self.net = nn.Linear(spec.width, spec.width)

    def sample(self, n, condition=None):
        return self.net(noise.normal(n, self.net.in_features))


class Game:
    def __init__(self, spec):
        self.parts = spec

    @updates("generator", "generator_of_words")
    def play(self, players, batch, clock):
        return sum(
            player.net(batch[part]).sum() for part, player in zip(self.parts, players.values(), strict=False)
        ), {}


@pytest.fixture
def recipe(install, tmp_path):
    install("acme", PLUGIN)
    registry = Registry.discover()
    path = tmp_path / "pairs.yaml"
    path.write_text(RECIPE)
    return lambda *overrides: (load_recipe(path, [f"run={tmp_path / 'run'}", *overrides], registry), registry)


def test_each_network_is_built_for_its_part_and_so_again_from_a_model(recipe, tmp_path):
    played, registry = recipe()
    assert played.players["generator_before"].spec == "words"
    train(played, registry)
    assert json.loads((tmp_path / "run/model/gangen.json").read_text())["networks"]["generator_of_words"] == {
        "kind": "generators",
        "spec": "words",
        "use": "acme/line",
    }
    assert saved_model.load(tmp_path / "run", registry=registry).sample(n=2) == ["5", "5"]


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("players.generator.spec=pictures", "spec=pictures: there is no 'pictures' in the description of data "
         r"'acme/pairs'; did you mean 'picture'\?"),
        ("players.generator.spec=sound", "in the description of data 'acme/pairs'; it has: picture, words"),
    ],
)  # fmt: skip
def test_a_part_that_is_not_there_is_refused_with_its_place(override, message, recipe):
    with pytest.raises(RecipeError, match=message):
        check(*recipe(override))


def test_data_with_one_description_have_no_parts(recipe, monkeypatch):
    monkeypatch.setattr(Codec, "spec", Width(3))
    with pytest.raises(RecipeError, match=r"'acme/pairs', which has no parts; leave spec out\n.*'words'"):
        check(*recipe())
