"""Every network of the image plugin: its contract, labels, second derivatives, weights."""

import copy
import math
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from gangen import TensorSplit, noise
from gangen.components.options import Options
from gangen.components.signatures import from_object
from gangen.errors import UsageError
from gangen.networks import count_parameters
from gangen.testing import check_discriminator, check_generator
from gangen_image.codec import ImageCodec
from gangen_image.networks.dcgan import DCGANDiscriminator, DCGANGenerator
from gangen_image.networks.mlp import MLPDiscriminator, MLPGenerator
from gangen_image.networks.r3gan import R3GANDiscriminator, R3GANGenerator
from gangen_image.networks.resnet import ResNetDiscriminator, ResNetGenerator, SelfAttention
from gangen_image.networks.style import StyleDiscriminator, StyleGenerator
from gangen_image.spec import ImageSpec, PointSpec

SMALL = {"width": 4, "max_width": 8}
GROUPED = {"width": 4, "max_width": 8, "blocks": 1, "group_size": 4}
GENERATORS = {
    "mlp": (MLPGenerator, {"latent_dim": 6, "hidden_dim": 16, "norm": "layer"}),
    "dcgan": (DCGANGenerator, {"latent_dim": 6, **SMALL}),
    "resnet": (ResNetGenerator, {"latent_dim": 6, **SMALL}),
    "r3gan": (R3GANGenerator, {"latent_dim": 6, **GROUPED}),
    "style": (StyleGenerator, {"latent_dim": 6, "mapping_layers": 2, **SMALL}),
}
DISCRIMINATORS = {
    "mlp": (MLPDiscriminator, {"hidden_dim": 16}),
    "dcgan": (DCGANDiscriminator, SMALL),
    "resnet": (ResNetDiscriminator, SMALL),
    "r3gan": (R3GANDiscriminator, GROUPED),
    "style": (StyleDiscriminator, SMALL),
}
CONVOLUTIONAL = [name for name in GENERATORS if name != "mlp"]
LABELS = ("circle", "cross", "star")


@pytest.fixture(autouse=True)
def seeded():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    yield
    torch.set_num_threads(threads)


def generator(name, spec, **options):
    built, small = GENERATORS[name]
    return built(spec, **small | options)


def discriminator(name, spec, **options):
    built, small = DISCRIMINATORS[name]
    return built(spec, **small | options)


def spec_of(size=8, channels=3, labels=()):
    return ImageSpec(channels, size, labels)


def shaken(net):
    """``net`` with noise on all parameters, so that nothing is hidden by zeros and ones of the initialisation."""
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.3)
    return net


def labelled(n):
    return {"label": torch.arange(n) % len(LABELS)}


def data(size=8, channels=3, labels=()):
    """Noise as images, in turn of each label."""
    images = torch.randint(256, (32, channels, size, size), dtype=torch.uint8)
    columns = {"image": images} | ({"label": torch.arange(32) % len(labels)} if labels else {})
    return SimpleNamespace(codec=ImageCodec(spec_of(size, channels, labels)), train=TensorSplit(**columns))


SHAPES = [(8, 3, ()), (16, 1, LABELS)]
CONDITIONS = [("dcgan", "modulate"), ("resnet", "modulate"), ("mlp", "none")]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("name", GENERATORS)
def test_networks_keep_their_contracts(name, shape):
    check_generator(f"image/{name}", data(*shape), **GENERATORS[name][1])
    check_discriminator(f"image/{name}", data(*shape), **DISCRIMINATORS[name][1])
    features = discriminator(name, spec_of(*shape)).features(torch.randn(4, shape[1], shape[0], shape[0]), labelled(4))
    assert features.dim() == 2 and len(features) == 4


@pytest.mark.parametrize(("name", "condition"), CONDITIONS)
def test_generators_keep_their_contract_with_every_condition(name, condition):
    small = GENERATORS[name][1]
    check_generator(
        f"image/{name}", data(labels=LABELS), heeds_condition=condition != "none", condition=condition, **small
    )


@pytest.mark.parametrize(("condition", "pac"), [("concat", 1), ("projection", 2), ("classifier", 1)])
@pytest.mark.parametrize("name", DISCRIMINATORS)
def test_discriminators_keep_their_contract_with_every_condition(name, condition, pac):
    heeded = {"heeds_condition": condition != "classifier", "elsewhere": ["head.classifier"]}
    check_discriminator(
        f"image/{name}", data(labels=LABELS), condition=condition, pac=pac, **heeded, **DISCRIMINATORS[name][1]
    )


@pytest.mark.parametrize("make", [generator, discriminator])
@pytest.mark.parametrize("name", GENERATORS)
def test_a_missing_label_is_refused(make, name):
    net = make(name, spec_of(labels=LABELS))
    with pytest.raises(UsageError, match="needs a label, one of circle, cross, star"):
        net.sample(4) if make is generator else net(torch.randn(4, 3, 8, 8))


def test_points():
    spec = PointSpec(2, LABELS)
    made, judge = generator("mlp", spec), discriminator("mlp", spec, pac=2, condition="concat")
    points = made.sample(4, labelled(4))
    assert points.shape == (4, 2)
    assert judge(points, labelled(4)).shape == (2,)


@pytest.mark.parametrize("name", CONVOLUTIONAL)
@pytest.mark.parametrize("make", [generator, discriminator])
def test_what_a_network_cannot_make_is_refused(make, name):
    for size in (4, 12, 28):
        with pytest.raises(UsageError, match=rf"image/{name} is for images of 8, 16, 32, .* not {size}"):
            make(name, spec_of(size))
    with pytest.raises(UsageError, match="points; use image/mlp"):
        make(name, PointSpec())


def test_groups_that_do_not_divide_the_channels_are_refused():
    with pytest.raises(UsageError, match="groups of 16 channels, but a block has 24"):
        generator("r3gan", spec_of(), width=12, max_width=12, group_size=16)


@pytest.mark.parametrize("labels", [(), LABELS], ids=["unlabelled", "labelled"])
@pytest.mark.parametrize("name", DISCRIMINATORS)
def test_what_is_said_along_a_direction_is_what_is_said_but_for_its_length_and_a_bias(name, labels):
    net = shaken(discriminator(name, spec_of(labels=labels), spectral_norm=False)).eval()
    images, condition, head = torch.randn(4, 3, 8, 8), labelled(4), net.head
    fixed, along = net.directed(images, condition)
    assert torch.allclose(fixed, along, atol=1e-6)
    alone = labels and name in ("r3gan", "style")
    weight = 0 if alone else head.output.weight
    if labels:
        weight = weight + head.projection(nn.functional.one_hot(condition["label"], 3).float())
    said = fixed * weight.norm(dim=1)
    if head.output.bias is not None and not alone:
        said = said + head.output.bias
    assert torch.allclose(said, net(images, condition), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", DISCRIMINATORS)
def test_classifiers_tell_classes_and_need_no_label(name):
    net = discriminator(name, spec_of(labels=LABELS), condition="classifier", pac=2)
    images = torch.randn(8, 3, 8, 8)
    assert net.classify(images).shape == (8, 3)
    assert net(images).shape == (4,)


@pytest.mark.parametrize("make", [generator, discriminator])
@pytest.mark.parametrize("name", GENERATORS)
def test_a_condition_is_refused_where_the_data_have_no_labels(make, name):
    assert make(name, ImageSpec(1, 8)).condition == "none" != make(name, ImageSpec(1, 8, LABELS)).condition
    with pytest.raises(UsageError, match="condition 'concat' is for labelled data, and these have no labels"):
        make(name, ImageSpec(1, 8), condition="concat")


def test_noise_of_the_mlp_is_added_in_training_to_images_and_to_what_every_layer_makes():
    net = shaken(discriminator("mlp", spec_of(), layers=2, norm="layer", noise=0.5))
    images = torch.randn(6, 3, 8, 8)
    with noise.shared(7):
        found = net.features(images)
    with noise.shared(7):
        expected = images.flatten(1) + 0.5 * noise.normal(6, 192)
        for linear, norm in zip(net.linears, net.norms, strict=True):
            expected = nn.functional.leaky_relu(norm(linear(expected)), 0.2) + 0.5 * noise.normal(6, 16)
    assert torch.allclose(found, expected, atol=1e-6)
    halves = []
    for part, rows in enumerate(images.split(3)):
        with noise.shared(7, part, 2):
            halves.append(net.features(rows))
    assert torch.allclose(torch.cat(halves), found, atol=1e-6)
    silent = discriminator("mlp", spec_of(), layers=2, norm="layer")
    silent.load_state_dict(net.state_dict())
    assert torch.equal(net.eval()(images), silent(images))


PENALISED = [
    *((name, {}) for name in DISCRIMINATORS),
    ("dcgan", {"norm": "instance", "minibatch_std": 2}),
    ("dcgan", {"norm": "layer", "spectral_norm": True}),
    ("resnet", {"spectral_norm": False, "norm": "instance", "attention": [8], "pac": 2}),
    ("r3gan", {"spectral_norm": True}),
]


@pytest.mark.parametrize("name, options", PENALISED)
def test_a_gradient_penalty_can_be_minimised(name, options):
    """The derivative of |dD/dx|^2 by the parameters is the slope of a finite difference."""
    size = 16 if "attention" in options else 8
    net = shaken(discriminator(name, spec_of(size, labels=LABELS), **options).double()).eval()
    images = torch.randn(4, 3, size, size, dtype=torch.float64, requires_grad=True)

    def penalty():
        (gradient,) = torch.autograd.grad(net(images, labelled(4)).sum(), images, create_graph=True)
        return gradient.square().sum()

    parameters = list(net.parameters())
    gradients = torch.autograd.grad(penalty(), parameters, allow_unused=True, materialize_grads=True)
    directions = [torch.randn_like(parameter) for parameter in parameters]
    slope = sum((gradient * direction).sum() for gradient, direction in zip(gradients, directions, strict=True)).item()

    def moved(step):
        with torch.no_grad():
            for parameter, direction in zip(parameters, directions, strict=True):
                parameter.add_(direction, alpha=step)
        return penalty().item()

    step = 1e-7
    above, below = moved(step), moved(-2 * step)
    assert math.isfinite(slope) and abs(slope) > 1e-6
    assert slope == pytest.approx((above - below) / (2 * step), rel=1e-3)


@pytest.mark.parametrize("name", CONVOLUTIONAL)
def test_channels_last_changes_nothing(name):
    spec = spec_of(16, labels=LABELS)
    made, judge = shaken(generator(name, spec)).eval(), shaken(discriminator(name, spec)).eval()
    latent = made.latent(4)

    def play(made, judge):
        with noise.shared(3):
            images = made.sample(4, labelled(4), latent=latent)
        return images, judge(images, labelled(4))

    expected = play(made, judge)
    found = play(*(copy.deepcopy(net).to(memory_format=torch.channels_last) for net in (made, judge)))
    for one, other in zip(expected, found, strict=True):
        assert torch.allclose(one, other, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", GENERATORS)
@pytest.mark.parametrize("make", [generator, discriminator])
def test_spectral_norm_bounds_every_layer(make, name):
    net = shaken(make(name, spec_of(labels=LABELS), spectral_norm=True))
    for _ in range(40):
        if make is generator:
            net.sample(4, labelled(4))
        else:
            net(torch.randn(4, 3, 8, 8), labelled(4))
    layers = [layer for layer in net.modules() if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear)]
    assert len(layers) >= 2
    for layer in layers:
        weight = layer.weight.transpose(0, 1) if isinstance(layer, nn.ConvTranspose2d) else layer.weight
        assert torch.linalg.matrix_norm(weight.flatten(1), 2).item() == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("name", DISCRIMINATORS)
def test_packed_rows_are_judged_together(name):
    options = {"minibatch_std": 0} if name == "style" else {}
    net = shaken(discriminator(name, spec_of(labels=LABELS), pac=2, **options)).eval()
    images = torch.randn(6, 3, 8, 8)
    logits = net(images, labelled(6))
    assert logits.shape == (3,)
    images[3] += 1
    changed = (net(images, labelled(6)) - logits).abs() > 1e-4
    assert changed.tolist() == [False, True, False]
    with pytest.raises(UsageError, match="multiple of 2 rows on each process, got 5"):
        net(images[:5], labelled(5))


def test_dcgan_has_the_size_of_the_common_benchmark():
    spec = spec_of(32, 3)
    assert count_parameters(DCGANGenerator(spec, latent_dim=100, width=64)) == 1_068_931
    assert count_parameters(DCGANDiscriminator(spec, width=64)) == 663_360


@pytest.mark.parametrize(
    "kind, name", [("generator", name) for name in GENERATORS] + [("d", n) for n in DISCRIMINATORS]
)
def test_options_are_read_without_importing(kind, name):
    built = (GENERATORS if kind == "generator" else DISCRIMINATORS)[name][0]
    options = Options.of(kind, f"{built.__module__}:{built.__name__}")
    values = options.read({})
    expected = {option.name: option.default for option in from_object(built)}
    assert {key: tuple(value) if isinstance(value, list) else value for key, value in values.items()} == expected


@pytest.mark.parametrize("name", GENERATORS)
def test_truncation_shrinks_the_spread_of_samples(name):
    net = generator(name, spec_of(), **({} if name == "style" else {"norm": "none"} if name != "r3gan" else {})).eval()
    with torch.no_grad():
        spread = []
        for truncation in (1.0, 0.7, 0.2):
            with noise.shared(0):
                spread.append(net.sample(64, truncation=truncation).var(0).mean().item())
    assert spread[0] > spread[1] > spread[2]


@pytest.mark.parametrize("truncation", [-2.1, 3, 1e300, math.nan])
def test_styles_are_not_moved_out_of_sight(truncation):
    with pytest.raises(UsageError, match="truncation must be from -2 to 2, got"):
        generator("style", spec_of()).sample(1, truncation=truncation)


def test_styles_follow_their_running_mean():
    net = generator("style", spec_of(), latent_dim=6)
    expected = torch.zeros(6)
    for _ in range(3):
        latent = net.latent(5)
        style = net.style(latent)
        expected = expected + 0.005 * (style.mean(0) - expected)
    assert torch.allclose(net.mean_style, expected, atol=1e-6)
    net.eval()
    style = net.style(latent)
    assert torch.allclose(net.mean_style, expected, atol=1e-6)
    with noise.shared(0):
        found = net.sample(5, truncation=0.3, latent=latent)
    with noise.shared(0):
        moved = net.mean_style + 0.3 * (style - net.mean_style)
        assert torch.allclose(found, net.synthesis(moved[:, None].expand(-1, net.synthesis.count, -1)), atol=1e-5)


def test_attention_is_at_resolutions_that_there_are():
    net = generator("resnet", spec_of(32), attention=[8, 16])
    assert sum(isinstance(module, SelfAttention) for module in net.modules()) == 2
    for make in (generator, discriminator):
        with pytest.raises(UsageError, match=r"attention at 32 is not possible: .* have it at 8, 16"):
            make("resnet", spec_of(32), attention=[32])


@pytest.mark.parametrize("name", DISCRIMINATORS)
def test_a_discriminator_takes_the_multiples_that_it_names_and_no_others(name):
    groups = {"minibatch_std": 2} if name in ("dcgan", "resnet", "style") else {}
    net = discriminator(name, spec_of(), pac=3, **groups)
    assert net.batch_multiple == (6 if groups else 3)
    assert net(torch.zeros(6, 3, 8, 8)).shape == (6 / 3,)
    for rows in (3, 4) if groups else (2, 4):
        with pytest.raises(UsageError, match="needs batches of a multiple of"):
            net(torch.zeros(rows, 3, 8, 8))


@pytest.mark.parametrize("pac", [1, 3])
def test_batch_norm_of_units_takes_as_many_rows_as_it_names_and_no_fewer(pac):
    net = discriminator("mlp", spec_of(), norm="batch", pac=pac)
    assert net(torch.randn(net.batch_least, 3, 8, 8)).shape == (2,)
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        net(torch.randn(net.batch_least - pac, 3, 8, 8))
    assert generator("mlp", spec_of(), norm="batch").batch_least == 2
    assert generator("mlp", spec_of(), norm="layer").batch_least == 1
