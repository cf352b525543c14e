"""Pictures of any size and mode into tensors of one shape."""

import io
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from gangen import Account

MODES = {1: "L", 3: "RGB"}
Fit = Literal["crop", "pad"]
Range = tuple[float, float]
# Images whose every pixel is on this side of these are hardly images: 14 bits of 16 reach 63.
DARK, BRIGHT = 63, 192
# Of a picture: more take gigabytes to decode, of a file that may have some kilobytes.
MAX_PIXELS = 2**26
Cell = Mapping[str, Any] | bytes | None


def open_image(cell: Cell, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """The picture in a row of an image column: bytes, or as ``datasets`` stores it, "bytes" and a "path" for none.

    Its pixels are decoded later.

    Raises:
        OSError, ValueError: it cannot be read, or has too many pixels; Pillow has more to raise for damaged files.
    """
    if cell is None:
        raise ValueError("there is none")
    if isinstance(cell, bytes):
        image = Image.open(io.BytesIO(cell))
    else:
        image = Image.open(cell["path"] if cell["bytes"] is None else io.BytesIO(cell["bytes"]))
    if image.width * image.height > max_pixels:
        image.close()
        raise ValueError(f"its {image.width:,} x {image.height:,} pixels are more than {max_pixels:,} (max_pixels)")
    return image


def to_pixels(image: Image.Image, channels: int, size: int, fit: Fit, pixel_range: Range | None = None) -> Tensor:
    """uint8 ``[channels, size, size]`` of a picture: upright, on black where it is transparent, fitted.

    Raises:
        ValueError: without a ``pixel_range``, values that are not those of the picture's type.

    Args:
        pixel_range: the values that become 0 and 255; what lies beyond is clipped. None takes those of the type: 0 and
            65535 of whole numbers of more than 8 bits, 0 and 1 of floats.
        fit: "crop" resizes the shorter side to ``size`` and cuts out the centre; "pad" shrinks what is larger, never
            enlarges, and puts the picture in the middle of black.
    """
    image = _fitted(_converted(image, MODES[channels], pixel_range), size, fit)
    return torch.from_numpy(np.array(image).reshape(size, size, channels)).permute(2, 0, 1).contiguous()


def tell_sizes(sizes: Sequence[tuple[int, int]], size: int, fit: Fit, account: Account) -> None:
    """Tell the sizes (width, height) that pictures had, smallest and largest, and how many were enlarged."""
    smallest, largest = (chosen(sizes, key=lambda it: (it[0] * it[1], it)) for chosen in (min, max))
    if smallest == largest == (size, size):
        return
    former = [f"{width:,} x {height:,}" for width, height in dict.fromkeys((smallest, largest))]
    account.notes.append(f"{' to '.join(former)} made {size} x {size}")
    if fit == "crop" and (enlarged := sum(min(it) < size for it in sizes)):
        account.notes.append(f"{enlarged:,} of them enlarged")


def tell_pixels(images: Tensor, account: Account, advice: str) -> None:
    """Tell what values there are in images, uint8 ``[n, channels, size, size]``, and warn where they are hardly any.

    The warning ends with the ``advice``.
    """
    low, high = images.flatten(1).amin(1), images.flatten(1).amax(1)
    darkest, brightest = int(low.min()), int(high.max())
    account.notes.append(f"pixels {darkest} to {brightest}")
    if blank := int((low == high).sum()):
        account.notes.append(f"{blank:,} of a single colour")
    hardly = int(((high <= DARK) | (low >= BRIGHT)).sum())
    if 0 < hardly < len(images):
        account.notes.append(f"{hardly:,} nearly black or white")
    if brightest <= DARK or darkest >= BRIGHT:
        found = ("black", "brightest", brightest) if brightest <= DARK else ("white", "darkest", darkest)
        account.warnings.append(
            "{}: images are nearly {}: the {} pixel of all is {} of 255; {}".format(account.source, *found, advice)
        )


def _converted(image: Image.Image, mode: str, pixel_range: Range | None) -> Image.Image:
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith(("I", "F")):  # Pillow would clip these, not scale them
        usual = (0, 1) if image.mode == "F" else (0, 2**16 - 1)
        return _scaled(image, pixel_range or usual, strict=pixel_range is None).convert(mode)
    if image.has_transparency_data:
        # Dropping alpha would uncover whatever colours were saved below it.
        image = Image.alpha_composite(Image.new("RGBA", image.size, (0, 0, 0, 255)), image.convert("RGBA"))
    image = image.convert(mode)
    if pixel_range is None or pixel_range[1] > 255:  # which says what deeper pictures beside this one hold
        return image
    return _scaled(image, pixel_range, strict=False)


def _scaled(image: Image.Image, pixel_range: Range, *, strict: bool) -> Image.Image:
    """With the two values of ``pixel_range`` at 0 and 255; ``strict`` refuses others than those between."""
    values, (black, white) = np.asarray(image, dtype=np.float64), pixel_range
    if not np.isfinite(values).all():
        raise ValueError("it holds values that are not finite")
    if strict and (values.min() < black or values.max() > white):
        raise ValueError(
            f"its values go from {values.min():g} to {values.max():g}, not from {black} to {white}; "
            "say what is black and white with data.pixel_range"
        )
    return Image.fromarray(((values - black) / (white - black) * 255).clip(0, 255).round().astype(np.uint8))


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
