"""A gradient that is not finite on one process: all leave the turn out, or go back, together."""

import json

import pytest

CODE = """
import os
import torch
from gangen import hookimpl, updates

class Game:
    def __init__(self, spec):
        self.rank = os.environ["BROKEN"]

    @updates("generator")
    def generate(self, players, batch, clock):
        loss = players.generator.sample(4).square().mean()
        if clock.step == 4 and os.environ["RANK"] == self.rank:
            loss = loss + (loss - loss.detach()).abs().sqrt()    # 0, with a gradient of inf times 0
        return loss, {}

@hookimpl
def gangen_objectives(register):
    register("game", f"{__name__}:Game")
"""
RECIPE = """
code: mine.py
data: {use: image/points, size: 32, heldout_size: 8}
players: {generator: {use: image/mlp, hidden_dim: 4, ema: 0.9}}
objective: local/game
phases: {only: {steps: 8, turns: {generate: 1}}}
trainer: {batch_size: 8}
every: {sample: 0, checkpoint: 3, log: 2}
run: run
"""


@pytest.fixture
def play(tmp_path, python):
    """Play on two processes, of which ``broken`` has a gradient of nan in step 5; returns events and what was said."""
    (tmp_path / "mine.py").write_text(CODE)
    (tmp_path / "game.yaml").write_text(RECIPE)

    def play(*overrides, broken=1, run="run"):
        words = ("-m", "gangen", "game.yaml", f"run={run}", *overrides)
        said = python(*words, processes=2, check=False, cwd=tmp_path, BROKEN=str(broken))
        found = [json.loads(line) for line in (tmp_path / run / "metrics.jsonl").read_text().splitlines()]
        return [row for row in found if "event" in row], said

    play.folder = tmp_path
    return play


def test_all_skip_what_is_not_finite_on_one_of_them(play):
    for broken in (0, 1):
        [event], _ = play("trainer.non_finite=skip", broken=broken, run=f"broken{broken}")
        assert (event["step"], event["event"]) == (5, "skip")
        words = "its figures or gradients are not finite on process"
        assert event["warning"] == f"turn 'generate' of step 5: {words} {broken} of 2; it was skipped"
    one, other = (
        (play.folder / f"broken{broken}/checkpoints/step-00000008/generator/model.safetensors").read_bytes()
        for broken in (0, 1)
    )
    assert one == other


def test_all_go_back_together_and_stop_together(play):
    found, said = play("trainer={non_finite: roll_back, recovery: {times: 1}}")
    assert [(row["step"], row["event"]) for row in found] == [(6, "roll_back"), (6, "stop")]
    [error] = [line for line in said.stderr.splitlines() if line.startswith("gangen: error")]
    assert error.startswith("gangen: error: generate/")
    assert "it was rolled back 1 time before (trainer.recovery.times)" in said.stderr
    assert (play.folder / "run/checkpoints/latest").read_text() == "step-00000003\n"
