"""Pictures of any size and mode into tensors of one shape."""

import io
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

MODES = {1: "L", 3: "RGB"}
Fit = Literal["crop", "pad"]
Cell = Mapping[str, Any] | bytes | None


def open_image(cell: Cell) -> Image.Image:
    """The picture in a row of an image column: bytes, or as ``datasets`` stores it, "bytes" and a "path" for none.

    Raises:
        OSError, ValueError: it cannot be read; Pillow has more to raise for damaged files.
    """
    if cell is None:
        raise ValueError("there is none")
    if isinstance(cell, bytes):
        return Image.open(io.BytesIO(cell))
    return Image.open(cell["path"] if cell["bytes"] is None else io.BytesIO(cell["bytes"]))


def to_pixels(image: Image.Image, channels: int, size: int, fit: Fit) -> Tensor:
    """uint8 ``[channels, size, size]`` of a picture: upright, on black where it is transparent, fitted.

    Args:
        fit: "crop" resizes the shorter side to ``size`` and cuts out the centre; "pad" shrinks what is larger, never
            enlarges, and puts the picture in the middle of black.
    """
    image = _fitted(_converted(image, MODES[channels]), size, fit)
    return torch.from_numpy(np.array(image).reshape(size, size, channels)).permute(2, 0, 1).contiguous()


def _converted(image: Image.Image, mode: str) -> Image.Image:
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I"):  # 16 bits: Pillow would clip them, not scale them
        image = Image.fromarray((np.asarray(image) / 257).clip(0, 255).astype(np.uint8))
    if image.has_transparency_data:
        # Dropping alpha would uncover whatever colours were saved below it.
        image = Image.alpha_composite(Image.new("RGBA", image.size, (0, 0, 0, 255)), image.convert("RGBA"))
    return image.convert(mode)


def _fitted(image: Image.Image, size: int, fit: Fit) -> Image.Image:
    if image.size == (size, size):
        return image
    if fit == "crop":
        return ImageOps.fit(image, (size, size), Image.Resampling.LANCZOS)
    if max(image.size) > size:
        image = ImageOps.contain(image, (size, size), Image.Resampling.LANCZOS)
    canvas = Image.new(image.mode, (size, size))
    canvas.paste(image, ((size - image.width) // 2, (size - image.height) // 2))
    return canvas
