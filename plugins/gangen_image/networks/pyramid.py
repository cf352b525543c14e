"""Pyramids: the resolutions that an image goes through by doubling or halving, their widths, and the steps between."""

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gangen import UsageError
from gangen_image.spec import ImageSpec, PointSpec

SMALLEST = 4


def resolutions(spec: ImageSpec | PointSpec, network: str) -> list[int]:
    """4, 8, ... up to the size of the images.

    Raises:
        UsageError: points instead of images, or a size that doubling 4 does not reach.
    """
    if not isinstance(spec, ImageSpec):
        raise UsageError(f"{network} is for images, and this data has points; use image/mlp")
    steps = (spec.size // SMALLEST).bit_length()
    found = [SMALLEST * 2**step for step in range(steps)]
    if len(found) < 2 or found[-1] != spec.size:
        raise UsageError(
            f"{network} is for images of 8, 16, 32, 64, 128, 256, 512 or 1024 pixels, not {spec.size}; "
            "give the data one of these as its size"
        )
    return found


def widths(stages: list[int], width: int, max_width: int) -> list[int]:
    """Channels at each of ``stages``: ``width`` at the last, twice as many at every halving, up to ``max_width``."""
    return [min(max_width, width * (stages[-1] // resolution)) for resolution in stages]


def check_attention(attention: Iterable[int], stages: list[int]) -> None:
    """Raises UsageError for a resolution that is not between the smallest and the image itself."""
    for resolution in attention:
        if resolution not in stages[1:-1]:
            choices = ", ".join(map(str, stages[1:-1])) or "none"
            raise UsageError(
                f"attention at {resolution} is not possible: images of {stages[-1]} pixels have it at {choices}"
            )


def upsample(x: Tensor) -> Tensor:
    """Bilinear doubling, float ``[n, channels, 2 h, 2 w]``: zeros in between, then the low-pass filter [1, 3, 3, 1]."""
    return F.interpolate(x, scale_factor=2, mode="bilinear")


class Downsample(nn.Module):
    """Bilinear halving, ``[n, channels, h / 2, w / 2]``: the low-pass filter [1, 3, 3, 1], then every other pixel.

    A convolution, because torch's own antialiased interpolation knows no bfloat16.
    """

    def __init__(self) -> None:
        super().__init__()
        taps = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 8
        self.register_buffer("kernel", torch.outer(taps, taps), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        channels = x.shape[1]
        kernel = self.kernel.expand(channels, 1, 4, 4)
        return F.conv2d(F.pad(x, (1, 1, 1, 1), mode="replicate"), kernel, stride=2, groups=channels)
