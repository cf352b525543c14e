"""What an objective keeps between turns is the same on all processes, or is not saved."""

import pytest

CODE = """
import torch
from gangen import all_gather, hookimpl, updates

class Game(torch.nn.Module):
    def __init__(self, spec, *, shared: bool):
        super().__init__()
        self.shared = shared
        self.register_buffer("counts", torch.zeros(1, dtype=torch.long))
        self.register_buffer("pool", torch.zeros(1))

    @updates("generator")
    def generate(self, players, batch, clock):
        fakes = players.generator.sample(4)
        mean = fakes.detach().mean()
        self.pool[0] = all_gather(mean).mean() if self.shared else mean
        self.counts += 1
        return fakes.square().mean(), {}

@hookimpl
def gangen_objectives(register):
    register("game", f"{__name__}:Game")
"""
RECIPE = """
code: mine.py
data: {use: image/points, size: 32, heldout_size: 8}
players: {generator: {use: image/mlp, hidden_dim: 4}}
objective: {use: local/game, shared: SHARED}
phases: {only: {steps: 2, turns: {generate: 1}}}
trainer: {batch_size: 8}
every: {sample: 0, checkpoint: 1}
run: run
"""


@pytest.mark.parametrize("shared", [True, False])
def test_what_an_objective_keeps_is_the_same_on_all_processes_or_is_not_saved(shared, tmp_path, python):
    (tmp_path / "mine.py").write_text(CODE)
    (tmp_path / "game.yaml").write_text(RECIPE.replace("SHARED", str(shared).lower()))
    said = python("-m", "gangen", "game.yaml", processes=2, check=False, cwd=tmp_path).stderr
    assert (tmp_path / "run/checkpoints/latest").exists() == shared
    errors = [line for line in said.splitlines() if line.startswith("gangen: error")]
    wrong = "gangen: error: objective 'local/game' keeps 'pool', which is not the same on all processes"
    assert ([line[: len(wrong)] for line in errors] == [wrong]) == (not shared)
