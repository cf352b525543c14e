"""Stacked digits: images with a thousand modes that can be counted."""

from typing import Annotated, Any

import torch
from annotated_types import Ge
from torch import Tensor

from gangen import DataError, Part, Seed, TensorSplit
from gangen_image.codec import ImageCodec
from gangen_image.spec import ImageSpec


class Stacked:
    """Stacked MNIST (Metz et al., 2017): three random digits are the channels of an image, 1,000 modes in all.

    ``digits`` is a source of grey digits. ``size`` training images are drawn from its training digits by ``seed``, and
    ``heldout_size`` others from its held-out digits. Training images are put together when a batch needs them. There
    are no labels; the ``digits`` themselves are kept for who wants to count modes.

    Raises:
        DataError: the digits are not grey, or not in memory.
    """

    codec_class = ImageCodec

    def __init__(
        self,
        *,
        digits: Annotated[Any, Part("data")] = "image/digits",
        size: Annotated[int, Ge(1)] = 128_000,
        heldout_size: Annotated[int, Ge(1)] = 10_000,
        seed: Seed = 0,
    ) -> None:
        spec = digits.codec.spec
        if not isinstance(spec, ImageSpec) or spec.channels != 1:
            raise DataError(f"image/stacked needs grey images for its channels, not {spec}")
        if not hasattr(digits.train, "rows"):
            raise DataError("image/stacked needs digits that are all in memory: no streaming, no flip")
        self.digits = digits
        self.accounts = getattr(digits, "accounts", [])
        self.codec = ImageCodec(ImageSpec(3, spec.size))
        generator = torch.Generator().manual_seed(seed)
        self.train = StackedSplit(digits.train.rows()["image"], size, generator)
        held = StackedSplit(digits.heldout.rows()["image"], heldout_size, generator)
        self.heldout = TensorSplit(image=held.stack(held.triples))


class StackedSplit:
    """``size`` triples of ``images``, uint8 ``[n, 1, s, s]``; only the numbers of the images are kept."""

    def __init__(self, images: Tensor, size: int, generator: torch.Generator) -> None:
        self.images = images
        self.triples = torch.randint(len(images), (size, 3), generator=generator)
        self._rows = TensorSplit(triple=self.triples)

    def __len__(self) -> int:
        return len(self.triples)

    def stack(self, triples: Tensor) -> Tensor:
        """uint8 ``[b, 3, s, s]`` for the numbers of images, int64 ``[b, 3]``."""
        return self.images[triples].flatten(1, 2)

    def batch(
        self, counter: int, rows: range, size: int, *, seed: int, device: torch.device | str
    ) -> dict[str, Tensor]:
        """As ``TensorSplit.batch`` of all images put together: "image" uint8 ``[b, 3, s, s]``."""
        triples = self._rows.batch(counter, rows, size, seed=seed, device=self.images.device)["triple"]
        return {"image": self.stack(triples).to(device)}
