"""Residual networks (SNGAN, Miyato et al., 2018, appendix B.4), with self-attention (SAGAN, Zhang et al., 2019), and
what BigGAN (Brock et al., 2019) does with latents, labels and weights.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Annotated, Any, Literal

import torch
import torch.nn.functional as F
from annotated_types import Ge
from torch import Tensor, nn

from gangen import UsageError
from gangen_image.networks.conditioning import ConditionalNorm, Discriminator, Head, ModulatedNorm, one_hot
from gangen_image.networks.latent import LatentGenerator
from gangen_image.networks.minibatch import MinibatchStd
from gangen_image.networks.normalization import finish, normalization
from gangen_image.networks.pyramid import SMALLEST, check_attention, resolutions, widths
from gangen_image.spec import ImageSpec

Initialization = Literal["glorot", "orthogonal"]


class UpBlock(nn.Module):
    """norm, ReLU, doubling, 3x3, norm, ReLU, 3x3; around it doubling and 1x1. ``norm`` makes one of so many channels
    that takes a label or a code.
    """

    def __init__(self, before: int, after: int, norm: Callable[[int], nn.Module]) -> None:
        super().__init__()
        self.norms = nn.ModuleList([norm(before), norm(after)])
        self.convolutions = nn.ModuleList([conv3x3(before, after), conv3x3(after, after)])
        self.shortcut = nn.Conv2d(before, after, 1)

    def forward(self, x: Tensor, code: Tensor | None) -> Tensor:
        # A 1x1 convolution and repeating pixels commute: the shortcut is cheaper this way round.
        shortcut = double(self.shortcut(x))
        x = self.convolutions[0](double(F.relu(self.norms[0](x, code))))
        return shortcut + self.convolutions[1](F.relu(self.norms[1](x, code)))


class DownBlock(nn.Module):
    """norm, ReLU, 3x3, norm, ReLU, 3x3, halving; around it halving and 1x1. The first one takes images as they are."""

    def __init__(self, before: int, after: int, norm: str, *, first: bool = False, halving: bool = True) -> None:
        super().__init__()
        self.entry = nn.Identity() if first else nn.Sequential(normalization(norm, before), nn.ReLU())
        self.between = nn.Sequential(normalization(norm, after), nn.ReLU())
        self.convolutions = nn.ModuleList([conv3x3(before, after), conv3x3(after, after)])
        self.shortcut = nn.Conv2d(before, after, 1) if halving or before != after else nn.Identity()
        self.pool = nn.AvgPool2d(2) if halving else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        residual = self.convolutions[1](self.between(self.convolutions[0](self.entry(x))))
        return self.shortcut(self.pool(x)) + self.pool(residual)


class SelfAttention(nn.Module):
    """Every place looks at all others (Zhang et al., 2019, section 3), keys and values at half the resolution.

    Plain products and a softmax, because torch's attention kernel has no second derivative, which gradient
    penalties need. Its weight in the sum starts at 0.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        inner, values = max(1, channels // 8), max(1, channels // 2)
        self.query = nn.Conv2d(channels, inner, 1, bias=False)
        self.key = nn.Conv2d(channels, inner, 1, bias=False)
        self.value = nn.Conv2d(channels, values, 1, bias=False)
        self.output = nn.Conv2d(values, channels, 1, bias=False)
        self.weight = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        query = self.query(x).flatten(2)
        key = F.max_pool2d(self.key(x), 2).flatten(2)
        value = F.max_pool2d(self.value(x), 2).flatten(2)
        attention = (query.transpose(1, 2) @ key).softmax(-1)
        seen = (value @ attention.transpose(1, 2)).unflatten(2, x.shape[2:])
        return x + self.weight * self.output(seen)


class ResNetGenerator(LatentGenerator):
    """A linear layer onto 4x4, one doubling block per resolution, norm, ReLU, 3x3 and tanh.

    ``width`` channels at the image's size, twice as many at each halving up to ``max_width`` (SNGAN: 256 for both).
    ``attention`` lists resolutions, which self-attention then follows. ``condition`` "modulate" gives every
    norm a gain and shift per label.

    ``norm`` normalises over the batch, over a channel of an image, over an image, or not at all.

    ``shared_embedding`` is the size of one embedding of labels, of which all norms of blocks make their gain and shift.
    ``hierarchical`` has the latent come in equal parts, one for the first layer and one for the norms of each block.
    With either, the last norm is without labels. ``initialization`` is Glorot's, or orthogonal. BigGAN has all three,
    an embedding of 128, and spectral norm; see also ``orthogonal`` and the turn ``settle`` of image/gan.

    Raises:
        UsageError: a size other than a power of two from 8, attention at a resolution that there is not, or a latent
            that does not come in so many parts.
    """

    default_condition = "modulate"

    def __init__(
        self,
        spec: ImageSpec,
        *,
        width: Annotated[int, Ge(1)] = 64,
        max_width: Annotated[int, Ge(1)] = 512,
        norm: Literal["batch", "instance", "layer", "none"] = "batch",
        condition: Literal["none", "concat", "modulate"] | None = None,
        attention: Sequence[int] = (),
        shared_embedding: Annotated[int, Ge(1)] | None = None,
        hierarchical: bool = False,
        initialization: Initialization = "glorot",
        **options: Any,
    ) -> None:
        stages = resolutions(spec, "image/resnet")
        check_attention(attention, stages)
        super().__init__(spec, condition=condition, **options)
        channels = widths(stages, width, max_width)
        self.modulated = modulated = self.classes if self.condition == "modulate" else 0
        if shared_embedding and not modulated:
            raise UsageError("image/resnet: shared_embedding is for labels that modulate norms: condition: modulate")
        self.parts = len(stages) if hierarchical else 1
        part, rest = divmod(self.prior.dim, self.parts)
        if rest:
            raise UsageError(
                f"image/resnet: a hierarchical latent comes in {self.parts} equal parts for images of {spec.size} "
                f"pixels, and latent_dim is {self.prior.dim}; take a multiple"
            )
        self.embedding = nn.Embedding(self.classes, shared_embedding) if shared_embedding else None
        code_dim = (shared_embedding or modulated) + part if hierarchical else shared_embedding or 0

        def normalized(channels: int) -> nn.Module:
            if code_dim:
                return ModulatedNorm(norm, channels, code_dim)
            return ConditionalNorm(norm, channels, modulated)

        self.input = nn.Linear(self.input_dim - self.prior.dim + part, channels[0] * SMALLEST**2)
        self.blocks = nn.ModuleList(UpBlock(before, after, normalized) for before, after in pairwise(channels))
        self.attention = nn.ModuleList(
            SelfAttention(count) if stage in attention else nn.Identity()
            for stage, count in zip(stages[1:], channels[1:], strict=True)
        )
        self.norm = ConditionalNorm(norm, channels[-1], 0 if code_dim else modulated)
        self.output = conv3x3(channels[-1], spec.channels)
        initialize(self, initialization)
        finish(self, self.spectral_norm)

    def forward(self, latent: Tensor, label: Tensor | None = None) -> Tensor:
        """See LatentGenerator."""
        first, *parts = latent.chunk(self.parts, dim=1)
        codes = self._codes(parts, label)
        x = self.input(self.conditioned(first, label)).unflatten(1, (-1, SMALLEST, SMALLEST))
        for block, attention, code in zip(self.blocks, self.attention, codes, strict=True):
            x = attention(block(x, code))
        return self.output(F.relu(self.norm(x, label))).tanh()

    def _codes(self, parts: Sequence[Tensor], label: Tensor | None) -> Sequence[Tensor | None]:
        """What the norms of each block take: the label, or a code of label and latent."""
        shared = label if self.embedding is None else self.embedding(label)
        if not parts:
            return [shared] * len(self.blocks)
        if not self.modulated:
            return parts
        if self.embedding is None:
            shared = one_hot(label, self.classes, parts[0])
        return [torch.cat([shared, part], dim=1) for part in parts]


class ResNetDiscriminator(Discriminator):
    """Halving blocks down to 4x4, one more block, ReLU and the sum over places.

    ``width`` channels after the first block, twice as many at each halving up to ``max_width``. ``attention`` lists
    resolutions, which self-attention then follows. ``minibatch_std`` is the group size of minibatch standard
    deviation, 0 for none. A gradient penalty wants another norm than "batch".

    ``halvings`` is how many there are; null goes down to 4x4. ``plain`` is how many blocks come after. For CIFAR-10
    SNGAN, BigGAN and what was compared with them have 2 of each; width and max_width are 128 in SNGAN and 256 in
    BigGAN. ``initialization`` is Glorot's, or orthogonal as in BigGAN.

    ``norm`` normalises over the batch, over a channel of an image, over an image, or not at all. ``spectral_norm``
    divides weights by their largest singular value, as in SNGAN.

    Raises:
        UsageError: a size other than a power of two from 8, or attention at a resolution that there is not.
    """

    def __init__(
        self,
        spec: ImageSpec,
        *,
        width: Annotated[int, Ge(1)] = 64,
        max_width: Annotated[int, Ge(1)] = 512,
        norm: Literal["batch", "instance", "layer", "none"] = "none",
        attention: Sequence[int] = (),
        minibatch_std: Annotated[int, Ge(0)] = 0,
        spectral_norm: bool = True,
        halvings: Annotated[int, Ge(1)] | None = None,
        plain: Annotated[int, Ge(1)] = 1,
        initialization: Initialization = "glorot",
        **options: Any,
    ) -> None:
        stages = resolutions(spec, "image/resnet")
        if halvings is not None and halvings >= len(stages):
            raise UsageError(f"image/resnet halves images of {spec.size} pixels {len(stages) - 1} times at most")
        stages = stages[-1 - (halvings or len(stages) - 1) :]
        # It may follow the last of fewer halvings, too.
        check_attention(attention, stages if halvings is None else [0, *stages])
        super().__init__(spec, spectral_norm=spectral_norm, **options)
        halved = stages[-2::-1]
        channels = [self.in_channels(spec.channels), *widths(stages[:-1], width, max_width)[::-1]]
        self.blocks = nn.ModuleList(
            DownBlock(before, after, norm, first=number == 0)
            for number, (before, after) in enumerate(pairwise(channels))
        )
        self.attention = nn.ModuleList(
            SelfAttention(count) if stage in attention else nn.Identity()
            for stage, count in zip(halved, channels[1:], strict=True)
        )
        self.minibatch_std = MinibatchStd(minibatch_std) if minibatch_std else nn.Identity()
        self.last = DownBlock(channels[-1] + bool(minibatch_std), channels[-1], norm, halving=False)
        self.more = nn.Sequential(
            *(DownBlock(channels[-1], channels[-1], norm, halving=False) for _ in range(plain - 1))
        )
        self.head = Head(channels[-1], self.condition, self.classes, self.pac)
        initialize(self, initialization)
        finish(self, self.spectral_norm)

    def trunk(self, x: Tensor) -> Tensor:
        """See Discriminator."""
        for block, attention in zip(self.blocks, self.attention, strict=True):
            x = attention(block(x))
        return F.relu(self.more(self.last(self.minibatch_std(x)))).sum((2, 3))


def conv3x3(before: int, after: int) -> nn.Conv2d:
    return nn.Conv2d(before, after, 3, padding=1)


def double(x: Tensor) -> Tensor:
    """Every pixel four times, float ``[n, channels, 2 h, 2 w]``."""
    return F.interpolate(x, scale_factor=2, mode="nearest")


def initialize(net: nn.Module, initialization: Initialization) -> None:
    """Glorot's uniform weights, sqrt(2) larger where a residual branch halves them by ReLU; or orthogonal ones, of
    embeddings too. Biases at zero.
    """
    for name, module in net.named_modules():
        if initialization == "orthogonal" and isinstance(module, nn.Embedding):
            nn.init.orthogonal_(module.weight)
        if isinstance(module, nn.Conv2d | nn.Linear):
            if initialization == "orthogonal":
                nn.init.orthogonal_(module.weight)
            else:
                nn.init.xavier_uniform_(module.weight, gain=2**0.5 if "convolutions" in name else 1.0)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
