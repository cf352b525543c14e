"""What a network must know of data that are made from something: the output's description, with the input's in it."""

from dataclasses import dataclass

from gangen import UsageError
from gangen_image import ImageSpec
from gangen_text import TextSpec

InputSpec = ImageSpec | TextSpec


@dataclass(frozen=True, kw_only=True)
class ImageFromSpec(ImageSpec):
    """Description of images that are made from an ``input``, an image or a text.

    Rows have "image", as ``ImageSpec`` says, and "input": an image uint8 ``[batch, channels, size, size]``, or tokens
    int64 ``[batch, max_length]``.
    """

    input: InputSpec


@dataclass(frozen=True, kw_only=True)
class TextFromSpec(TextSpec):
    """Description of texts that are made from an ``input``, an image or a text; rows have "tokens" and "input"."""

    input: InputSpec


def input_image(spec: ImageSpec, network: str, otherwise: str = "") -> ImageSpec:
    """The description of the input, an image as large as the one that is made of it.

    Raises UsageError where the data have no such input, in the name of a ``network`` that does ``otherwise`` without.
    """
    found = getattr(spec, "input", None)
    if not isinstance(found, ImageSpec) or found.size != spec.size:
        hint = f", or {otherwise}" if otherwise else ""
        raise UsageError(f"{network} needs images with an image of the same size as input: conditional/pairs{hint}")
    return found
