"""Pairs of pictures: one to start from, "input", and the one to be made of it, "image"."""

from typing import Annotated, Any

import torch
from torch import Tensor

from gangen import DataError, Part, SheetRow, Split, TensorSplit
from gangen_conditional.codecs.inputs import ImageInput
from gangen_conditional.codecs.output import ImageFromCodec
from gangen_conditional.data.derived import DERIVED
from gangen_image import ImageSpec

# Rows of a sheet.
SHOWN = 8


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
        return image_sheet(self.codec, self.heldout)


def image_sheet(codec: ImageFromCodec, heldout: TensorSplit, n: int = 1) -> list[SheetRow]:
    """``SHOWN`` held-out rows, spread evenly: the input, ``n`` samples and the truth."""
    places = torch.linspace(0, len(heldout) - 1, min(SHOWN, len(heldout))).long()
    rows = {name: column[places] for name, column in heldout.rows().items()}
    inputs, truths = codec.input.decode(rows["input"]), codec.decode(rows["image"])
    return [
        SheetRow("", n, {"input": rows["input"][row : row + 1].expand(n, -1, -1, -1)}, {"input": shown, "truth": truth})
        for row, (shown, truth) in enumerate(zip(inputs, truths, strict=True))
    ]


def _with_inputs(split: Split, derive: Any) -> TensorSplit:
    if not hasattr(split, "rows") or "image" not in (columns := split.rows()):
        raise DataError("conditional/pairs needs images that are in memory, neither streamed nor flipped")
    inputs: Tensor = derive(columns["image"])
    return TensorSplit(**{"image": columns["image"], "input": inputs} | columns)
