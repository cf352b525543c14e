"""StyleGAN2 (Karras et al., 2020) in plain torch; equations and sections are those of its paper."""

import math
from collections.abc import Mapping
from itertools import pairwise
from typing import Annotated, Any

import torch
import torch.nn.functional as F
from annotated_types import Ge
from torch import Tensor, nn
from torch.nn.utils import parametrize

from gangen import UsageError, all_mean, label_of, noise
from gangen_image.networks.conditioning import Discriminator, Head
from gangen_image.networks.latent import LatentGenerator, normalized
from gangen_image.networks.minibatch import MinibatchStd
from gangen_image.networks.normalization import finish
from gangen_image.networks.pyramid import SMALLEST, Downsample, resolutions, upsample, widths
from gangen_image.spec import ImageSpec


class Scaled(nn.Module):
    """A parameter that is used at ``scale`` times its stored value."""

    def __init__(self, scale: float) -> None:
        super().__init__()
        self.scale = scale

    def forward(self, parameter: Tensor) -> Tensor:
        return parameter * self.scale


def equalized(layer: nn.Conv2d | nn.Linear, rate: float = 1.0, bias: float = 0.0) -> nn.Module:
    """``layer`` with equalised learning rate (Karras et al., 2018, section 4.1): N(0, 1) weights, scaled in use.

    ``rate`` multiplies the learning rate of the layer, ``bias`` is where its bias starts.
    """
    nn.init.normal_(layer.weight, std=1 / rate)
    parametrize.register_parametrization(layer, "weight", Scaled(rate * layer.weight[0].numel() ** -0.5))
    if layer.bias is not None:
        nn.init.constant_(layer.bias, bias / rate)
        parametrize.register_parametrization(layer, "bias", Scaled(rate))
    return layer


def activate(x: Tensor) -> Tensor:
    """Leaky ReLU that keeps the variance."""
    return F.leaky_relu(x, 0.2) * math.sqrt(2)


class ModulatedConv2d(nn.Module):
    """A convolution whose input channels the style scales, its output scaled back to unit variance (section 2.2).

    Equation 1 scales the weights per sample. Scaling the input instead is the same by linearity, and needs
    neither a copy of the weights per sample nor grouped convolutions.
    """

    def __init__(self, before: int, after: int, kernel: int, style_dim: int, *, demodulate: bool = True) -> None:
        super().__init__()
        self.style = equalized(nn.Linear(style_dim, before), bias=1.0)
        self.convolution = equalized(nn.Conv2d(before, after, kernel, padding=kernel // 2, bias=False))
        self.bias = nn.Parameter(torch.zeros(after))
        self.demodulate = demodulate

    def forward(self, x: Tensor, style: Tensor, disturbance: Tensor | float = 0.0) -> Tensor:
        """Float ``[n, after, h, w]`` of x float ``[n, before, h, w]`` and style float ``[n, style_dim]``.

        ``disturbance`` is added before the bias.
        """
        scale = self.style(style)
        weight = self.convolution.weight
        x = F.conv2d(x * scale[:, :, None, None], weight, padding=self.convolution.padding)
        if self.demodulate:  # equation 3
            variance = scale.square() @ weight.square().sum((2, 3)).t()
            x = x * (variance + 1e-8).rsqrt()[:, :, None, None]
        return x + disturbance + self.bias[:, None, None]


class StyledLayer(nn.Module):
    """A modulated 3x3 convolution, noise per pixel, and the activation; doubles the resolution first where asked to."""

    def __init__(self, before: int, after: int, style_dim: int, *, doubling: bool) -> None:
        super().__init__()
        self.convolution = ModulatedConv2d(before, after, 3, style_dim)
        self.noise_strength = nn.Parameter(torch.zeros(()))
        self.doubling = doubling

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        x = upsample(x) if self.doubling else x
        pixels = noise.normal(len(x), 1, *x.shape[2:], device=x.device, dtype=self.noise_strength.dtype)
        return activate(self.convolution(x, style, self.noise_strength * pixels))


class Synthesis(nn.Module):
    """From styles to images: a constant, two layers per resolution, and RGB that adds up on the way (figure 7b)."""

    def __init__(self, stages: list[int], channels: list[int], image_channels: int, style_dim: int) -> None:
        super().__init__()
        self.constant = nn.Parameter(torch.randn(1, channels[0], SMALLEST, SMALLEST))
        pairs = list(pairwise(channels))
        self.first = StyledLayer(channels[0], channels[0], style_dim, doubling=False)
        self.ups = nn.ModuleList(StyledLayer(before, after, style_dim, doubling=True) for before, after in pairs)
        self.layers = nn.ModuleList(StyledLayer(after, after, style_dim, doubling=False) for _, after in pairs)
        self.to_image = nn.ModuleList(
            ModulatedConv2d(count, image_channels, 1, style_dim, demodulate=False) for count in channels
        )

    def forward(self, style: Tensor) -> Tensor:
        x = self.first(self.constant.expand(len(style), -1, -1, -1), style)
        image = self.to_image[0](x, style)
        for up, layer, to_image in zip(self.ups, self.layers, self.to_image[1:], strict=True):
            x = layer(up(x, style), style)
            image = upsample(image) + to_image(x, style)
        return image


class StyleGenerator(LatentGenerator):
    """A mapping network from latents to styles, and a synthesis network from styles to images, without tanh.

    Latent and label embedding are brought to length sqrt(dim); ``mapping_layers`` linear layers, which learn 100 times
    slower, make the style of them. Truncation moves styles towards their running mean, the buffer ``mean_style``,
    whatever the latents' distribution. ``width`` channels at the image's size, twice as many at each halving up to
    ``max_width``. The paper's networks have latent_dim 512, mapping_layers 8 and max_width 512.

    Raises:
        UsageError: a size other than a power of two from 8.
    """

    def __init__(
        self,
        spec: ImageSpec,
        *,
        mapping_layers: Annotated[int, Ge(1)] = 4,
        width: Annotated[int, Ge(1)] = 64,
        max_width: Annotated[int, Ge(1)] = 512,
        **options: Any,
    ) -> None:
        stages = resolutions(spec, "image/style")
        super().__init__(spec, **options)
        latent_dim = self.prior.dim
        sizes = [self.input_dim] + [latent_dim] * mapping_layers
        self.mapping = nn.ModuleList(
            equalized(nn.Linear(before, after), rate=0.01) for before, after in pairwise(sizes)
        )
        self.synthesis = Synthesis(stages, widths(stages, width, max_width), spec.channels, latent_dim)
        self.register_buffer("mean_style", torch.zeros(latent_dim))
        finish(self, self.spectral_norm)

    def style(self, latent: Tensor, label: Tensor | None = None) -> Tensor:
        """Styles float ``[n, latent_dim]``, what ``synthesis`` takes, for latents and labels as in ``forward``."""
        style = normalized(latent)
        if self.label_embedding is not None:
            style = torch.cat([style, normalized(self.label_embedding(label))], dim=1)
        for layer in self.mapping:
            style = activate(layer(style))
        if self.training:
            with torch.no_grad():
                self.mean_style.lerp_(all_mean(style.mean(0)).to(self.mean_style.dtype), 0.005)
        return style

    def forward(self, latent: Tensor, label: Tensor | None = None) -> Tensor:
        """See LatentGenerator."""
        return self.synthesis(self.style(latent, label))

    def sample(
        self,
        n: int,
        condition: Mapping[str, Tensor] | None = None,
        *,
        truncation: float = 1.0,
        latent: Tensor | None = None,
    ) -> Tensor:
        """``n`` images with gradient.

        ``truncation`` 1 leaves styles as they are, 0 makes all the mean one; below lies what is opposite, above what
        is rarer. ``latent`` are latents to start from in the place of fresh ones.

        Raises:
            UsageError: truncation outside [-2, 2].
        """
        if not -2 <= truncation <= 2:
            raise UsageError(f"truncation must be from -2 to 2, got {truncation}")
        style = self.style(self.latent(n) if latent is None else latent, label_of(condition, self.labels))
        return self.synthesis(style if truncation == 1 else self.mean_style.lerp(style, truncation))


class ResidualDown(nn.Module):
    """Two 3x3 convolutions, halving; around them halving and 1x1; the sum scaled back to unit variance (figure 7c)."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.downsample = Downsample()
        self.first = equalized(nn.Conv2d(before, before, 3, padding=1))
        self.second = equalized(nn.Conv2d(before, after, 3, padding=1))
        self.shortcut = equalized(nn.Conv2d(before, after, 1, bias=False))

    def forward(self, x: Tensor) -> Tensor:
        y = self.downsample(activate(self.second(activate(self.first(x)))))
        return (self.shortcut(self.downsample(x)) + y) / math.sqrt(2)


class StyleDiscriminator(Discriminator):
    """Residual blocks down to 4x4, minibatch standard deviation, a convolution and a linear layer.

    ``minibatch_std`` is the number of rows in a group of the standard deviation, 0 for none.
    ``width`` channels at the image's size, twice as many at each halving up to ``max_width``.

    Raises:
        UsageError: a size other than a power of two from 8.
    """

    def __init__(
        self,
        spec: ImageSpec,
        *,
        width: Annotated[int, Ge(1)] = 64,
        max_width: Annotated[int, Ge(1)] = 512,
        minibatch_std: Annotated[int, Ge(0)] = 4,
        **options: Any,
    ) -> None:
        stages = resolutions(spec, "image/style")
        super().__init__(spec, **options)
        channels = widths(stages, width, max_width)[::-1]
        last = channels[-1]
        self.input = equalized(nn.Conv2d(self.in_channels(spec.channels), channels[0], 1))
        self.blocks = nn.ModuleList(ResidualDown(before, after) for before, after in pairwise(channels))
        self.minibatch_std = MinibatchStd(minibatch_std) if minibatch_std else nn.Identity()
        self.mix = equalized(nn.Conv2d(last + bool(minibatch_std), last, 3, padding=1))
        self.hidden = equalized(nn.Linear(last * SMALLEST**2, last))
        self.head = Head(last, self.condition, self.classes, self.pac)
        finish(self, self.spectral_norm)

    def trunk(self, x: Tensor) -> Tensor:
        """See Discriminator."""
        x = activate(self.input(x))
        for block in self.blocks:
            x = block(x)
        x = activate(self.mix(self.minibatch_std(x)))
        return activate(self.hidden(x.flatten(1)))
