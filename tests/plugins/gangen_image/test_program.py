"""Image generators as programs of torch."""

import json

import pytest
import torch

import gangen
from gangen import cli, noise
from gangen.components.options import read_use
from gangen.components.registry import Registry
from gangen.model import Model
from gangen_image import ImageCodec, ImageSpec

SPEC = ImageSpec(1, 16, ("a", "b", "c"))
GENERATORS = [
    {"use": "image/dcgan", "max_width": 8},
    {"use": "image/mlp", "hidden_dim": 8, "spectral_norm": True, "latent": "uniform"},
    {"use": "image/r3gan", "max_width": 16, "width": 16},
    {"use": "image/resnet", "max_width": 8, "attention": [8], "condition": "modulate"},
    {"use": "image/style", "max_width": 8},
]


@pytest.mark.parametrize("generator", GENERATORS, ids=lambda it: it["use"])
def test_generators_are_programs(generator, tmp_path):
    registry = Registry.discover()
    with gangen.seeded(0):
        network = registry.build(read_use("generators", generator, registry), spec=SPEC)
    model = Model(network, {"generator": network}, ImageCodec(SPEC), generator["use"], torch.device("cpu"))
    model.save_program(tmp_path / "images.pt2")
    about = {"inputs.json": ""}
    program = torch.export.load(tmp_path / "images.pt2", extra_files=about).module()
    label = torch.tensor([0, 2])
    with torch.no_grad(), noise.shared(1):
        wanted = network.sample(2, {"label": label})
    with noise.shared(1):
        draws = json.loads(about["inputs.json"])["noise"]
        given = [getattr(noise, it["distribution"])(2, *it["shape"][1:]) for it in draws]
    torch.testing.assert_close(program(given, {"label": label}), wanted, rtol=0, atol=1e-5)


def test_a_run_is_exported_as_a_program_on_the_command_line(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    gangen.train(
        {
            "run": "run",
            "data": {"use": "image/points", "size": 64},
            "players": {"generator": "image/mlp", "discriminator": "image/mlp"},
            "objective": "image/gan",
            "phases": {"adversarial": {"steps": 1, "turns": {"discriminate": 1, "generate": 1}}},
            "every": {"sample": 0},
        }
    )
    assert cli.main(["export", "run", "points.pt2"]) == 0
    assert torch.export.load("points.pt2").module()([torch.randn(5, 64)], {}).shape == (5, 2)
    assert cli.main(["export", "run", "points.pt2", "--license", "mit"]) == 2
    assert "a program, as points.pt2, has no card" in capsys.readouterr().err
    assert cli.main(["export", "run", "points", "--prompt", "7"]) == 2
    assert "--prompt is for a program" in capsys.readouterr().err
