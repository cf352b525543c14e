"""Networks against small reimplementations from the equations of their papers, with the same weights in float64."""

import copy
import math
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from gangen import noise
from gangen.components.registry import Registry
from gangen.contracts import Clock
from gangen.errors import UsageError
from gangen.networks import Players, count_parameters
from gangen.optimizers import adam
from gangen.recipe.load import load_recipe
from gangen.schedules import Schedule
from gangen_image.networks.r3gan import R3GANDiscriminator, R3GANGenerator
from gangen_image.networks.resnet import DownBlock, ResNetDiscriminator, ResNetGenerator
from gangen_image.networks.style import StyleDiscriminator, StyleGenerator
from gangen_image.objectives.gan import ImageGAN
from gangen_image.objectives.orthogonal import orthogonality
from gangen_image.objectives.path_length import PathLength
from gangen_image.spec import ImageSpec

LABELS = tuple("abcdefghij")
LABEL = torch.tensor([3, 0, 9, 3, 7])
R3GAN = {"width": 8, "max_width": 16, "blocks": 2, "group_size": 4}
STYLE = {"width": 4, "max_width": 8}


@pytest.fixture(autouse=True)
def in_float64():
    torch.manual_seed(0)
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def shaken(net):
    """``net`` with noise on all parameters, so that nothing is hidden by zeros of the initialisation."""
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.3)
    return net


def filtered(x, padding):
    """Each channel with [1, 3, 3, 1] across and down, by sums of shifted images."""
    before, after = padding
    x = F.pad(x, (before, after, before, after))
    for dim in (2, 3):
        length = x.shape[dim] - 3
        x = sum(tap / 8 * x.narrow(dim, start, length) for start, tap in enumerate((1, 3, 3, 1)))
    return x


def spread(x):
    """Zeros after every pixel, across and down."""
    wide = torch.zeros(*x.shape[:2], 2 * x.shape[2], 2 * x.shape[3])
    wide[:, :, ::2, ::2] = x
    return wide


def doubled(x):
    return 4 * filtered(spread(x), (2, 1))


def halved(x):
    return filtered(x, (1, 1))[:, :, ::2, ::2]


def one_hot():
    return torch.eye(len(LABELS))[LABEL]


def r3gan_stage(x, weights, name, groups):
    for block in range(R3GAN["blocks"]):
        part = {
            key.split(".")[-2:][0] + "." + key.split(".")[-1]: weights[key]
            for key in weights
            if key.startswith(f"{name}.{block}.")
        }
        y = F.leaky_relu(F.conv2d(x, part["expand.weight"]) + part["expand.bias"][:, None, None], 0.2)
        y = F.conv2d(y, part["mix.weight"], padding=1, groups=y.shape[1] // groups) + part["mix.bias"][:, None, None]
        x = x + F.conv2d(F.leaky_relu(y, 0.2), part["reduce.weight"])
    return x


@pytest.mark.parametrize("labels", [(), LABELS], ids=["unlabelled", "labelled"])
def test_r3gan_is_that_of_huang_et_al(labels):
    spec = ImageSpec(3, 16, labels)
    made, judge = (shaken(net(spec, **R3GAN)) for net in (R3GANGenerator, R3GANDiscriminator))
    latent, weights = made.latent(5), made.state_dict()
    seen = latent if not labels else torch.cat([latent, one_hot() @ weights["label_embedding.weight"]], 1)
    x = (seen @ weights["input.weight"].T)[:, :, None, None] * weights["basis"]
    x = r3gan_stage(x, weights, "stages.0", 4)
    for number in (1, 2):
        change = weights.get(f"transitions.{number - 1}.weight")
        x = r3gan_stage(doubled(x if change is None else F.conv2d(x, change)), weights, f"stages.{number}", 4)
    images = F.conv2d(x, weights["output.weight"])
    assert torch.allclose(made(latent, LABEL if labels else None), images, rtol=0, atol=1e-9)

    weights = judge.state_dict()
    x = r3gan_stage(F.conv2d(images, weights["input.weight"]), weights, "stages.0", 4)
    for number in (1, 2):
        change, x = weights.get(f"transitions.{number - 1}.weight"), halved(x)
        x = r3gan_stage(x if change is None else F.conv2d(x, change), weights, f"stages.{number}", 4)
    said = (x * weights["basis.weight"][:, 0]).sum((2, 3)) @ weights["head.output.weight"].T
    logits = (said * (one_hot() @ weights["head.projection.weight"].T)).sum(1) if labels else said[:, 0]
    found = judge(images, {"label": LABEL} if labels else None)
    assert torch.allclose(found, logits, rtol=0, atol=1e-9)


def test_r3gan_begins_as_published():
    spec = ImageSpec(3, 8, LABELS)
    made = R3GANGenerator(spec, width=64, max_width=64, latent_dim=512)
    judge = R3GANDiscriminator(spec, width=64, max_width=512)
    assert made.label_embedding.weight.std().item() == pytest.approx(10**-0.5, rel=0.03)
    features = judge.head.output.in_features
    assert judge.head.output.weight.shape == (features, features) and judge.head.output.bias is None
    assert judge.head.output.weight.std().item() == pytest.approx(features**-0.5, rel=0.03)
    assert judge.head.projection.weight.std().item() == pytest.approx((features * 10) ** -0.5, rel=0.06)


def scaled(weights, name, rate=1.0):
    """Weight and bias of an equalised layer, by the formula of its runtime scale."""
    weight = weights[f"{name}.parametrizations.weight.original"]
    bias = weights.get(f"{name}.parametrizations.bias.original")
    return weight * rate / math.sqrt(weight[0].numel()), None if bias is None else bias * rate


def active(x):
    return math.sqrt(2) * torch.where(x > 0, x, 0.2 * x)


def modulated(x, weights, name, style, *, demodulate=True, double=False):
    """Equations 1 and 3 with a kernel for each sample; doubled by zeros in between, convolution, filter."""
    scale, shift = scaled(weights, f"{name}.style")
    kernel, _ = scaled(weights, f"{name}.convolution")
    rows = []
    for row, own in zip(x, style @ scale.T + shift, strict=True):
        mine = kernel * own[None, :, None, None]
        if demodulate:
            mine = mine / (mine.square().sum((1, 2, 3), keepdim=True) + 1e-8).sqrt()
        if double:  # a convolution proper, where conv2d correlates
            wide = F.conv2d(spread(row[None]), mine.flip(2, 3), padding=3)[:, :, 1:-1, 1:-1]
            rows.append(4 * filtered(wide, (1, 1))[:, :, : 2 * row.shape[1], : 2 * row.shape[2]])
        else:
            rows.append(F.conv2d(row[None], mine, padding=kernel.shape[2] // 2))
    return torch.cat(rows)


def shifted(x, weights, name):
    return x + weights[f"{name}.bias"][:, None, None]


@pytest.mark.parametrize("labels", [(), LABELS], ids=["unlabelled", "labelled"])
def test_the_generator_of_stylegan2_is_that_of_karras_et_al(labels):
    net = shaken(StyleGenerator(ImageSpec(3, 16, labels), latent_dim=6, mapping_layers=3, mapping_rate=0.02, **STYLE))
    latent, weights = net.latent(5), net.state_dict()
    unit = lambda x: x / (x.square().mean(1, keepdim=True) + 1e-8).sqrt()  # noqa: E731
    style = unit(latent)
    if labels:
        style = torch.cat([style, unit(weights["label_embedding.weight"][LABEL])], 1)
    for number in range(3):
        weight, bias = scaled(weights, f"mapping.{number}", 0.02)
        style = active(style @ weight.T + bias)
    styles = torch.stack([style + 0.1 * place for place in range(6)], 1)

    def layer(x, name, style, double=False):
        x = modulated(x, weights, f"synthesis.{name}.convolution", style, double=double)
        pixels = noise.normal(5, 1, *x.shape[2:])
        return active(
            shifted(x + weights[f"synthesis.{name}.noise_strength"] * pixels, weights, f"synthesis.{name}.convolution")
        )

    def colours(x, number, style):
        name = f"synthesis.to_image.{number}"
        return shifted(modulated(x, weights, name, style, demodulate=False), weights, name)

    with noise.shared(1):
        x = layer(weights["synthesis.constant"].expand(5, -1, -1, -1), "first", styles[:, 0])
        image = colours(x, 0, styles[:, 1])
        for number in range(2):
            x = layer(x, f"ups.{number}", styles[:, 2 * number + 1], double=True)
            x = layer(x, f"layers.{number}", styles[:, 2 * number + 2])
            image = doubled(image) + colours(x, number + 1, styles[:, 2 * number + 3])
    with noise.shared(1):
        assert torch.allclose(net.synthesis(styles), image, rtol=0, atol=1e-9)
    assert torch.allclose(net.eval().style(latent, LABEL if labels else None), style, rtol=0, atol=1e-9)


@pytest.mark.parametrize("residual", [True, False])
@pytest.mark.parametrize("labels", [(), LABELS], ids=["unlabelled", "labelled"])
def test_the_discriminator_of_stylegan2_is_that_of_karras_et_al(labels, residual):
    net = shaken(
        StyleDiscriminator(ImageSpec(3, 16, labels), minibatch_std=5, residual=residual, mapping_layers=2, **STYLE)
    )
    images, weights = torch.randn(5, 3, 16, 16), net.state_dict()

    def layer(x, name, **how):
        weight, bias = scaled(weights, name)
        return F.conv2d(x, weight, bias, **how)

    x = active(layer(images, "input"))
    for number in range(2):
        y = active(layer(x, f"blocks.{number}.first", padding=1))
        y = active(layer(filtered(y, (2, 2)), f"blocks.{number}.second", stride=2))
        x = (y + layer(halved(x), f"blocks.{number}.shortcut")) / math.sqrt(2) if residual else y
    spread_of_rows = (x - x.mean(0)).square().mean(0).add(1e-8).sqrt().mean().expand(5, 1, 4, 4)
    x = active(layer(torch.cat([x, spread_of_rows], 1), "mix", padding=1))
    weight, bias = scaled(weights, "hidden")
    x = active(x.flatten(1) @ weight.T + bias)
    weight, bias = scaled(weights, "head.output")
    said = x @ weight.T + bias
    if labels:
        weight, bias = scaled(weights, "head.projection.embedding")
        label = one_hot() @ weight.T + bias
        label = label / (label.square().mean(1, keepdim=True) + 1e-8).sqrt()
        for number in range(2):
            weight, bias = scaled(weights, f"head.projection.layers.{number}", 0.01)
            label = active(label @ weight.T + bias)
        said = (said * label).sum(1, keepdim=True) / math.sqrt(said.shape[1])
    assert torch.allclose(net(images, {"label": LABEL} if labels else None), said[:, 0], rtol=0, atol=1e-9)


@pytest.mark.parametrize("net", [StyleGenerator, StyleDiscriminator])
def test_all_layers_of_stylegan2_learn_alike(net):
    """A step of Adam moves each weight by 2.5e-3 of its standard deviation, those of mapping networks by 2.5e-5."""
    net = net(ImageSpec(3, 16, LABELS), width=32, max_width=32)
    named = {name: it for name, it in net.named_parameters() if name.endswith("weight.original")}
    assert any("head.output" in name for name in named) or any("synthesis" in name for name in named)
    before = {name: it.detach().clone() for name, it in named.items()}
    for parameter in net.parameters():
        parameter.grad = torch.ones_like(parameter)
    adam(list(net.parameters()), lr=Schedule(2.5e-3), betas=(Schedule(0.0), Schedule(0.99))).step()
    for name, weight in named.items():
        rate = 0.01 if "mapping" in name or "projection.layers" in name else 1
        step = ((weight - before[name]).norm() / before[name].norm()).item()
        assert step == pytest.approx(2.5e-3 * rate, rel=0.15), name
    assert not [
        name for name, it in net.named_parameters() if it.dim() == 2 and name not in named and "embed" not in name
    ]


def test_styles_are_mixed_from_a_place_on_while_the_network_learns():
    net = StyleGenerator(ImageSpec(3, 16), latent_dim=6, style_mixing=0.75, **STYLE)
    latent, count = net.latent(3000), net.synthesis.count
    own = (net.styles(3000, latent=latent) == net.eval().style(latent)[:, None]).all(2)
    mean = 0.005 * net.style(latent).mean(0)
    assert own[:, 0].all() and torch.equal(own, own.cumprod(1).bool())
    assert own.all(1).double().mean().item() == pytest.approx(0.25, abs=0.03)
    lengths = own.sum(1).bincount(minlength=count + 1)[1:count] / 3000
    assert lengths.tolist() == pytest.approx([0.75 / (count - 1)] * (count - 1), abs=0.03)
    assert torch.allclose(net.mean_style, mean)  # which belongs to the styles of the images' own latents
    latent, plain = net.latent(2), StyleGenerator(ImageSpec(3, 16), latent_dim=6, **STYLE)
    plain.load_state_dict(net.state_dict())
    with noise.shared(0):
        first = net.eval().sample(2, latent=latent)
    with noise.shared(0):
        assert torch.equal(plain.eval().sample(2, latent=latent), first)


@pytest.mark.parametrize("shared", [6, None])
def test_the_generator_of_biggan_is_that_of_brock_et_al(shared):
    """Of images of 16 x 16 the latent has three parts: for the first layer, and for the norms of two blocks."""
    biggan = {"hierarchical": True, "shared_embedding": shared, "initialization": "orthogonal"}
    net = shaken(ResNetGenerator(ImageSpec(3, 16, LABELS), latent_dim=12, width=4, max_width=8, **biggan))
    latent, weights = net.latent(5), net.state_dict()
    label = weights["embedding.weight"][LABEL] if shared else one_hot()
    first, *parts = latent[:, :4], latent[:, 4:8], latent[:, 8:]

    def convolved(x, name, padding):
        return F.conv2d(x, weights[f"{name}.weight"], weights[f"{name}.bias"], padding=padding)

    def normal(x):
        centred = x - x.mean((0, 2, 3), keepdim=True)
        return centred / (centred.square().mean((0, 2, 3), keepdim=True) + 1e-5).sqrt()

    x = (first @ weights["input.weight"].T + weights["input.bias"]).reshape(5, 8, 4, 4)
    for number, part in enumerate(parts):
        name, code, y = f"blocks.{number}", torch.cat([label, part], 1), x
        for place in (0, 1):
            gain, shift = (code @ weights[f"{name}.norms.{place}.{it}.weight"].T for it in ("gain", "shift"))
            y = ((1 + gain)[:, :, None, None] * normal(y) + shift[:, :, None, None]).relu()
            y = y if place else y.repeat_interleave(2, 2).repeat_interleave(2, 3)
            y = convolved(y, f"{name}.convolutions.{place}", 1)
        x = convolved(x, f"{name}.shortcut", 0).repeat_interleave(2, 2).repeat_interleave(2, 3) + y
    gain, shift = (weights[f"norm.norm.{it}"][:, None, None] for it in ("weight", "bias"))
    images = convolved((gain * normal(x) + shift).relu(), "output", 1).tanh()
    assert torch.allclose(net(latent, LABEL), images, rtol=0, atol=1e-9)


def test_the_discriminators_of_sngan_and_biggan_halve_images_of_cifar_twice():
    net = ResNetDiscriminator(ImageSpec(3, 32), width=6, max_width=6, halvings=2, plain=2, attention=[8])
    seen = []
    for module in net.modules():
        if isinstance(module, DownBlock):
            module.register_forward_hook(lambda module, given, out: seen.append(tuple(out.shape[1:])))
    net(torch.randn(2, 3, 32, 32))
    assert seen == [(6, 16, 16), (6, 8, 8), (6, 8, 8), (6, 8, 8)]
    for wrong, message in (({"halvings": 4}, "3 times at most"), ({"halvings": 2, "attention": [4]}, "at 8, 16")):
        with pytest.raises(UsageError, match=message):
            ResNetDiscriminator(ImageSpec(3, 32), **wrong)


def test_orthogonal_weights_are_orthogonal_and_regularised_towards_it():
    nets = [
        ResNetGenerator(ImageSpec(3, 16, LABELS), width=4, initialization=way, shared_embedding=3, spectral_norm=True)
        for way in ("orthogonal", "glorot")
    ]
    first = nets[0].blocks[0].convolutions[1].parametrizations.weight.original.flatten(1)
    assert torch.allclose(first @ first.T, torch.eye(len(first)), atol=1e-9)
    # Where there are more filters than numbers in one, not all can be orthogonal.
    assert 0 < orthogonality(nets[0]) < orthogonality(nets[1]) / 2
    layer, expected = nn.Conv2d(2, 3, 1), 0.0
    for one in range(3):
        for two in range(3):
            if one != two:
                expected += (layer.weight[one] * layer.weight[two]).sum().item() ** 2
    assert orthogonality(layer).item() == pytest.approx(expected)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"hierarchical": True, "latent_dim": 10}, "3 equal parts for images of 16 pixels, and latent_dim is 10"),
        ({"shared_embedding": 4, "condition": "concat"}, "shared_embedding is for labels that modulate norms"),
    ],
)
def test_latents_and_labels_that_make_no_code_are_refused(options, message):
    with pytest.raises(UsageError, match=message):
        ResNetGenerator(ImageSpec(3, 16, LABELS), width=4, **options)


@pytest.mark.parametrize("condition", ["none", "concat"])
def test_parts_of_a_latent_modulate_norms_without_labels_too(condition):
    net = ResNetGenerator(ImageSpec(3, 16, LABELS), latent_dim=6, width=4, hierarchical=True, condition=condition)
    latent = net.latent(2)
    other = latent + torch.tensor([0, 0, 0, 0, 0, 1.0])  # that of the second block
    x = [net(it, LABEL[:2]) for it in (latent, other)]
    assert (x[0] - x[1]).abs().max() > 1e-3


def test_standing_statistics_are_those_of_all_batches_of_a_phase():
    net, game = ResNetGenerator(ImageSpec(1, 8), width=4, latent_dim=3), ImageGAN(ImageSpec(1, 8))
    average = copy.deepcopy(shaken(net)).eval()
    players, batch = Players({"generator": net}, {"generator": average}), {"image": torch.zeros(6, 1, 8, 8)}
    rows = []
    for part in range(4):  # two steps of two micro-batches
        with noise.shared(part):
            clock = Clock("settle", part // 2, 2, 12, micro=part % 2, accumulate=2)
            assert game.settle(players, batch, clock)[0] is None
        with noise.shared(part), torch.no_grad():
            rows.append(average.input(average.latent(6)).reshape(6, 8, 16).transpose(0, 1).flatten(1))
    norm = average.blocks[0].norms[0].norm
    assert torch.allclose(norm.running_mean, torch.stack([it.mean(1) for it in rows]).mean(0))
    assert torch.allclose(norm.running_var, torch.stack([it.var(1) for it in rows]).mean(0))
    assert not norm.training and norm.momentum == 0.1 and not net.blocks[0].norms[0].norm.running_mean.any()


class Linear(nn.Module):
    """A generator whose images are linear in styles of two places."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(2, 3, 16))

    def styles(self, n, condition):
        return torch.ones(n, 2, 3).requires_grad_()

    def synthesis(self, styles):
        return torch.einsum("npd,pdi->ni", styles, self.weight).reshape(-1, 1, 4, 4)


def test_path_lengths_are_held_near_their_moving_average():
    net, penalty, average = Linear(), PathLength(Schedule(8.0)), 0.0
    for seed in range(3):
        with noise.shared(seed):
            found, mean = penalty(net, 5, {}, Clock("adversarial", 0, 10))
        with noise.shared(seed):
            drawn = noise.normal(5, 1, 4, 4).flatten(1) / 4  # the root of 16 pixels
        slopes = torch.einsum("ni,pdi->npd", drawn, net.weight)
        lengths = (slopes.square().sum((1, 2)) / 2).sqrt()
        average = 0.99 * average + 0.01 * lengths.mean().item()
        assert mean.item() == pytest.approx(lengths.mean().item())
        assert found.item() == pytest.approx(8 * (lengths - average).square().mean().item())
    (gradient,) = torch.autograd.grad(found, net.weight)
    (expected,) = torch.autograd.grad(8 * (lengths - average).square().mean(), net.weight)
    assert torch.allclose(gradient, expected)
    assert penalty.state_dict()["average"].item() == pytest.approx(average)


def test_what_layers_say_is_clamped():
    spec = ImageSpec(3, 16)
    made, judge = StyleGenerator(spec, clamp=0.01, **STYLE), StyleDiscriminator(spec, clamp=0.01, **STYLE)
    seen = []
    for module in (made.synthesis.first, *made.synthesis.ups, *made.synthesis.layers):
        module.register_forward_hook(lambda module, given, out: seen.append(out))
    judge.minibatch_std.register_forward_hook(lambda module, given, out: seen.append(given[0] * math.sqrt(2) / 2))
    judge(made.sample(4))
    assert len(seen) == 6 and all(0 < x.abs().max() <= 0.01 for x in seen)


@pytest.mark.parametrize(
    ("name", "labels", "images", "burn_in", "sizes"),
    [
        ("r3gan_cifar10", LABELS, 250e6, 20e6, {"generator": 20.78e6, "discriminator": 21.28e6}),
        ("r3gan_stacked_mnist", (), 10e6, 2e6, {"generator": 20.73e6, "discriminator": 20.68e6}),
    ],
)
def test_recipes_of_r3gan_are_as_large_and_as_long_as_published(name, labels, images, burn_in, sizes):
    """Huang et al., 2024, table 9."""
    registry = Registry.discover()
    recipe = load_recipe(Path(__file__).parents[3] / f"recipes/{name}.yaml", registry=registry)
    (phase,), batch = recipe.phases.values(), recipe.trainer.batch_size
    assert batch == 512 and phase.steps * batch == pytest.approx(images, abs=batch)
    schedules = [it.options["weight"] for it in recipe.objective.options["penalties"]]
    for player, size in sizes.items():
        chosen = recipe.players[player]
        schedules.append(chosen.optimizer.component.options["betas"][1])
        with torch.device("meta"):
            net = registry.build(chosen.component, spec=ImageSpec(3, 32, labels))
        assert count_parameters(net) == pytest.approx(size, abs=5e3)
    schedules.append(recipe.players["generator"].ema.half_life)
    assert all(Schedule.of(it).until * images == pytest.approx(burn_in) for it in schedules)
