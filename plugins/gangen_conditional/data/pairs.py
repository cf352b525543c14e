"""Pairs of pictures: one to start from, "input", and the one to be made of it, "image"."""

from typing import Annotated, Any

from torch import Tensor

from gangen import DataError, Part, SheetRow, Split, TensorSplit
from gangen_conditional.codecs.inputs import ImageInput
from gangen_conditional.codecs.output import ImageFromCodec
from gangen_conditional.data.derived import DERIVED
from gangen_conditional.data.sheets import sheet_of
from gangen_image import ImageSpec


class Pairs:
    """The images of the data source ``of``, each with an input that is derived from it.

    ``input`` is how: "edges", "grey", "low_resolution", or "same", the image itself.

    Raises:
        DataError: the data are no images in memory.
    """

    codec_class = ImageFromCodec

    def __init__(self, *, of: Annotated[Any, Part("data")] = "image/digits", input: str = "edges") -> None:
        spec = of.codec.spec
        self.accounts = getattr(of, "accounts", [])
        self.train, self.heldout = (_with_inputs(split, DERIVED[input]) for split in (of.train, of.heldout))
        channels = self.heldout.rows(range(1))["input"].shape[1]
        self.codec = ImageFromCodec(spec, ImageInput(ImageSpec(channels, spec.size)))

    def sheet(self) -> list[SheetRow]:
        """Inputs that are held out, with the truth."""
        return sheet_of(self.codec, self.heldout)


def _with_inputs(split: Split, derive: Any) -> TensorSplit:
    if not hasattr(split, "rows") or "image" not in (columns := split.rows()):
        raise DataError("conditional/pairs needs images that are in memory, neither streamed nor flipped")
    inputs: Tensor = derive(columns["image"])
    return TensorSplit(**{"image": columns["image"], "input": inputs} | columns)
