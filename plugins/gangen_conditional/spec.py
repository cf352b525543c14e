"""What a network must know of data that are made from something: the output's description, with the input's in it."""

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor

from gangen import UsageError
from gangen_image import ImageSpec
from gangen_text import TextSpec

InputSpec = ImageSpec | TextSpec


@dataclass(frozen=True, kw_only=True)
class HolesSpec(TextSpec):
    """Description of texts with holes, and of how they are filled.

    A hole stands for one to ``longest`` words, and is ``longest`` times the token ``hole`` in a row. The row of the
    whole text has the words that fill it in these places and ``pad`` in those that are left, so that both rows are
    equal wherever there is no hole. Holes do not touch, and have no word that is ``unknown``.
    """

    hole: int
    longest: int
    unknown: int | None

    def holes(self, input: Tensor) -> Tensor:
        """Where there are holes, bool of the shape of ``input`` ``[batch, length]``."""
        return input == self.hole

    def chosen(self, tokens: Tensor, input: Tensor) -> Tensor:
        """Where whoever wrote ``tokens`` had a choice, bool of their shape ``[batch, length]``.

        That is at each word in a hole of ``input``, and at the first padding of a hole, which closes it.
        """
        holes = self.holes(input)
        closed = F.pad(holes & (tokens == self.pad), (1, 0))[:, :-1]
        return holes & ~closed


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
