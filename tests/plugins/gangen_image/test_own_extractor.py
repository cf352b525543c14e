"""A network of one's own as an extractor: one file beside the recipe, which names it with ``code``."""

import json

import pytest
import torch
from safetensors.torch import save_file

from gangen import cli

FILE = """
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import nn

from gangen import UsageError, digest, hookimpl


class LeNet:
    name = "lenet"                             # figures are frechet_lenet, kid_lenet and so on

    def __init__(self, *, weights: Path):
        self.key = type(self), weights         # the class and all options
        with torch.device("meta"):             # takes no memory and draws nothing: the weights come from the file
            first, second = nn.Conv2d(1, 8, 5, stride=2), nn.Conv2d(8, 16, 5, stride=2)
            self.net = nn.Sequential(first, nn.ReLU(), second, nn.ReLU(), nn.Flatten(), nn.Linear(256, 32)).eval()
        self.net.load_state_dict(load_file(weights), assign=True)

    def check(self, data):                     # asked before any training
        if data.codec.spec.shape != (1, 28, 28):
            raise UsageError("extractor local/lenet looks at grey images of 28 x 28")

    def fit(self, data, device):               # what learns from the data does so here, once
        self.net.to(device)

    @property
    def digest(self):                          # figures compare where it is the same
        return digest(self.net.state_dict())

    @torch.no_grad()
    def features(self, samples):               # float [n, 1, 28, 28] as generators make them, in [-1, 1]
        return self.net(samples.float().clamp(-1, 1))


@hookimpl
def gangen_extractors(register):
    register("lenet", f"{__name__}:LeNet", summary="a LeNet with weights of its own")
"""

RECIPE = """
run: {folder}/run
code: [my_extractor.py]
data: {{use: image/digits, size: {size}}}
players:
  generator: {{use: image/mlp, hidden_dim: 8}}
  discriminator: {{use: image/mlp, hidden_dim: 8}}
objective: image/gan
phases: {{adversarial: {{steps: 1, turns: {{discriminate: 1, generate: 1}}}}}}
trainer: {{batch_size: 10, threads: 1}}
every: {{log: 0, sample: 0, evaluate: 1, checkpoint: 0}}
metrics:
- {{use: frechet, samples: 50, extractor: {{use: local/lenet, weights: {folder}/lenet.safetensors}}}}
"""


@pytest.fixture
def recipe(tmp_path):
    """Write the file, the weights and a recipe for images of a size."""
    shapes = {"0": (8, 1, 5, 5), "2": (16, 8, 5, 5), "5": (32, 256)}
    generator = torch.Generator().manual_seed(0)
    weights = {f"{layer}.weight": torch.randn(shape, generator=generator) / 10 for layer, shape in shapes.items()}
    biases = {f"{layer}.bias": torch.zeros(shape[0]) for layer, shape in shapes.items()}
    save_file(weights | biases, tmp_path / "lenet.safetensors")
    (tmp_path / "my_extractor.py").write_text(FILE)

    def write(size):
        path = tmp_path / "recipe.yaml"
        path.write_text(RECIPE.format(folder=tmp_path, size=size))
        return str(path)

    return write


def test_a_recipe_measures_with_a_network_from_a_file_beside_it(recipe, tmp_path):
    assert cli.main([recipe(28)]) == 0
    (row,) = [json.loads(line) for line in (tmp_path / "run/metrics.jsonl").read_text().splitlines()]
    assert row["frechet_lenet"]["value"] > 5 * row["frechet_lenet"]["real"] > 0


def test_data_that_it_refuses_are_told_before_any_training(recipe, tmp_path, capsys):
    assert cli.main(["check", recipe(32)]) == 2
    assert "local/lenet looks at grey images of 28 x 28" in capsys.readouterr().err
