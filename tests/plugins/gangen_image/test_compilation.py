"""Every family of networks compiled and plain, in the image game and from a recipe; without torch's code generation."""

import shutil

import pytest
import torch
from safetensors.torch import load_file
from torch._dynamo.testing import CompileCounterWithBackend

from gangen import cli, noise
from gangen.contracts import Clock
from gangen.losses import NonSaturating
from gangen.optimizers import Learning, adam
from gangen.penalties import R1, R2
from gangen.training import compilation
from gangen.training.compilation import compile_game
from gangen.training.players import Player, learning, networks_of
from gangen_image.networks.dcgan import DCGANDiscriminator, DCGANGenerator
from gangen_image.networks.mlp import MLPDiscriminator, MLPGenerator
from gangen_image.networks.r3gan import R3GANDiscriminator, R3GANGenerator
from gangen_image.networks.resnet import ResNetDiscriminator, ResNetGenerator
from gangen_image.networks.style import StyleDiscriminator, StyleGenerator
from gangen_image.objectives.augmentation import DiffAugment
from gangen_image.objectives.gan import ImageGAN
from gangen_image.spec import ImageSpec

SPEC = ImageSpec(1, 8, ("even", "odd"))
CLOCK = Clock("adversarial", 0, 10)
BATCH = {
    "image": torch.randint(256, (4, 1, 8, 8), generator=torch.Generator().manual_seed(0), dtype=torch.uint8),
    "label": torch.tensor([0, 1, 1, 0]),
}
SMALL = {"width": 4, "max_width": 8}
FAMILIES = {
    "mlp": (MLPGenerator, MLPDiscriminator, {"hidden_dim": 8}, {"hidden_dim": 8, "condition": "concat"}),
    "dcgan": (DCGANGenerator, DCGANDiscriminator, SMALL | {"condition": "modulate"}, SMALL | {"minibatch_std": 2}),
    "resnet": (ResNetGenerator, ResNetDiscriminator, SMALL, SMALL | {"spectral_norm": False, "norm": "layer"}),
    "r3gan": (R3GANGenerator, R3GANDiscriminator, *[SMALL | {"blocks": 1, "group_size": 4}] * 2),
    "style": (StyleGenerator, StyleDiscriminator, *[SMALL] * 2),
}


@pytest.fixture(autouse=True)
def counter(monkeypatch):
    """Graphs that run as they were traced; ``frame_count`` counts them."""
    torch._dynamo.reset()
    counter = CompileCounterWithBackend("aot_eager")
    monkeypatch.setattr(compilation, "generate_code", counter)
    return counter


def gradients(family, *, compiled, one_pass=True, **options):
    """Of both turns, by turn and name of weight; and what was said on the way."""
    torch.manual_seed(0)
    generator, discriminator, *settings = FAMILIES[family]
    nets = {"generator": generator(SPEC, **settings[0]), "discriminator": discriminator(SPEC, **settings[1])}
    players = {name: Player(name, net.double().train(), Learning(adam)) for name, net in nets.items()}
    objective = ImageGAN(SPEC, loss=NonSaturating(), penalties=[R1(), R2()], **options)
    said, found = [], {}
    for penalty in objective.penalties if not one_pass else ():
        penalty.differentiates = ()
    if compiled:
        compile_game(players, objective, said.append)
    for turn in (objective.discriminate, objective.generate):
        with learning(players, turn.updates) as (learner,), noise.shared(1):
            turn(networks_of(players), BATCH, CLOCK)[0].backward()
            found |= {
                f"{learner.name}.{name}": weight.grad.clone()
                for name, weight in learner.net.named_parameters()
                if weight.grad is not None
            }
    return found, said


@pytest.fixture
def double():
    """Noise and images in double precision."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_compiled_game_has_the_gradients_of_the_plain_one(family, counter, double):
    expected, _ = gradients(family, compiled=False)
    found, said = gradients(family, compiled=True)
    assert said == []
    assert counter.frame_count >= 3
    assert found.keys() == expected.keys()
    largest = max(gradient.abs().max() for gradient in expected.values())
    for name, gradient in expected.items():
        assert torch.allclose(found[name], gradient, rtol=1e-9, atol=1e-12 * largest), name


def test_augmentation_keeps_penalties_from_being_compiled_and_the_game_as_it_was(counter, double):
    expected, _ = gradients("mlp", compiled=False, one_pass=False, augmentation=DiffAugment())
    found, said = gradients("mlp", compiled=True, augmentation=DiffAugment())
    assert said == ["compile: the gradient in penalties runs uncompiled: gangen.noise draws outside of compiled graphs"]
    assert counter.frame_count >= 2
    for name, gradient in expected.items():
        assert torch.allclose(found[name], gradient, rtol=1e-9, atol=1e-12), name


RECIPE = """
run: {run}
data: {{use: image/points, size: 200, heldout_size: 50}}
players:
  generator: {{use: image/mlp, hidden_dim: 8, ema: 0.9}}
  discriminator: {{use: image/mlp, hidden_dim: 8}}
objective: {{use: image/gan, penalties: [{{use: r1, weight: {{start: 2, end: 1}}}}]}}
phases: {{adversarial: {{steps: 4, turns: {{discriminate: 2, generate: 1}}}}}}
trainer: {{batch_size: 16, compile: {compile}}}
every: {{log: 0, sample: 2, evaluate: 2, checkpoint: 2}}
metrics: [{{use: image/modes, samples: 100}}]
"""


def play(folder, compile="true", *overrides):
    (folder / "game.yaml").write_text(RECIPE.format(run=folder / "run", compile=compile))
    return cli.main([str(folder / "game.yaml"), *overrides])


def weights(folder):
    checkpoint = folder / "run/checkpoints/step-00000004"
    return {
        f"{path.parent.name}/{path.name}/{name}": tensor
        for path in sorted(checkpoint.rglob("*.safetensors"))
        for name, tensor in load_file(path).items()
    }


def test_a_compiled_run_writes_what_the_plain_one_writes_and_goes_on_to_the_bit(tmp_path, counter):
    plain, whole, half = tmp_path / "plain", tmp_path / "whole", tmp_path / "half"
    for folder in (plain, whole):
        folder.mkdir()
    assert play(plain, "false") == 0
    assert counter.frame_count == 0
    assert play(whole) == 0
    assert counter.frame_count == 6  # two networks in two turns, the slope, and the trial of the compiler
    shutil.copytree(whole, half)
    shutil.rmtree(half / "run/checkpoints/step-00000004")
    (half / "run/checkpoints/latest").write_text("step-00000002\n")
    torch._dynamo.reset()
    assert play(half, "true", f"run={half / 'run'}") == 0
    found, expected, resumed = weights(whole), weights(plain), weights(half)
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        assert torch.allclose(found[name], tensor, rtol=1e-4, atol=1e-6), name
        assert torch.equal(resumed[name], found[name]), name


def test_a_machine_without_a_compiler_is_refused_before_any_training(tmp_path, monkeypatch, capsys):
    def generate(graph, inputs):
        raise RuntimeError("no compiler found")

    monkeypatch.setattr(compilation, "generate_code", generate)
    assert play(tmp_path) == 2
    said = capsys.readouterr().err
    assert "compile: torch.compile does not work here: RuntimeError: no compiler found" in said
    assert "Traceback" not in said
    assert not (tmp_path / "run/checkpoints").exists()
