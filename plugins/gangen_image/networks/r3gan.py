"""R3GAN (Huang et al., 2024, section 4, configuration E): grouped residual blocks without any normalisation."""

from collections.abc import Mapping
from itertools import pairwise
from typing import Annotated, Any

import torch
import torch.nn.functional as F
from annotated_types import Ge
from torch import Tensor, nn

from gangen import UsageError
from gangen_image.networks.conditioning import Discriminator, Head
from gangen_image.networks.latent import LatentGenerator
from gangen_image.networks.normalization import normalize_weights
from gangen_image.networks.pyramid import SMALLEST, LowPass, resolutions, widths
from gangen_image.networks.r3gan_names import discriminator_names, generator_names, renamed
from gangen_image.spec import ImageSpec

SLOPE = 0.2
# What the authors say of their networks, whose activations no norm keeps within the range of fp16.
UNFIT_PRECISIONS = {"fp16": "activations outgrow it without a norm; take bf16"}


class ResidualBlock(nn.Module):
    """x + 1x1(act(3x3(act(1x1(x))))), where the 3x3 has ``expansion`` times the channels, in groups of ``group_size``.

    Initialised as in Fixup (Zhang et al., 2019): zeros in the last layer, the two others scaled by
    L^(-1/4) for ``depth`` L blocks in the network, so that no norm is needed at any depth.
    """

    def __init__(self, channels: int, expansion: int, group_size: int, depth: int) -> None:
        super().__init__()
        inner = channels * expansion
        if inner % group_size:
            raise UsageError(
                f"image/r3gan convolves in groups of {group_size} channels, but a block has {inner}; "
                f"give a width that makes width * expansion a multiple of {group_size}, or another group_size"
            )
        self.expand = nn.Conv2d(channels, inner, 1)
        self.mix = nn.Conv2d(inner, inner, 3, padding=1, groups=inner // group_size)
        self.reduce = nn.Conv2d(inner, channels, 1, bias=False)
        for layer in (self.expand, self.mix):
            kaiming(layer, gain=nn.init.calculate_gain("leaky_relu", SLOPE) * depth**-0.25)
        nn.init.zeros_(self.reduce.weight)

    def forward(self, x: Tensor) -> Tensor:
        y = F.leaky_relu(self.expand(x), SLOPE)
        return x + self.reduce(F.leaky_relu(self.mix(y), SLOPE))


class R3GANGenerator(LatentGenerator):
    """Learned 4x4 maps weighted by the latent, then per resolution ``blocks`` residual blocks; doubling is bilinear.

    ``width`` channels at the image's size, twice as many at each halving up to ``max_width``. The label's embedding is
    appended to the latent. There is no tanh. Of CIFAR-10 the paper has width and max_width 768, latent_dim 64 and
    group_size 16.

    ``latent_dim`` is the size of a latent. A block has ``expansion`` times its channels inside, and convolves groups of
    ``group_size`` of them. The run's ``start_from: {generator: FILE}`` also takes weights of the authors' program.
    Half precision is bf16, as theirs: fp16 is refused.

    Raises:
        UsageError: a size other than a power of two from 8, or channels that do not come in whole groups.
    """

    unfit_precisions = UNFIT_PRECISIONS

    def __init__(
        self,
        spec: ImageSpec,
        *,
        latent_dim: Annotated[int, Ge(1)] = 64,
        width: Annotated[int, Ge(1)] = 64,
        max_width: Annotated[int, Ge(1)] = 256,
        blocks: Annotated[int, Ge(1)] = 2,
        expansion: Annotated[int, Ge(1)] = 2,
        group_size: Annotated[int, Ge(1)] = 16,
        **options: Any,
    ) -> None:
        stages = resolutions(spec, "image/r3gan")
        super().__init__(spec, latent_dim=latent_dim, **options)
        channels = widths(stages, width, max_width)
        depth = blocks * len(stages)
        if self.label_embedding is not None:
            # A linear layer of one-hot labels.
            nn.init.normal_(self.label_embedding.weight, std=self.classes**-0.5)
        self.basis = nn.Parameter(torch.randn(channels[0], SMALLEST, SMALLEST))
        self.input = kaiming(nn.Linear(self.input_dim, channels[0], bias=False))
        self.transitions = nn.ModuleList(transition(before, after) for before, after in pairwise(channels))
        self.stages = nn.ModuleList(
            nn.Sequential(*(ResidualBlock(count, expansion, group_size, depth) for _ in range(blocks)))
            for count in channels
        )
        self.low_pass = LowPass()
        self.output = kaiming(nn.Conv2d(channels[-1], spec.channels, 1, bias=False))
        if self.spectral_norm:
            bound(self)

    def forward(self, latent: Tensor, label: Tensor | None = None) -> Tensor:
        """See LatentGenerator."""
        x = self.stages[0](self.basis * self.input(self.conditioned(latent, label))[:, :, None, None])
        for change, stage in zip(self.transitions, self.stages[1:], strict=True):
            # Before doubling rather than after: the two commute, and there are four times fewer pixels.
            x = stage(self.low_pass.doubled(change(x)))
        return self.output(x)

    def renamed(self, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Weights of the authors' program under the names of this network; others as they are."""
        found = renamed(weights, generator_names(len(self.stages), len(self.stages[0])))
        if (embedding := found.pop("EmbeddingLayer.weight", None)) is not None:
            found["label_embedding.weight"] = embedding.T  # of a linear layer of one-hot labels
        return found


class R3GANDiscriminator(Discriminator):
    """The generator's mirror image: residual blocks per resolution, bilinear halving, one 4x4 filter per channel.

    What comes of a label is its projection alone, see Head.

    ``width`` channels at the image's size, twice as many at each halving up to ``max_width``.

    There are ``blocks`` residual blocks per resolution. A block has ``expansion`` times its channels inside, and
    convolves groups of ``group_size`` of them. The run's ``start_from: {discriminator: FILE}`` also takes weights of
    the authors' program. Half precision is bf16, as theirs: fp16 is refused.

    Raises:
        UsageError: a size other than a power of two from 8, or channels that do not come in whole groups.
    """

    unfit_precisions = UNFIT_PRECISIONS

    def __init__(
        self,
        spec: ImageSpec,
        *,
        width: Annotated[int, Ge(1)] = 64,
        max_width: Annotated[int, Ge(1)] = 256,
        blocks: Annotated[int, Ge(1)] = 2,
        expansion: Annotated[int, Ge(1)] = 2,
        group_size: Annotated[int, Ge(1)] = 16,
        **options: Any,
    ) -> None:
        stages = resolutions(spec, "image/r3gan")
        super().__init__(spec, **options)
        channels = widths(stages, width, max_width)[::-1]
        depth = blocks * len(stages)
        self.input = kaiming(nn.Conv2d(self.in_channels(spec.channels), channels[0], 1, bias=False))
        self.stages = nn.ModuleList(
            nn.Sequential(*(ResidualBlock(count, expansion, group_size, depth) for _ in range(blocks)))
            for count in channels
        )
        self.transitions = nn.ModuleList(transition(before, after) for before, after in pairwise(channels))
        self.low_pass = LowPass()
        self.basis = kaiming(nn.Conv2d(channels[-1], channels[-1], SMALLEST, groups=channels[-1], bias=False))
        self.head = Head(channels[-1], self.condition, self.classes, self.pac, bias=False, alone=True)
        kaiming(self.head.output)
        if self.head.projection is not None:
            kaiming(self.head.projection, gain=channels[-1] ** -0.5)
        if self.spectral_norm:
            bound(self)

    def trunk(self, x: Tensor) -> Tensor:
        """See Discriminator."""
        x = self.stages[0](self.input(x))
        for change, stage in zip(self.transitions, self.stages[1:], strict=True):
            x = stage(change(self.low_pass.halved(x)))
        return self.basis(x).flatten(1)

    def renamed(self, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Weights of the authors' program under the names of this network; others as they are."""
        return renamed(weights, discriminator_names(len(self.stages), len(self.stages[0])))


def bound(net: nn.Module) -> None:
    """Spectral norm in place of Fixup: zeros have no norm to be divided by, so the last layers start with something."""
    for module in net.modules():
        if isinstance(module, ResidualBlock):
            kaiming(module.reduce)
    normalize_weights(net)


def transition(before: int, after: int) -> nn.Module:
    """What a change of resolution does to channels: a linear map, or nothing where their number stays."""
    return nn.Identity() if before == after else kaiming(nn.Conv2d(before, after, 1, bias=False))


def kaiming(layer: nn.Conv2d | nn.Linear, gain: float = 1.0) -> nn.Module:
    """``layer`` with weights from N(0, gain^2 / fan-in) (He et al., 2015) and its bias, if any, at zero."""
    nn.init.normal_(layer.weight, std=gain * layer.weight[0].numel() ** -0.5)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer
