"""Layers of the image networks against formulas of their own."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from gangen.errors import UsageError
from gangen_image.networks.conditioning import ConditionalNorm
from gangen_image.networks.minibatch import MinibatchStd
from gangen_image.networks.normalization import BatchNorm
from gangen_image.networks.pyramid import LowPass
from gangen_image.networks.r3gan import ResidualBlock
from gangen_image.networks.resnet import SelfAttention
from gangen_image.networks.style import ModulatedConv2d


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def shaken(layer):
    """``layer`` with noise on all parameters, so that nothing is hidden by zeros and ones of the initialisation."""
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.3)
    return layer


def test_minibatch_std_is_finite_in_fp16_for_equal_rows_and_for_large_ones():
    x = torch.tensor([[1.0, 300.0], [1.0, -300.0]], dtype=torch.float16).view(2, 2, 1, 1).requires_grad_()
    y = MinibatchStd(2)(x)
    (slope,) = torch.autograd.grad(y[:, 2].sum(), x)
    assert y.dtype is torch.float16 and y[0, 2].item() == pytest.approx(150, rel=1e-3)
    assert slope.isfinite().all()


def test_minibatch_std_by_hand():
    x = torch.randn(6, 2, 3, 3, dtype=torch.float64)
    y = MinibatchStd(3)(x)
    assert torch.equal(y[:, :2], x)
    for first in (0, 3):
        group = x[first : first + 3]
        mean = (group[0] + group[1] + group[2]) / 3
        std = (((group[0] - mean) ** 2 + (group[1] - mean) ** 2 + (group[2] - mean) ** 2) / 3 + 1e-8).sqrt().mean()
        assert torch.allclose(y[first : first + 3, 2], std.expand(3, 3, 3))
    assert torch.allclose(MinibatchStd(3)(x[3:]), y[3:])
    for rows in (6, 2):
        with pytest.raises(UsageError, match=f"minibatch_std 4 needs batches of a multiple of 4 rows .* got {rows}"):
            MinibatchStd(4)(x[:rows])


@pytest.mark.parametrize("demodulate", [True, False])
def test_modulated_convolution_is_a_convolution_per_sample(demodulate):
    layer = shaken(ModulatedConv2d(5, 7, 3, 6, demodulate=demodulate).double())
    x, style = torch.randn(4, 5, 6, 6, dtype=torch.float64), torch.randn(4, 6, dtype=torch.float64)
    found = layer(x, style)
    for row in range(4):
        weight = layer.convolution.weight * layer.style(style[row]).reshape(1, 5, 1, 1)
        if demodulate:
            weight = torch.stack([filters / (filters.square().sum() + 1e-8).sqrt() for filters in weight])
        expected = F.conv2d(x[row : row + 1], weight, layer.bias, padding=1)
        assert torch.allclose(found[row : row + 1], expected)


def test_self_attention_is_attention():
    layer = SelfAttention(16).double()
    x = torch.randn(2, 16, 4, 4, dtype=torch.float64)
    assert torch.equal(layer(x), x)
    with torch.no_grad():
        layer.weight.fill_(0.5)
    query, key, value = layer.query(x), F.max_pool2d(layer.key(x), 2), F.max_pool2d(layer.value(x), 2)
    rows = [part.flatten(2).transpose(1, 2) for part in (query, key, value)]
    seen = F.scaled_dot_product_attention(*rows, scale=1.0).transpose(1, 2).reshape(2, 8, 4, 4)
    assert torch.allclose(layer(x), x + 0.5 * layer.output(seen))


def test_residual_blocks_of_r3gan_start_as_the_identity():
    x = torch.randn(2, 8, 4, 4)
    block = ResidualBlock(8, expansion=2, group_size=4, depth=16)
    assert torch.equal(block(x), x)
    assert block.mix.weight.shape == (16, 4, 3, 3)
    assert not torch.equal(shaken(block)(x), x)


def test_resampling_is_bilinear_with_zeros_beyond_the_borders():
    x, low_pass = torch.randn(2, 3, 8, 8), LowPass()
    expected = F.interpolate(x, scale_factor=0.5, mode="bilinear", antialias=True)
    assert torch.allclose(low_pass.halved(x)[:, :, 1:-1, 1:-1], expected[:, :, 1:-1, 1:-1], atol=1e-6)
    spread = torch.zeros(1, 1, 16, 16)
    spread[:, :, ::2, ::2] = x[:1, :1]
    taps = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 4
    filtered = F.conv2d(F.pad(spread, (2, 1, 2, 1)), torch.outer(taps, taps)[None, None])
    assert torch.allclose(low_pass.doubled(x[:1, :1]), filtered, atol=1e-5)
    ones = torch.ones(1, 1, 8, 8)
    assert low_pass.halved(ones)[0, 0, 0, 0].item() == pytest.approx((7 / 8) ** 2)
    assert low_pass.doubled(ones)[0, 0, 0, 0].item() == pytest.approx((3 / 4) ** 2)


@pytest.mark.parametrize("kind", ["batch", "instance", "none"])
def test_conditional_norm_has_gain_and_shift_per_label(kind):
    norm = ConditionalNorm(kind, 4, 3)
    x, label = torch.randn(6, 4, 5, 5) * 3 + 1, torch.tensor([0, 1, 2, 2, 1, 0])
    plain = {
        "batch": lambda: F.batch_norm(x, None, None, training=True),
        "instance": lambda: F.instance_norm(x),
        "none": lambda: x,
    }[kind]()
    assert torch.allclose(norm(x, label), plain, atol=1e-5)
    shaken(norm)
    for row, number in enumerate(label):
        gain, shift = norm.gain.weight[number], norm.shift.weight[number]
        expected = gain[:, None, None] * plain[row] + shift[:, None, None]
        assert torch.allclose(norm(x, label)[row], expected, atol=1e-5)


def test_batch_norm_is_that_of_torch():
    ours, theirs = BatchNorm(4), nn.BatchNorm2d(4)
    for _ in range(2):
        x = torch.randn(6, 4, 5, 5) * 3 + 1
        assert torch.allclose(ours(x), theirs(x), atol=1e-6)
    assert torch.allclose(ours.running_var, theirs.running_var)
    assert torch.allclose(ours.eval()(x), theirs.eval()(x), atol=1e-6)
