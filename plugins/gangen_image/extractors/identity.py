"""The samples themselves as features: what metrics see points with."""

import torch
from torch import Tensor

from gangen import Data, digest
from gangen_image.extractors.classifier import seen
from gangen_image.spec import ImageSpec


class Identity:
    """Features are the coordinates of points, or the pixels of images as a file would show them.

    It is fitted to nothing, so floors are sharp. Distances of pixels say little about what an image shows.
    """

    name = "identity"

    def __init__(self) -> None:
        self.key = (type(self),)
        self._images = False

    def check(self, data: Data) -> None:
        """Any data will do."""

    def fit(self, data: Data, device: torch.device) -> None:
        """Note whether ``data`` are images."""
        self._images = isinstance(data.codec.spec, ImageSpec)

    @property
    def digest(self) -> str:
        """The same for all: there are no weights."""
        return digest({})

    def features(self, samples: Tensor) -> Tensor:
        """Float32 ``[n, F]``, F being the product of all dimensions of a sample but the first."""
        return (seen(samples) if self._images else samples.float()).flatten(1)
