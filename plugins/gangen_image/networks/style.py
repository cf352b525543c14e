"""StyleGAN2 (Karras et al., 2020) in plain torch; equations and sections are those of its paper."""

import math
from collections.abc import Mapping
from itertools import pairwise
from typing import Annotated, Any

import torch
import torch.nn.functional as F
from annotated_types import Ge, Gt, Interval
from torch import Tensor, nn
from torch.nn.utils import parametrize

from gangen import UsageError, all_mean, label_of, noise
from gangen_image.networks.conditioning import Discriminator, Head
from gangen_image.networks.latent import LatentGenerator, normalized
from gangen_image.networks.minibatch import MinibatchStd
from gangen_image.networks.normalization import finish
from gangen_image.networks.pyramid import SMALLEST, LowPass, resolutions, widths
from gangen_image.spec import ImageSpec


def unfit_precisions(clamp: float | None) -> dict[str, str]:
    """What a network without ``clamp`` fails in, and what to do: see ``trainer.precision``."""
    kept = clamp is not None and clamp <= torch.finfo(torch.float16).max
    return {} if kept else {"fp16": "activations outgrow it; give the player clamp: 256, or take bf16"}


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


def activate(x: Tensor, clamp: float | None = None) -> Tensor:
    """Leaky ReLU that keeps the variance, and then keeps all within ``clamp`` of 0."""
    x = F.leaky_relu(x, 0.2) * math.sqrt(2)
    return x if clamp is None else x.clamp(-clamp, clamp)


class ModulatedConv2d(nn.Module):
    """A convolution whose input channels the style scales, its output scaled back to unit variance (section 2.2).

    Equation 1 scales the weights per sample. Scaling the input instead is the same by linearity, and needs
    neither a copy of the weights per sample nor grouped convolutions. ``doubling`` has the convolution transposed, of
    stride 2, and then the low-pass filter.
    """

    def __init__(
        self, before: int, after: int, kernel: int, style_dim: int, *, demodulate: bool = True, doubling: bool = False
    ) -> None:
        super().__init__()
        self.style = equalized(nn.Linear(style_dim, before), bias=1.0)
        self.convolution = equalized(nn.Conv2d(before, after, kernel, padding=kernel // 2, bias=False))
        self.bias = nn.Parameter(torch.zeros(after))
        self.demodulate = demodulate
        self.low_pass = LowPass() if doubling else None

    def forward(self, x: Tensor, style: Tensor, disturbance: Tensor | float = 0.0) -> Tensor:
        """Float ``[n, after, h, w]`` of x float ``[n, before, h, w]`` and style float ``[n, style_dim]``.

        ``disturbance`` is added before the bias.
        """
        scale = self.style(style)
        weight = self.convolution.weight
        x = x * scale[:, :, None, None]
        if self.low_pass is None:
            x = F.conv2d(x, weight, padding=self.convolution.padding)
        else:
            x = 4 * self.low_pass(F.conv_transpose2d(x, weight.transpose(0, 1), stride=2), padding=1)
        if self.demodulate:  # equation 3
            variance = scale.square() @ weight.square().sum((2, 3)).t()
            x = x * (variance + 1e-8).rsqrt()[:, :, None, None]
        return x + disturbance + self.bias[:, None, None]


class StyledLayer(nn.Module):
    """A modulated 3x3 convolution, noise per pixel, and the activation; it doubles the resolution where asked to."""

    def __init__(self, before: int, after: int, style_dim: int, clamp: float | None, *, doubling: bool) -> None:
        super().__init__()
        self.convolution = ModulatedConv2d(before, after, 3, style_dim, doubling=doubling)
        self.noise_strength = nn.Parameter(torch.zeros(()))
        self.scale = 2 if doubling else 1
        self.clamp = clamp

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        sides = [side * self.scale for side in x.shape[2:]]
        pixels = noise.normal(x.shape[0], 1, *sides, device=x.device, dtype=self.noise_strength.dtype)
        return activate(self.convolution(x, style, self.noise_strength * pixels), self.clamp)


class Synthesis(nn.Module):
    """From styles to images: a constant, two layers per resolution, and RGB that adds up on the way (figure 7b).

    There are ``count`` places for a style: one for each layer, and one for the last RGB; every other RGB shares that of
    the layer after it.
    """

    def __init__(self, channels: list[int], image_channels: int, style_dim: int, clamp: float | None) -> None:
        super().__init__()
        self.constant = nn.Parameter(torch.randn(1, channels[0], SMALLEST, SMALLEST))
        pairs = list(pairwise(channels))
        self.first = StyledLayer(channels[0], channels[0], style_dim, clamp, doubling=False)
        self.ups = nn.ModuleList(StyledLayer(before, after, style_dim, clamp, doubling=True) for before, after in pairs)
        self.layers = nn.ModuleList(StyledLayer(after, after, style_dim, clamp, doubling=False) for _, after in pairs)
        self.to_image = nn.ModuleList(
            ModulatedConv2d(count, image_channels, 1, style_dim, demodulate=False) for count in channels
        )
        self.low_pass = LowPass()
        self.clamp = clamp
        self.count = 2 * len(channels)

    def forward(self, styles: Tensor) -> Tensor:
        """Images of styles float ``[n, count, style_dim]``, one for each place."""
        first, *rest = styles.unbind(1)
        x = self.first(self.constant.expand(styles.shape[0], -1, -1, -1), first)
        image = self._image(0, x, rest[0])
        for number, (up, layer) in enumerate(zip(self.ups, self.layers, strict=True)):
            x = layer(up(x, rest[2 * number]), rest[2 * number + 1])
            image = self.low_pass.doubled(image) + self._image(number + 1, x, rest[2 * number + 2])
        return image

    def _image(self, number: int, x: Tensor, style: Tensor) -> Tensor:
        image = self.to_image[number](x, style)
        return image if self.clamp is None else image.clamp(-self.clamp, self.clamp)


class StyleGenerator(LatentGenerator):
    """A mapping network from latents to styles, and a synthesis network from styles to images, without tanh.

    Latent and label embedding are brought to length sqrt(dim); ``mapping_layers`` linear layers, whose learning rate is
    multiplied by ``mapping_rate``, make the style of them. Truncation moves styles towards their running mean, the
    buffer ``mean_style``, whatever the latents' distribution. ``width`` channels at the image's size, twice as many at
    each halving up to ``max_width``. The paper's networks have latent_dim 512, mapping_layers 8 and max_width 512.

    While it learns, ``style_mixing`` is the probability that an image has the style of a second latent from some layer
    on, any as likely as the others (the paper has 0.9). ``clamp`` keeps what layers say within so much of 0, for fp16,
    which is refused without; 256 is usual. For path length regularisation see turn ``regularize`` of image/gan. Styles
    are not normalised before fp16 convolutions, as the program of StyleGAN2-ADA does; bf16 needs neither.

    Raises:
        UsageError: a size other than a power of two from 8.
    """

    def __init__(
        self,
        spec: ImageSpec,
        *,
        mapping_layers: Annotated[int, Ge(1)] = 4,
        mapping_rate: Annotated[float, Gt(0)] = 0.01,
        style_mixing: Annotated[float, Interval(ge=0, le=1)] = 0.0,
        clamp: Annotated[float, Gt(0)] | None = None,
        width: Annotated[int, Ge(1)] = 64,
        max_width: Annotated[int, Ge(1)] = 512,
        **options: Any,
    ) -> None:
        stages = resolutions(spec, "image/style")
        super().__init__(spec, **options)
        self.style_mixing = style_mixing
        self.unfit_precisions = unfit_precisions(clamp)
        latent_dim = self.prior.dim
        sizes = [self.input_dim] + [latent_dim] * mapping_layers
        self.mapping = nn.ModuleList(
            equalized(nn.Linear(before, after), rate=mapping_rate) for before, after in pairwise(sizes)
        )
        self.synthesis = Synthesis(widths(stages, width, max_width), spec.channels, latent_dim, clamp)
        self.register_buffer("mean_style", torch.zeros(latent_dim))
        finish(self, self.spectral_norm)

    def style(self, latent: Tensor, label: Tensor | None = None) -> Tensor:
        """Styles float ``[n, latent_dim]`` for latents and labels as in ``forward``."""
        style = self._mapped(latent, label)
        if self.training:
            with torch.no_grad():
                self.mean_style.lerp_(all_mean(style.mean(0)).to(self.mean_style.dtype), 0.005)
        return style

    def _mapped(self, latent: Tensor, label: Tensor | None) -> Tensor:
        style = normalized(latent)
        if self.label_embedding is not None:
            style = torch.cat([style, normalized(self.label_embedding(label))], dim=1)
        for layer in self.mapping:
            style = activate(layer(style))
        return style

    def forward(self, latent: Tensor, label: Tensor | None = None) -> Tensor:
        """See LatentGenerator."""
        return self.synthesis(self.style(latent, label)[:, None].expand(-1, self.synthesis.count, -1))

    def sample(
        self,
        n: int,
        condition: Mapping[str, Tensor] | None = None,
        *,
        truncation: Annotated[float, Interval(ge=-2, le=2)] = 1.0,
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
        style = self.styles(n, condition, latent=latent)
        return self.synthesis(style if truncation == 1 else self.mean_style.lerp(style, truncation))

    def styles(self, n: int, condition: Mapping[str, Tensor] | None = None, latent: Tensor | None = None) -> Tensor:
        """A style for each place of ``synthesis``, float ``[n, count, latent_dim]``, of ``n`` images: one and the same,
        or while the network learns, with mixing, from some place on that of another latent.
        """
        label, count = label_of(condition, self.labels), self.synthesis.count
        style = self.style(self.latent(n) if latent is None else latent, label)
        if not (self.training and self.style_mixing):
            return style[:, None].expand(-1, count, -1)
        coin, place = noise.uniform(len(style), 2, device=style.device).unbind(1)
        first = torch.where(coin < self.style_mixing, 1 + (place * (count - 1)).floor(), count)
        own = torch.arange(count, device=style.device) < first[:, None]
        return torch.where(own[:, :, None], style[:, None], self._mapped(self.latent(len(style)), label)[:, None])


class ResidualDown(nn.Module):
    """Two 3x3 convolutions, the second after the low-pass filter and with stride 2; around them halving and 1x1.

    The sum is scaled back to unit variance (figure 7c). Without ``residual`` there is nothing around them.
    """

    def __init__(self, before: int, after: int, clamp: float | None, *, residual: bool) -> None:
        super().__init__()
        self.low_pass = LowPass()
        self.first = equalized(nn.Conv2d(before, before, 3, padding=1))
        self.second = equalized(nn.Conv2d(before, after, 3, stride=2))
        self.shortcut = equalized(nn.Conv2d(before, after, 1, bias=False)) if residual else None
        self.clamp = clamp

    def forward(self, x: Tensor) -> Tensor:
        y = activate(self.second(self.low_pass(activate(self.first(x), self.clamp), padding=2)), self.clamp)
        return y if self.shortcut is None else (self.shortcut(self.low_pass.halved(x)) + y) / math.sqrt(2)


class LabelMapping(nn.Module):
    """Labels, float ``[n, classes]`` one-hot or counted, to what a discriminator's outputs are projected on.

    A mapping network as the generator's (StyleGAN2-ADA), scaled by 1 / sqrt(``features``): float ``[n, features]``.
    """

    def __init__(self, classes: int, features: int, layers: int) -> None:
        super().__init__()
        self.embedding = equalized(nn.Linear(classes, features))
        self.layers = nn.ModuleList(equalized(nn.Linear(features, features), rate=0.01) for _ in range(layers))

    def forward(self, counts: Tensor) -> Tensor:
        x = normalized(self.embedding(counts))
        for layer in self.layers:
            x = activate(layer(x))
        return x / math.sqrt(x.shape[1])


class StyleDiscriminator(Discriminator):
    """Residual blocks down to 4x4, minibatch standard deviation, a convolution and a linear layer.

    ``minibatch_std`` is the number of rows in a group of the standard deviation, 0 for none.
    ``width`` channels at the image's size, twice as many at each halving up to ``max_width``.

    What comes of a label is its projection alone, through ``mapping_layers`` linear layers, see LabelMapping.
    ``residual: false`` leaves out what goes around two convolutions each, as for CIFAR-10 in StyleGAN2-ADA. ``clamp``
    keeps what convolutions say within so much of 0, for fp16, which is refused without; 256 is usual.

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
        mapping_layers: Annotated[int, Ge(0)] = 8,
        residual: bool = True,
        clamp: Annotated[float, Gt(0)] | None = None,
        **options: Any,
    ) -> None:
        stages = resolutions(spec, "image/style")
        super().__init__(spec, **options)
        channels = widths(stages, width, max_width)[::-1]
        last = channels[-1]
        self.clamp = clamp
        self.unfit_precisions = unfit_precisions(clamp)
        self.input = equalized(nn.Conv2d(self.in_channels(spec.channels), channels[0], 1))
        self.blocks = nn.ModuleList(
            ResidualDown(before, after, clamp, residual=residual) for before, after in pairwise(channels)
        )
        self.minibatch_std = MinibatchStd(minibatch_std) if minibatch_std else nn.Identity()
        self.mix = equalized(nn.Conv2d(last + bool(minibatch_std), last, 3, padding=1))
        self.hidden = equalized(nn.Linear(last * SMALLEST**2, last))
        self.head = Head(last, self.condition, self.classes, self.pac, alone=True)
        for layer in filter(None, (self.head.output, self.head.classifier)):
            equalized(layer)
        if self.head.projection is not None:
            self.head.projection = LabelMapping(self.classes, last, mapping_layers)
        finish(self, self.spectral_norm)

    def trunk(self, x: Tensor) -> Tensor:
        """See Discriminator."""
        x = activate(self.input(x), self.clamp)
        for block in self.blocks:
            x = block(x)
        x = activate(self.mix(self.minibatch_std(x)), self.clamp)
        return activate(self.hidden(x.flatten(1)))
