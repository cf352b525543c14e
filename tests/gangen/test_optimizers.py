import pytest
import torch

from gangen.errors import PluginError
from gangen.recipe.load import load_recipe
from gangen.training.assemble import build_game
from gangen.training.run import train

LION = """
import torch
from gangen import Schedule, hookimpl

@hookimpl
def gangen_optimizers(register):
    register("lion", f"{__name__}:Lion", summary="Chen et al., 2023")

class Lion(torch.optim.Optimizer):
    def __init__(self, parameters, *, lr: Schedule = 1e-4, share: float = 0.9):
        super().__init__(parameters, {"lr": lr(0.0), "share": share})
"""
RECIPE = """\
code: lion.py
data: echo/ring
players:
  generator: {use: echo/mlp, optimizer: {use: local/lion, lr: {start: 2, end: 1}, groups: [{match: "*.bias", lr: 5}]}}
  discriminator: {use: echo/mlp, optimizer: sgd}
objective: echo/gan
phases:
  adversarial: {steps: 3, turns: {discriminate: 1, generate: 1}, optimizers: {discriminator: {use: lion, share: 0.5}}}
"""


def test_an_optimizer_of_a_plugin_is_built_for_players_and_phases(tmp_path, echo):
    (tmp_path / "lion.py").write_text(LION)
    (tmp_path / "game.yaml").write_text(RECIPE)
    _, players, (phase,), _ = build_game(load_recipe(tmp_path / "game.yaml", [], echo), echo, torch.device("cpu"))
    generator, discriminator = players["generator"], players["discriminator"]
    assert type(generator.optimizer).__name__ == "Lion"
    assert [group["lr"] for group in generator.optimizer.param_groups] == [5, 2]
    names = {id(parameter): name for name, parameter in generator.net.named_parameters()}
    assert all(names[id(it)].endswith(".bias") for it in generator.optimizer.param_groups[0]["params"])
    assert isinstance(discriminator.optimizer, torch.optim.SGD)
    discriminator.use_optimizer(phase.optimizers["discriminator"])
    assert discriminator.optimizer.param_groups[0]["share"] == 0.5


COUNTING = """
import torch
from gangen import Schedule, hookimpl

@hookimpl
def gangen_optimizers(register):
    register("counting", f"{__name__}:Counting")

class Counting(torch.optim.Optimizer):
    def __init__(self, parameters, *, lr: Schedule = 1e-4):
        super().__init__(parameters, {"lr": lr(0.0)})

    def step(self):
        for parameter in self.param_groups[0]["params"]:
            self.state[parameter]["steps"] = 1
"""


def test_what_a_checkpoint_cannot_keep_of_an_optimizer_is_named(tmp_path, echo):
    (tmp_path / "lion.py").write_text(COUNTING)
    (tmp_path / "game.yaml").write_text(RECIPE)
    overrides = [
        f"run={tmp_path / 'run'}",
        "players.generator.optimizer=local/counting",
        "phases.adversarial.optimizers={}",
    ]
    with pytest.raises(PluginError, match=r"optimizer of player 'generator' keeps 'steps', which is not a tensor"):
        train(load_recipe(tmp_path / "game.yaml", overrides, echo), echo)
