"""Pretrained networks of images: how they are opened, what they see, who is taught with them and who measures."""

import json
import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors.torch import save_file
from torch import nn

from gangen import cli
from gangen.errors import UsageError
from gangen.metrics.comparison import Frechet
from gangen.metrics.context import MetricContext
from gangen.networks import Players, load_state, state_of
from gangen.splits import TensorSplit
from gangen_image.codec import ImageCodec
from gangen_image.extractors.features import Features
from gangen_image.networks.dcgan import DCGANDiscriminator
from gangen_image.networks.features import FeaturesDiscriminator
from gangen_image.pretrained import MEAN, STD, FeatureNetwork
from gangen_image.spec import ImageSpec, PointSpec

SPEC = ImageSpec(3, 32, ("a", "b", "c"))
LABEL = {"label": torch.tensor([2, 0, 1, 1])}
MODULE = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self, *, width=4):
        super().__init__()
        self.first = nn.Conv2d(3, width, 3, stride=2, padding=1)
        self.second = nn.Conv2d(width, 2 * width, 3, stride=2, padding=1)
        self.head = nn.Linear(2 * width, 5)

    def forward(self, x):
        return self.head(self.second(self.first(x).relu()).mean((2, 3)))

class Masked(Net):
    def forward(self, x):
        return super().forward(x * (torch.rand_like(x) < 0.5))

class Drawing(nn.Conv2d):
    def forward(self, x):
        return 1e-5 * super().forward(x * (torch.rand_like(x) < 0.5))

class Faint(Net):
    def __init__(self):
        super().__init__()
        self.first = Drawing(3, 4, 3, stride=2, padding=1)

class Cropped(Net):
    size = 20

    def forward(self, x):
        self.size += 4
        return super().forward(x[:, :, :self.size])

class Endless(Net):
    def forward(self, x):
        return super().forward(x / 0)

class Viewing(Net):
    def forward(self, x):
        return super().forward(x + 0 * self.first(x).view(len(x), -1).mean())

class Patches(nn.Module):
    def __init__(self):
        super().__init__()
        self.patches = nn.Conv3d(3, 4, (1, 8, 8), stride=(1, 8, 8))  # of one frame, as vision towers of videos have
        self.neck = nn.Conv2d(4, 5, 3, padding=1)

    def forward(self, x):
        return self.neck(self.patches(x.unsqueeze(2)).squeeze(2))

def made(width: int = 4) -> Net:
    return Net(width=width)

def unsaid(width=4):
    raise AssertionError("nobody may call this")
"""


@pytest.fixture(scope="module")
def vit(tmp_path_factory):
    from transformers import ViTConfig, ViTModel

    torch.manual_seed(0)
    sizes = {"hidden_size": 8, "num_hidden_layers": 8, "num_attention_heads": 2, "intermediate_size": 16}
    folder = tmp_path_factory.mktemp("models") / "tiny_vit"
    ViTModel(ViTConfig(image_size=16, patch_size=4, **sizes)).save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text('{"image_mean": [0.5, 0.4, 0.3], "image_std": [0.2, 0.3, 0.4]}')
    return str(folder)


@pytest.fixture
def own(tmp_path, monkeypatch):
    """Options of a network of one's own."""
    own_network = ModuleType("gangen_local_own_network")
    exec(MODULE, vars(own_network))
    monkeypatch.setitem(sys.modules, own_network.__name__, own_network)
    torch.manual_seed(0)
    save_file(own_network.Net().state_dict(), tmp_path / "own.safetensors")
    return {"network": "own_network:Net", "weights": tmp_path / "own.safetensors", "layers": ["first", "second"]}


def images(n=4):
    return torch.rand(n, 3, 32, 32, generator=torch.Generator().manual_seed(1)) * 2 - 1


def test_a_model_of_transformers_is_looked_through_at_four_depths_as_its_folder_says(vit):
    from transformers import ViTModel

    shown = F.interpolate(images(), size=16, mode="bilinear")
    shown = ((shown + 1) / 2 - torch.tensor([0.5, 0.4, 0.3])[:, None, None]) / torch.tensor([0.2, 0.3, 0.4])[
        :, None, None
    ]
    states = ViTModel.from_pretrained(vit).eval()(shown, output_hidden_states=True).hidden_states
    found = FeatureNetwork(model=vit).train().maps(images())
    assert len(found) == 4
    for it, state in zip(found, states[2::2], strict=True):
        assert torch.allclose(it.flatten(2).transpose(1, 2), state[:, 1:], atol=1e-5)
        assert it.shape == (4, 8, 4, 4)


def test_any_module_of_torch_is_looked_through_at_the_layers_that_are_named(own):
    net = sys.modules["gangen_local_own_network"].Net()
    network = FeatureNetwork(**own, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
    net.load_state_dict(network.net.state_dict())
    first, second = network.maps(images())
    assert torch.equal(first, net.first(images())) and torch.equal(second, net.second(first.relu()))
    made = FeatureNetwork(**own | {"network": "own_network:made", "network_options": {"width": 4}, "size": 16})
    assert [it.shape for it in made.maps(images())] == [(4, 4, 8, 8), (4, 8, 4, 4)]


def test_what_lies_behind_the_last_of_the_layers_is_not_computed(own):
    network = FeatureNetwork(**own | {"layers": ["first"]})
    computed = []
    network.net.second.register_forward_hook(lambda *_: computed.append("second"))
    network.net.first.register_forward_hook(lambda *_: computed.append("first"))
    for _ in range(2):
        network.maps(images())
    assert computed == ["first"] * 2


def test_a_network_with_convolutions_of_videos_is_looked_through_too(own):
    net = sys.modules["gangen_local_own_network"].Patches()
    save_file(net.state_dict(), own["weights"])
    network = FeatureNetwork(
        **own | {"network": "own_network:Patches", "layers": ["neck"]}, mean=(0, 0, 0), std=(1, 1, 1)
    )
    assert network.net.neck.weight.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(network.maps(images())[0], net((images() + 1) / 2))


def published(kind):
    """A tiny model of transformers, and what publications take of it for an image."""
    from transformers import CLIPConfig, CLIPModel, Dinov2Config, Dinov2Model, ViTConfig, ViTModel

    torch.manual_seed(0)
    sizes = {"hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 16}
    vision = sizes | {"image_size": 16, "patch_size": 4}
    if kind == "clip":
        net = CLIPModel(CLIPConfig(text_config=sizes | {"vocab_size": 9}, vision_config=vision, projection_dim=5))
        return net.eval(), lambda shown: net.get_image_features(shown).pooler_output
    if kind == "dinov2":
        net = Dinov2Model(Dinov2Config(**vision))
        return net.eval(), lambda shown: net(shown).last_hidden_state[:, 0]
    net = ViTModel(ViTConfig(**vision), add_pooling_layer=kind == "vit")
    return net.eval(), lambda shown: net(shown).pooler_output


class Shown(nn.Module):
    """A generator of given images."""

    def __init__(self, pixels):
        super().__init__()
        self.images = ImageSpec(3, 32).prepare(pixels)

    def sample(self, n, condition=None):
        return self.images[:n]


def shown_by_pillow(pixels):
    """What ``images`` of bytes are to a network whose images are 16 x 16, made so by Pillow."""
    small = [Image.fromarray(it.permute(1, 2, 0).numpy()).resize((16, 16), Image.Resampling.BICUBIC) for it in pixels]
    shown = torch.from_numpy(np.stack(small)).permute(0, 3, 1, 2) / 255
    return (shown - torch.tensor(MEAN)[:, None, None]) / torch.tensor(STD)[:, None, None]


@pytest.mark.parametrize("kind", ["vit", "dinov2", "clip"])
def test_frechet_distances_are_those_of_what_a_model_says_of_an_image_as_a_whole(kind, tmp_path):
    net, look = published(kind)
    net.save_pretrained(tmp_path / kind)
    real, made = (torch.randint(60, 200, (40, 3, 32, 32), generator=torch.Generator().manual_seed(s)) for s in (0, 1))
    real, made = real.to(torch.uint8), (made // 2 + 60).to(torch.uint8)
    rows = TensorSplit(image=real)
    data = SimpleNamespace(codec=ImageCodec(ImageSpec(3, 32)), heldout=rows, train=rows)
    extractor = Features(model=str(tmp_path / kind), pooling="pooler", resize="bicubic")
    evaluation = MetricContext(Players({"generator": Shown(made)}), data, device=torch.device("cpu"), batch_size=40)
    metric = Frechet(extractor=extractor)
    metric.check(evaluation)
    figure = metric(evaluation)[f"frechet_{kind}_pooler"]
    with torch.no_grad():
        a, b = (look(shown_by_pillow(it)).double().numpy() for it in (real, made))
    covariances = np.cov(a.T), np.cov(b.T)
    roots = np.linalg.eigvals(covariances[0] @ covariances[1]).clip(0).real ** 0.5
    expected = ((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(covariances[0] + covariances[1]) - 2 * roots.sum()
    # Pillow rounds to bytes.
    assert figure.value == pytest.approx(expected, rel=0.03) and expected > 10 * figure.real
    other = Features(model=str(tmp_path / kind), pooling="pooler")
    assert len({extractor.digest, other.digest, Features(model=str(tmp_path / kind)).digest}) == 3


def test_a_model_that_says_nothing_of_an_image_as_a_whole_has_no_pooler(own, tmp_path):
    published("headless")[0].save_pretrained(tmp_path / "vit")
    with pytest.raises(UsageError, match="its weights lack pooler"):
        Features(model=str(tmp_path / "vit"), pooling="pooler")
    with pytest.raises(UsageError, match="pooling is pooler for a model alone"):
        Features(**own, pooling="pooler")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model": "somewhere"}, "either a model or a network"),
        ({"network": None}, "either a model or a network"),
        ({"layers": []}, "needs weights, a file of safetensors, and layers"),
        ({"layers": ["third"]}, "there is no layer 'third'; there are, among others: first, second, head"),
        ({"network": "own_network:Nets"}, "cannot open network 'own_network:Nets': module '.*own_network' has no"),
        ({"network": "no_such_package:Net"}, "there is no no_such_package.py among the recipe's code"),
        ({"network": "own_network:unsaid"}, "neither a class of torch modules nor a function that is annotated"),
        ({"network": "os:system", "network_options": {"command": "exit"}}, "no os.py among the recipe's code"),
        ({"network_options": {"width": 6}}, r"own.safetensors does not hold the weights of .*: first.weight is \[4, "),
        ({"network_options": {"depth": 6}}, "unexpected keyword argument 'depth'"),
        ({"weights": __file__}, r"cannot read weights from .*, which must be safetensors: .*\nconvert what torch.save"),
        ({"weights": "nowhere"}, "cannot read weights from nowhere, which must be safetensors: No such file"),
        ({"network": None, "model": "./nowhere"}, "there is no such folder\nname a folder"),
    ],
)
def test_what_cannot_be_opened_is_refused(change, message, own):
    with pytest.raises(UsageError, match=message):
        FeatureNetwork(**own | change)


def test_models_of_text_alone_are_refused(tmp_path):
    from transformers import BertConfig, BertModel

    sizes = {"hidden_size": 4, "num_hidden_layers": 1, "num_attention_heads": 1, "intermediate_size": 4}
    BertModel(BertConfig(vocab_size=9, **sizes)).save_pretrained(tmp_path)
    with pytest.raises(UsageError, match="it is no model of images"):
        FeatureNetwork(model=str(tmp_path))


@pytest.mark.parametrize(
    ("spec", "options", "message"),
    [
        (ImageSpec(2, 32), {}, "looks at grey or colour images"),
        (PointSpec(), {}, "looks at grey or colour images"),
        (SPEC, {"size": 24}, r"cannot take images of 3 x 32 x 32, made 24 pixels wide: .*\ngive it another size"),
    ],
)
@pytest.mark.parametrize("who", ["discriminator", "extractor"])
def test_images_that_the_network_cannot_take_are_refused(who, spec, options, message, vit):
    with pytest.raises(UsageError, match=message):
        if who == "discriminator":
            FeaturesDiscriminator(spec, model=vit, **options)
        else:
            Features(model=vit, **options).check(SimpleNamespace(codec=SimpleNamespace(spec=spec)))


@pytest.mark.parametrize("who", [FeaturesDiscriminator, Features])
@pytest.mark.parametrize(
    ("network", "message"),
    [
        ("Masked", "says something else of the same images each time"),
        ("Faint", "says something else of the same images each time"),
        ("Cropped", "says something else of the same images each time"),
        ("Endless", "says nan or infinity of images"),
    ],
)
def test_a_network_that_draws_what_it_says_is_refused(who, network, message, own):
    with pytest.raises(UsageError, match=message):
        if who is Features:
            who(**own | {"network": f"own_network:{network}"}).check(SimpleNamespace(codec=SimpleNamespace(spec=SPEC)))
        else:
            who(SPEC, **own | {"network": f"own_network:{network}"})


def test_a_network_that_views_tensors_as_they_lie_is_looked_through(own):
    judge = FeaturesDiscriminator(SPEC, **own | {"network": "own_network:Viewing"})
    assert judge(torch.zeros(4, 3, 32, 32), LABEL).isfinite().all()


@pytest.mark.filterwarnings("ignore:for .*meta:UserWarning")
def test_it_is_built_without_memory(own):
    with torch.device("meta"):
        judge = FeaturesDiscriminator(SPEC, **own)
    assert all(it.is_meta for it in judge.parameters())


def test_heads_learn_and_the_network_neither_learns_nor_is_stored(own):
    torch.manual_seed(0)
    judge = FeaturesDiscriminator(SPEC, **own, width=6)
    shown = images().requires_grad_()
    logits = judge(shown, LABEL)
    assert logits.shape == (4, 2 * 16)  # 4 x 4 places of two heads
    logits.sum().backward()
    assert shown.grad.abs().sum() > 0
    assert {name.split(".")[0] for name, it in judge.named_parameters() if it.grad is not None} == {"heads"}
    assert {name.split(".")[0] for name in state_of(judge)} == {"heads", "mixing_0", "mixing_1"}
    torch.manual_seed(1)
    other = FeaturesDiscriminator(SPEC, **own, width=6)
    load_state(other, state_of(judge))
    assert torch.equal(other.eval()(images(), LABEL), judge.eval()(images(), LABEL))
    assert not torch.equal(other(images(), {"label": torch.tensor([0, 0, 1, 1])})[0], other(images(), LABEL)[0])
    with pytest.raises(UsageError, match="needs a label"):
        other(images())


def test_mixing_is_of_the_channels_of_each_map(own):
    plain, mixed = (FeaturesDiscriminator(ImageSpec(3, 32), **own, mixing=mixing) for mixing in (False, True))
    maps = mixed.maps(images())
    weights = [mixed.get_buffer(f"mixing_{number}")[:, :, 0, 0] for number in range(2)]
    maps = [torch.einsum("oc,nchw->nohw", weight, it) for weight, it in zip(weights, maps, strict=True)]
    expected = torch.cat([head(it, None) for head, it in zip(mixed.eval().heads, maps, strict=True)], 1)
    assert torch.allclose(mixed(images()), expected, atol=1e-5)
    assert not list(plain.named_buffers())[-1][0].startswith("mixing")


@pytest.mark.parametrize(("labels", "condition"), [(("a", "b", "c"), None), (("a", "b", "c"), "none"), ((), None)])
def test_a_discriminator_of_pixels_counts_as_much_as_all_heads(labels, condition, own):
    spec, label = ImageSpec(3, 32, labels), LABEL if labels else {}
    torch.manual_seed(0)
    both = FeaturesDiscriminator(spec, **own, width=6, pixel_width=4, condition=condition).eval()
    heads = FeaturesDiscriminator(spec, **own, width=6, condition=condition).eval()
    pixels = DCGANDiscriminator(spec, width=4, norm="none", spectral_norm=True, condition=condition).eval()
    weights = state_of(both)
    own_weights = {name.removeprefix("pixels."): it for name, it in weights.items() if name.startswith("pixels.")}
    load_state(heads, {name: it for name, it in weights.items() if not name.startswith("pixels.")})
    load_state(pixels, own_weights)
    said = both(images(), label)
    assert said.shape == (4, 2 * 2 * 16)
    assert torch.allclose(said.mean(1), (heads(images(), label).mean(1) + pixels(images(), label)) / 2, atol=1e-6)
    said.mean().backward()
    assert all(it.grad is not None for name, it in both.named_parameters() if not name.startswith("net."))


def test_pixels_of_a_size_that_is_no_power_of_two_are_refused(own):
    FeaturesDiscriminator(ImageSpec(3, 24), **own)
    with pytest.raises(UsageError, match=r"features, pixel_width: .* not 24; .*, or leave pixel_width out$"):
        FeaturesDiscriminator(ImageSpec(3, 24), **own, pixel_width=4)


RECIPE = """
run: {run}
data: {{use: image/digits, size: 32}}
players:
  generator: {{use: image/dcgan, width: 4, latent_dim: 4}}
  discriminator: {{use: image/features, model: {model}, width: 8}}
objective: {{use: image/gan, loss: hinge, augmentation: image/diffaugment}}
phases: {{adversarial: {{steps: 2, turns: {{discriminate: 1, generate: 1}}}}}}
trainer: {{batch_size: 8}}
every: {{evaluate: 2, sample: 0, checkpoint: 1}}
metrics:
- {{use: frechet, samples: 60, extractor: {{use: image/features, model: {model}}}}}
- {{use: frechet, samples: 60, extractor: {{use: image/features, {other}}}}}
"""


def test_who_measures_with_what_the_game_sees_with_is_warned(vit, own, tmp_path, capsys):
    other = f"network: {own['network']}, weights: {own['weights']}, layers: [second]"
    (tmp_path / "game.yaml").write_text(RECIPE.format(run=tmp_path / "run", model=vit, other=other))
    assert cli.main(["check", str(tmp_path / "game.yaml")]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "warning: figures of extractor 'tiny_vit' flatter: player 'discriminator' looks through the same" in said
    assert "'Net' flatter" not in said
    assert cli.main([str(tmp_path / "game.yaml")]) == 0
    rows = [json.loads(line) for line in (tmp_path / "run/metrics.jsonl").read_text().splitlines()]
    assert {"frechet_tiny_vit", "frechet_Net"} <= rows[-1].keys() | rows[-2].keys() | rows[-3].keys()
    said = " ".join(capsys.readouterr().out.split())
    assert "figures of extractor 'tiny_vit' flatter: player 'discriminator' looks through the same network" in said
    assert "'Net' flatter" not in said
    assert cli.main([str(tmp_path / "game.yaml"), "phases.adversarial.steps=3"]) == 0  # with weights of the folder
    assert "net." not in "".join(path.name for path in (tmp_path / "run/model").iterdir())


def test_an_extractor_is_a_function_of_its_weights_and_of_how_images_are_shown(vit, own):
    extractors = [Features(model=vit), Features(model=vit), Features(**own), Features(**own, size=16)]
    assert extractors[0].digest == extractors[1].digest and extractors[0].key == extractors[1].key
    assert len({it.digest for it in extractors}) == len({it.key for it in extractors}) == 3
    for it in extractors:
        it.fit(SimpleNamespace(), torch.device("cpu"))
    features = extractors[2].features(images(60))
    seen = (((images(60) + 1) * 127.5).round() / 127.5 - 1).float()
    assert torch.allclose(features, extractors[2].maps(seen)[1].mean((2, 3)), atol=1e-6)
    assert isinstance(extractors[2].net, nn.Module) and features.shape == (60, 8)
