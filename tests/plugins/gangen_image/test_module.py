"""Networks that people have already: a module of their own code starts with its weights, plays, and is opened again."""

import sys

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from gangen import cli, saved_model
from gangen.errors import UsageError
from gangen_image.networks.module import ModuleDiscriminator, ModuleGenerator
from gangen_image.spec import ImageSpec, PointSpec

CODE = """
from torch import nn

class Decoder(nn.Module):
    def __init__(self, channels=2):
        super().__init__()
        self.first = nn.ConvTranspose2d(channels, 4, 4, stride=2, padding=1)
        self.norm = nn.BatchNorm2d(4)
        self.second = nn.ConvTranspose2d(4, 1, 4, stride=4)

    def forward(self, code):
        return self.second(self.norm(self.first(code)).relu()).tanh()

class Critic(nn.Module):
    def __init__(self):
        super().__init__()
        self.trunk, self.head = nn.Conv2d(1, 4, 4, stride=4), nn.Conv2d(4, 1, 1)

    def forward(self, images):
        return self.head(self.trunk(images).relu())
"""
RECIPE = """
run: {run}
code: [my_net.py]
data: {{use: image/digits, size: 32}}
players:
  generator: {{use: image/module, network: "my_net:Decoder", latent_shape: [2, 4, 4]}}
  discriminator: {{use: image/module, network: "my_net:Critic"}}
objective: {{use: image/gan, penalties: [{{use: r1, weight: 1}}]}}
start_from: {{generator: {weights}, discriminator: {critic}}}
phases: {{adversarial: {{steps: 2, turns: {{discriminate: 1, generate: 1}}}}}}
trainer: {{batch_size: 8, threads: 1}}
every: {{sample: 0, checkpoint: 2}}
"""


class Tanh(nn.Tanh):
    pass


class Pair(nn.Module):
    """A mean and a deviation, as decoders may have them."""

    def forward(self, x):
        return x, x


class Mean(nn.Module):
    def forward(self, x):
        return x.mean()


def unsaid():
    raise AssertionError("nobody may call this")


def narrow() -> nn.Linear:
    return nn.Linear(9, 1)


class Views(nn.Module):
    """As most discriminators in tutorials are written."""

    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Conv2d(3, 4, 4), nn.Linear(100, 1)

    def forward(self, x):
        return self.last(self.first(x).view(len(x), -1))


class Late(nn.Sequential):
    def __init__(self):
        super().__init__(nn.LazyConv2d(4, 4), nn.Flatten(), nn.LazyLinear(1))


class Labelled(nn.Module):
    def __init__(self):
        super().__init__()
        self.points = nn.Embedding(3, 2)

    def forward(self, code, label):
        return code + self.points(label)


class Judging(Labelled):
    def forward(self, points, label):
        return (points * self.points(label)).sum(1)


def test_a_decoder_of_ones_own_is_finished_by_a_game_and_opens_without_its_first_weights(tmp_path, monkeypatch):
    (tmp_path / "my_net.py").write_text(CODE)
    names: dict = {}
    exec(CODE, names)
    torch.manual_seed(0)
    for name in ("Decoder", "Critic"):
        save_file(names[name]().state_dict(), tmp_path / f"{name}.safetensors")
    weights, run = tmp_path / "Decoder.safetensors", tmp_path / "run"
    recipe = RECIPE.format(run=run, weights=weights, critic=tmp_path / "Critic.safetensors")
    (tmp_path / "finish.yaml").write_text(recipe)
    assert cli.main([str(tmp_path / "finish.yaml"), "players.generator.optimizer.lr=0"]) == 0
    kept, given = load_file(run / "model/generator.safetensors"), load_file(weights)
    assert all(torch.equal(kept[f"net.{name}"], it) for name, it in given.items() if "norm" not in name)
    taught = load_file(run / "checkpoints/step-00000002/discriminator/model.safetensors")
    given = load_file(tmp_path / "Critic.safetensors")
    assert all(0 < (taught[f"net.{name}"] - it).abs().max() < 0.01 for name, it in given.items())
    weights.unlink()
    monkeypatch.delitem(sys.modules, "gangen_local_my_net")
    with pytest.raises(UsageError, match=r"no my_net.py among the recipe's code\nthe model .*--code .*my_net.py"):
        saved_model.load(run)
    model = saved_model.load(run, code=[run / "model/code/my_net.py"])
    first, *_ = model.interpolate(n=3, seed=1)
    assert first.size == (32, 32) and len(model.sample(n=2, seed=1)) == 2


@pytest.fixture
def mine(monkeypatch):
    """This file, as if it were the code of a recipe."""
    monkeypatch.setitem(sys.modules, "gangen_local_mine", sys.modules[__name__])


def test_labels_and_latents_of_any_shape_are_passed_on(mine):
    spec, options = PointSpec(2, ("a", "b", "c")), {"network": "mine:Labelled", "latent_shape": [2], "labelled": True}
    generator = ModuleGenerator(spec, **options)
    judge = ModuleDiscriminator(spec, network="mine:Judging", labelled=True)
    condition = {"label": torch.tensor([2, 0])}
    latent = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    points = generator.sample(2, condition, latent=latent)
    assert torch.equal(points, latent + generator.net.points.weight[[2, 0]])
    assert torch.equal(judge(points, condition), (points * judge.net.points.weight[[2, 0]]).sum(1))
    with pytest.raises(UsageError, match="a condition needs a label"):
        generator.sample(2)
    with torch.device("meta"):
        assert ModuleGenerator(spec, **options).net.points.weight.is_meta


@pytest.mark.parametrize("name", ["Views", "Late"])
def test_modules_that_view_tensors_as_they_lie_or_take_shape_late_can_be_played(mine, name):
    judge = ModuleDiscriminator(ImageSpec(3, 8), network=f"mine:{name}")
    judge(torch.randn(4, 3, 8, 8)).sum().backward()
    assert all(it.grad is not None for it in judge.parameters())


TANH = {"network": "mine:Tanh", "latent_shape": [3]}


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        (ModuleGenerator, TANH, r"mine:Tanh makes samples of \[3\], and these data have \[1, 8, 8\]"),
        (ModuleGenerator, TANH | {"network": "mine:Labelled"}, r"mine:Labelled cannot take two rows of \[3\]: .*label"),
        (ModuleGenerator, TANH | {"network": "mine:Nothing"}, "cannot open network 'mine:Nothing': module .* has no"),
        (ModuleGenerator, TANH | {"network": "torch.nn:Tanh"}, "there is no torch.nn.py among the recipe's code"),
        (ModuleGenerator, TANH | {"labelled": True}, "is labelled, and these data have no labels"),
        (ModuleDiscriminator, {"network": "mine:narrow"}, r"mine:narrow cannot take two rows of \[1, 8, 8\]: mat1"),
        (ModuleGenerator, TANH | {"network": "mine:Pair"}, r"cannot take two rows of \[3\]: they become tuple"),
        (ModuleDiscriminator, {"network": "mine:Pair"}, r"cannot take two rows of \[1, 8, 8\]: they become tuple"),
        (ModuleDiscriminator, {"network": "mine:Mean"}, r"cannot take two rows of \[1, 8, 8\]: they become \[\]"),
        (ModuleDiscriminator, {"network": "mine:unsaid"}, "it is neither a class of torch modules nor a function"),
    ],
)
def test_modules_that_do_not_fit_the_data_are_refused(kind, options, message, mine):
    with pytest.raises(UsageError, match=message):
        kind(ImageSpec(1, 8), **options)
