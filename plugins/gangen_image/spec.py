"""What an image network must know of its data: the shape of an image, or of a point, and the labels."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class ImageSpec:
    """Description of square images, uint8 ``[batch, channels, size, size]`` as data, float in [-1, 1] in networks."""

    channels: int
    size: int
    labels: tuple[str, ...] = ()

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one image."""
        return self.channels, self.size, self.size

    def prepare(self, images: Tensor) -> Tensor:
        """What networks take, float in [-1, 1], for images uint8 of any shape: 0 becomes -1, 255 becomes 1."""
        return images.to(torch.get_default_dtype()) / 127.5 - 1


@dataclass(frozen=True)
class PointSpec:
    """Description of points, float ``[batch, dimensions]``: they stand where images would, and are used as they are."""

    dimensions: int = 2
    labels: tuple[str, ...] = ()

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one point."""
        return (self.dimensions,)

    def prepare(self, points: Tensor) -> Tensor:
        """The points in the default dtype."""
        return points.to(torch.get_default_dtype())
