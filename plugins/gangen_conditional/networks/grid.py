"""Autoencoders whose code is a grid, as latent diffusion wants it (Esser et al., 2021; Rombach et al., 2022)."""

from itertools import pairwise
from typing import Annotated, Literal

import torch.nn.functional as F
from annotated_types import Ge, Interval
from torch import Tensor, nn

from gangen import Stats, UsageError
from gangen_conditional.networks.codebook import Codebook, Quantized
from gangen_conditional.networks.gaussian import Gaussian
from gangen_image import ImageSpec, finish, resolutions, widths


class Block(nn.Module):
    """norm, swish, 3 x 3, twice, around it the identity; norms look at one image at a time."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norms = nn.ModuleList([nn.GroupNorm(1, channels), nn.GroupNorm(1, channels)])
        self.convolutions = nn.ModuleList([_convolution(channels, channels), _convolution(channels, channels)])

    def forward(self, x: Tensor) -> Tensor:
        inner = x
        for norm, convolution in zip(self.norms, self.convolutions, strict=True):
            inner = convolution(F.silu(norm(inner)))
        return x + inner


class GridEncoder(nn.Module):
    """Images to a grid of codes: a residual block and a halving for each resolution down to the grid's.

    ``side`` is how many codes there are across and down, each of ``latent_dim`` numbers. ``bottleneck`` is what codes
    are: "kl", Gaussians that pay ``divergence`` times their distance from N(0, 1), the Kullback-Leibler divergence in
    nats for each number of the image; or "vq", the nearest of ``codes`` vectors, to which images pay ``commitment``
    times the squared distance. Those follow with ``decay``, or by gradient where it is null; see ``Codebook``.

    ``width`` is how many channels there are at the image's size, twice as many at each halving up to ``max_width``.

    Raises:
        UsageError: images of a size other than a power of two from 8, or a grid that halving does not reach.
    """

    def __init__(
        self,
        spec: ImageSpec,
        *,
        side: Annotated[int, Ge(1)] = 8,
        latent_dim: Annotated[int, Ge(1)] = 4,
        bottleneck: Literal["kl", "vq"] = "kl",
        divergence: Annotated[float, Ge(0)] = 1e-6,
        codes: Annotated[int, Ge(2)] = 256,
        commitment: Annotated[float, Ge(0)] = 0.25,
        decay: Annotated[float, Interval(gt=0, lt=1)] | None = 0.99,
        width: Annotated[int, Ge(1)] = 32,
        max_width: Annotated[int, Ge(1)] = 128,
    ) -> None:
        super().__init__()
        self.grid = side, latent_dim
        channels = channels_between(spec, side, width, max_width)[::-1]
        self.input = _convolution(spec.channels, channels[0])
        self.stages = nn.Sequential()
        for before, after in pairwise(channels):
            self.stages.extend([Block(before), nn.Conv2d(before, after, 4, stride=2, padding=1)])
        self.stages.extend([Block(channels[-1]), nn.GroupNorm(1, channels[-1]), nn.SiLU()])
        self.output = nn.Conv2d(channels[-1], latent_dim * (2 if bottleneck == "kl" else 1), 1)
        self.divergence = divergence
        self.codebook = Codebook(codes, latent_dim, commitment=commitment, decay=decay) if bottleneck == "vq" else None
        finish(self, spectral_norm=False)

    def forward(self, images: Tensor) -> Gaussian | Quantized:
        """Codes ``[n, latent_dim, side, side]`` of images float ``[n, channels, size, size]`` in [-1, 1]."""
        x = self.output(self.stages(self.input(images)))
        if self.codebook is not None:
            return self.codebook(x)
        return Gaussian.of(x)

    def learn(self, code: Gaussian | Quantized, images: Tensor) -> tuple[Tensor, Stats]:
        """What the codes of a batch cost, a scalar, and figures; codes that are averages take in the batch."""
        if self.codebook is None:
            divergence = code.divergence().mean() / images[0].numel()
            return self.divergence * divergence, {"divergence": divergence}
        self.codebook.follow(code)
        return code.cost, {"perplexity": self.codebook.perplexity(code)}


class GridDecoder(nn.Module):
    """Grids of codes to images, the encoder the other way round; see ``GridEncoder`` for its options.

    ``last`` is the weight of the last layer.

    ``side`` times ``side`` places have codes of ``latent_dim`` numbers. ``width`` are the channels at the image's size,
    twice as many at each halving up to ``max_width``.
    """

    def __init__(
        self,
        spec: ImageSpec,
        *,
        side: Annotated[int, Ge(1)] = 8,
        latent_dim: Annotated[int, Ge(1)] = 4,
        width: Annotated[int, Ge(1)] = 32,
        max_width: Annotated[int, Ge(1)] = 128,
    ) -> None:
        super().__init__()
        self.grid = side, latent_dim
        channels = channels_between(spec, side, width, max_width)
        self.input = _convolution(latent_dim, channels[0])
        self.stages = nn.Sequential(Block(channels[0]))
        for before, after in pairwise(channels):
            self.stages.extend([nn.Upsample(scale_factor=2), _convolution(before, after), Block(after)])
        self.stages.extend([nn.GroupNorm(1, channels[-1]), nn.SiLU()])
        self.output = _convolution(channels[-1], spec.channels)
        finish(self, spectral_norm=False)

    @property
    def last(self) -> Tensor:
        return self.output.weight

    def forward(self, grid: Tensor) -> Tensor:
        """Images float ``[n, channels, size, size]``, about in [-1, 1], of codes ``[n, latent_dim, side, side]``."""
        return self.output(self.stages(self.input(grid)))


def channels_between(spec: ImageSpec, side: int, width: int, max_width: int) -> list[int]:
    """Channels at each resolution from the grid's to the image's. Raises UsageError for a grid that there cannot be."""
    stages = resolutions(spec, "conditional/grid")
    if side not in stages[:-1]:
        raise UsageError(
            f"a grid of {side} x {side} is not possible: images of {spec.size} pixels have one of "
            f"{', '.join(map(str, stages[:-1]))}"
        )
    return widths([stage for stage in stages if stage >= side], width, max_width)


def _convolution(before: int, after: int) -> nn.Conv2d:
    return nn.Conv2d(before, after, 3, padding=1)
