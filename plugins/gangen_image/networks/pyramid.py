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


class LowPass(nn.Module):
    """The filter [1, 3, 3, 1] across and down, and what it is for: doubling and halving, bilinear but for borders.

    Beyond the borders there are zeros, as in StyleGAN2 and R3GAN. Convolutions, because torch's own interpolation is
    slower, and with antialiasing knows no bfloat16.
    """

    def __init__(self) -> None:
        super().__init__()
        taps = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 8
        self.register_buffer("kernel", torch.outer(taps, taps), persistent=False)

    def forward(self, x: Tensor, padding: int, stride: int = 1) -> Tensor:
        """Float ``[n, channels, (h + 2 padding - 3) / stride, ...]`` of x float ``[n, channels, h, w]``."""
        return F.conv2d(x, self._kernel(x), stride=stride, padding=padding, groups=x.shape[1])

    def halved(self, x: Tensor) -> Tensor:
        """The filter, then every other pixel: ``[n, channels, h / 2, w / 2]``."""
        return self(x, padding=1, stride=2)

    def doubled(self, x: Tensor) -> Tensor:
        """Zeros in between, then the filter, of four times the weight: ``[n, channels, 2 h, 2 w]``."""
        return F.conv_transpose2d(x, 4 * self._kernel(x), stride=2, padding=1, groups=x.shape[1])

    def _kernel(self, x: Tensor) -> Tensor:
        return self.kernel.expand(x.shape[1], 1, 4, 4)
