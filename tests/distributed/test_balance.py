"""Two processes agree on who is left out of a step, and leave out whom one would."""

import json

import pytest
import torch
from safetensors.torch import load_file

import gangen

RECIPE = """
data: {use: image/points, size: 500}
players:
  generator: {use: image/mlp, hidden_dim: 8, optimizer: {lr: 0.01, eps: 1e-4}}
  discriminator: {use: image/mlp, hidden_dim: 8, optimizer: {lr: 0.01, eps: 1e-4}}
objective: image/gan
phases:
  adversarial:
    steps: 40
    turns: {discriminate: 1, generate: 1}
    balance: {player: discriminator, figure: discriminate/accuracy, low: 0.55, high: 0.6, decay: 0.5}
trainer: {batch_size: 32, precision: fp64}
every: {log: 1, sample: 0, checkpoint: 0}
"""


def test_two_processes_leave_out_whom_one_would(tmp_path, python):
    recipe = tmp_path / "game.yaml"
    recipe.write_text(RECIPE)
    rows = {}
    gangen.train(recipe, run=str(tmp_path / "one"))
    # What they wrote is what counts: gloo now and then aborts a process that is done, at the interpreter's exit.
    python("-m", "gangen", recipe, f"run={tmp_path / 'two'}", processes=2, check=False)
    for name in ("one", "two"):
        rows[name] = [json.loads(line) for line in (tmp_path / name / "metrics.jsonl").read_text().splitlines()]
    for turn in ("discriminate/skipped", "generate/skipped"):
        skipped = [row[turn] for row in rows["one"]]
        assert [row[turn] for row in rows["two"]] == skipped
        assert 0 < sum(skipped) < 40
    accuracies = ([row["discriminate/accuracy"] for row in rows[name]] for name in ("one", "two"))
    assert next(accuracies) == pytest.approx(next(accuracies))
    one, two = (load_file(tmp_path / name / "model/generator.safetensors") for name in ("one", "two"))
    for key, expected in one.items():
        assert torch.allclose(two[key], expected, rtol=0, atol=1e-8), key
