"""Every network of the image plugin: shapes, labels, noise, second derivatives, weights."""

import copy
import math

import pytest
import torch
from torch import nn

from gangen import noise
from gangen.components.options import Options
from gangen.components.signatures import from_object
from gangen.errors import UsageError
from gangen.networks import count_parameters
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


@pytest.mark.parametrize("labels", [(), LABELS], ids=["unlabelled", "labelled"])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [8, 16, 32])
@pytest.mark.parametrize("name", GENERATORS)
def test_shapes(name, size, channels, labels):
    spec = spec_of(size, channels, labels)
    made, judge = generator(name, spec), discriminator(name, spec)
    condition = labelled(4) if labels else None
    images = made.sample(4, condition)
    assert images.shape == (4, channels, size, size)
    assert images.isfinite().all()
    assert made(made.latent(4), condition and condition["label"]).shape == images.shape
    logits, features = judge(images, condition), judge.features(images, condition)
    assert logits.shape == (4,)
    assert features.dim() == 2 and len(features) == 4
    logits.sum().backward()
    assert all(p.grad is not None for net in (made, judge) for p in net.parameters())


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


@pytest.mark.parametrize(
    "name, condition",
    [(name, "concat") for name in GENERATORS] + [("dcgan", "modulate"), ("resnet", "modulate")],
)
def test_generators_follow_the_label(name, condition):
    net = shaken(generator(name, spec_of(labels=LABELS), condition=condition)).eval()
    latent = net.latent(2)

    def sample(label):
        with noise.shared(1):
            return net.sample(2, {"label": torch.tensor([0, label])}, latent=latent)

    assert torch.equal(sample(1)[0], sample(2)[0])
    assert (sample(1)[1] - sample(2)[1]).abs().max() > 1e-3
    with pytest.raises(UsageError, match=r"needs a label, one of .*cross"):
        net.sample(2)


@pytest.mark.parametrize("name", DISCRIMINATORS)
@pytest.mark.parametrize("condition", ["concat", "projection"])
def test_discriminators_heed_the_label(name, condition):
    options = {"minibatch_std": 0} if name == "style" else {}
    net = shaken(discriminator(name, spec_of(labels=LABELS), condition=condition, **options)).eval()
    images = torch.randn(2, 3, 8, 8)
    before, after = (net(images, {"label": torch.tensor(labels)}) for labels in ([0, 1], [0, 2]))
    assert torch.allclose(before[0], after[0], atol=1e-6)
    assert (before[1] - after[1]).abs() > 1e-3
    assert not hasattr(net, "classify")
    with pytest.raises(UsageError, match="needs a label"):
        net(images)


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


@pytest.mark.parametrize("name", GENERATORS)
def test_labelled_data_without_conditions(name):
    spec = spec_of(labels=LABELS)
    images = generator(name, spec, condition="none").sample(4)
    assert discriminator(name, spec, condition="none")(images).shape == (4,)


@pytest.mark.parametrize("name", GENERATORS)
@pytest.mark.parametrize("labels", [(), LABELS], ids=["unlabelled", "labelled"])
def test_noise_in_parts_is_the_noise_of_the_whole(name, labels):
    net = shaken(generator(name, spec_of(labels=labels)).double()).eval()
    label = torch.tensor([0, 1, 2, 0, 1, 2])

    def sample(rows, part, parts):
        with noise.shared(7, part, parts):
            return net.sample(len(rows), {"label": rows} if labels else None)

    whole = sample(label, 0, 1)
    halves = [sample(label[3 * part : 3 * part + 3], part, 2) for part in (0, 1)]
    assert whole.dtype == torch.float64
    assert torch.allclose(torch.cat(halves), whole, rtol=0, atol=1e-12)


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
def test_autocast_to_bfloat16(name):
    spec = spec_of(16, labels=LABELS)
    made, judge = generator(name, spec), discriminator(name, spec)
    with torch.autocast("cpu", torch.bfloat16):
        logits = judge(made.sample(4, labelled(4)), labelled(4))
    logits.float().sum().backward()
    assert all(p.grad.isfinite().all() for net in (made, judge) for p in net.parameters())


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


@pytest.mark.parametrize("name", GENERATORS)
def test_copies_and_saved_weights_are_the_same_network(name):
    spec = spec_of(labels=LABELS)
    net = generator(name, spec, spectral_norm=True)
    net.sample(4, labelled(4))
    net.eval()
    loaded = generator(name, spec, spectral_norm=True).eval()
    loaded.load_state_dict(net.state_dict())
    latent = net.latent(2)

    def sample(net):
        with noise.shared(0):
            return net.sample(2, labelled(2), latent=latent)

    assert torch.equal(sample(copy.deepcopy(net)), sample(net))
    assert torch.equal(sample(loaded), sample(net))


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


@pytest.mark.parametrize("name", GENERATORS)
def test_a_row_with_noise_of_its_own_is_the_same_image_in_any_company(name):
    net = shaken(generator(name, spec_of(labels=LABELS))).double().eval()
    with torch.no_grad():
        with noise.by_row(range(5)):
            images = net.sample(5, labelled(5))
        with noise.by_row(range(2)):
            assert torch.allclose(net.sample(2, labelled(2)), images[:2])


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
