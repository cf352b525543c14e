"""Weights of R3GAN as its authors' program calls them start a player of image/r3gan."""

import numpy
import pytest
import torch
from safetensors.torch import load_file, save_file

from gangen import cli
from gangen_image.networks.r3gan import R3GANDiscriminator, R3GANGenerator
from gangen_image.networks.r3gan_names import discriminator_names, generator_names
from gangen_image.spec import ImageSpec

# Of images of 8 x 8, one block a stage: what a tensor is called there, its shape, and what it is called here.
BLOCKS = [
    ("MainLayers.{0}.Layers.{1}.LinearLayer1.Layer.weight", "stages.{0}.0.expand.weight"),
    ("MainLayers.{0}.Layers.{1}.NonLinearity1.Bias", "stages.{0}.0.expand.bias"),
    ("MainLayers.{0}.Layers.{1}.LinearLayer2.Layer.weight", "stages.{0}.0.mix.weight"),
    ("MainLayers.{0}.Layers.{1}.NonLinearity2.Bias", "stages.{0}.0.mix.bias"),
    ("MainLayers.{0}.Layers.{1}.LinearLayer3.Layer.weight", "stages.{0}.0.reduce.weight"),
]
GENERATOR = [
    ("EmbeddingLayer.weight", "label_embedding.weight"),
    ("MainLayers.0.Layers.0.Basis", "basis"),
    ("MainLayers.0.Layers.0.LinearLayer.weight", "input.weight"),
    ("MainLayers.1.Layers.0.LinearLayer.Layer.weight", "transitions.0.weight"),
    ("AggregationLayer.Layer.weight", "output.weight"),
    *((theirs.format(stage, 1), ours.format(stage)) for stage in (0, 1) for theirs, ours in BLOCKS),
]
DISCRIMINATOR = [
    ("EmbeddingLayer.weight", "head.projection.weight"),
    ("ExtractionLayer.Layer.weight", "input.weight"),
    ("MainLayers.0.Layers.1.LinearLayer.Layer.weight", "transitions.0.weight"),
    ("MainLayers.1.Layers.1.Basis.weight", "basis.weight"),
    ("MainLayers.1.Layers.1.LinearLayer.weight", "head.output.weight"),
    *((theirs.format(stage, 0), ours.format(stage)) for stage in (0, 1) for theirs, ours in BLOCKS),
]
RECIPE = """
run: {0}/run
data: {{use: image/arrays, images: {0}/images.npy, labels: {0}/labels.npy}}
players:
  generator: {{use: image/r3gan, blocks: 1, width: 4, max_width: 8, latent_dim: 4, group_size: 4, ema: 0.9}}
  discriminator: {{use: image/r3gan, blocks: 1, width: 4, max_width: 8, group_size: 4}}
objective: image/gan
start_from: {{generator: {0}/G_ema.safetensors, discriminator: {0}/D.safetensors}}
phases: {{settle: {{steps: 1, turns: {{settle: 1}}}}}}
trainer: {{batch_size: 8, threads: 1}}
every: {{sample: 0, checkpoint: 1}}
"""


@pytest.fixture
def play(tmp_path):
    """Plays a recipe whose players start from two files, and teaches nobody; returns the exit code."""
    numpy.save(tmp_path / "images.npy", numpy.arange(40 * 64, dtype=numpy.uint8).reshape(40, 8, 8))
    numpy.save(tmp_path / "labels.npy", numpy.arange(40) % 2)
    (tmp_path / "game.yaml").write_text(RECIPE.format(tmp_path))
    return lambda *overrides: cli.main([str(tmp_path / "game.yaml"), *overrides])


def stored(net, names, file):
    """Random weights of ``net`` in a file by ``names`` of the authors; returns them by the names of ``net``."""
    ours = {name: torch.randn_like(tensor) for name, tensor in net.state_dict().items()}
    theirs = {f"Model.{there}": ours[here] for there, here in names} | {
        "Model.MainLayers.1.Layers.0.Resampler.Kernel": torch.ones(4, 4)
    }
    save_file({name: tensor.contiguous() for name, tensor in theirs.items()}, file)
    return ours


@pytest.mark.parametrize(("size", "stages"), [(8, 2), (16, 3)])
def test_each_name_of_the_authors_leads_to_a_tensor_that_there_is(size, stages):
    spec, small = ImageSpec(1, size, ("0", "1")), {"blocks": 2, "width": 4, "max_width": 32, "group_size": 4}
    made, judge = R3GANGenerator(spec, latent_dim=4, **small), R3GANDiscriminator(spec, **small)
    assert {*generator_names(stages, 2).values(), "label_embedding.weight"} == made.state_dict().keys()
    assert set(discriminator_names(stages, 2).values()) == judge.state_dict().keys()


def test_published_weights_are_those_that_a_run_samples_with(play, tmp_path, capsys):
    spec = ImageSpec(1, 8, ("0", "1"))
    small = {"blocks": 1, "width": 4, "max_width": 8, "group_size": 4}
    made, judge = R3GANGenerator(spec, latent_dim=4, **small), R3GANDiscriminator(spec, **small)
    made.label_embedding.weight = torch.nn.Parameter(made.label_embedding.weight.T)  # there one-hot labels come in
    made = stored(made, GENERATOR, tmp_path / "G_ema.safetensors")
    judge = stored(judge, DISCRIMINATOR, tmp_path / "D.safetensors")
    made["label_embedding.weight"] = made["label_embedding.weight"].T
    assert play() == 0
    for name, weights in (("generator/model", made), ("generator/average", made), ("discriminator/model", judge)):
        found = load_file(tmp_path / f"run/checkpoints/step-00000001/{name}.safetensors")
        assert found.keys() == weights.keys() and all(found[key].equal(it) for key, it in weights.items())
    assert play(f"run={tmp_path / 'other'}", "players.generator.width=8") == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "G_ema.safetensors does not fit player 'generator': " in said
    assert "stages.1.0.expand.bias is [8] there and [16] here" in said
