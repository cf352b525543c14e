"""Two kinds of pictures without pairs: those to start from, "input", and those to be made of them, "image"."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from operator import length_hint
from typing import Annotated, Any, Literal, Self

import torch
from torch import Tensor

from gangen import Account, Data, DataError, Part, Seed, SheetRow, Split, TensorSplit, noise
from gangen_conditional.codecs.inputs import ImageInput
from gangen_conditional.codecs.output import ImageFromCodec
from gangen_conditional.data.derived import DERIVED
from gangen_image import ImageCodec, ImageSpec, SideBySide
from gangen_text import sheet_of

# So many times as many rows as the other side has are worth a warning.
UNEVEN = 4


@dataclass
class Images:
    """Images in memory as a data source of their own."""

    codec: ImageCodec
    train: TensorSplit
    heldout: TensorSplit
    codec_class = ImageCodec

    @classmethod
    def of(cls, labels: tuple[str, ...], train: Mapping[str, Tensor], heldout: Mapping[str, Tensor]) -> Self:
        """Of columns: "image" uint8 ``[n, channels, size, size]`` and, where there are ``labels``, "label"."""
        _, channels, size, _ = train["image"].shape
        return cls(ImageCodec(ImageSpec(channels, size, labels)), TensorSplit(**train), TensorSplit(**heldout))


class AsInputs:
    """The images of a split as "input", and their labels as "input_label", in an order of their own."""

    def __init__(self, split: Split) -> None:
        self.split = split

    def batch(
        self, counter: int, rows: range, size: int, *, seed: int, device: torch.device | str
    ) -> dict[str, Tensor]:
        """``rows`` of global batch ``counter``; by the same seed, two splits of one length would go in step."""
        return as_inputs(self.split.batch(counter, rows, size, seed=noise.mix(seed, "input"), device=device))


def in_memory(source: Data, what: str) -> dict[str, Tensor]:
    """The training rows of images. Raises DataError for a source without, of which ``what`` is done."""
    if not isinstance(source.codec.spec, ImageSpec) or not hasattr(source.train, "rows"):
        raise DataError(f"{what} of images that are in memory, neither streamed nor flipped")
    return source.train.rows()


def as_inputs(columns: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Columns of images by the names that inputs have."""
    names = {"image": "input", "label": "input_label"}
    return {new: columns[name] for name, new in names.items() if name in columns}


class OneWay:
    """Images of the data source ``image``, to be made of those of ``input``: what Unpaired is, in either direction.

    ``heldout`` has the rows of both sides that are held out, as many of each; they are pairs where they are ``paired``.
    """

    codec_class = ImageFromCodec

    def __init__(
        self, image: Data, input: Data, heldout: tuple[Mapping[str, Tensor], Mapping[str, Tensor]], *, paired: bool
    ) -> None:
        made, start = image.codec.spec, input.codec.spec
        self.codec = ImageFromCodec(made, ImageInput(ImageSpec(start.channels, start.size)))
        self.train = SideBySide(image.train, AsInputs(input.train))
        columns = {**heldout[0], **as_inputs(heldout[1])}
        self.kept = None
        if made.labels and set(made.labels) == set(start.labels):
            self.kept = image
            columns["kept"] = torch.tensor([made.labels.index(name) for name in start.labels])[columns["input_label"]]
        self.heldout = TensorSplit(**columns)
        self._paired = paired

    def sheet(self) -> list[SheetRow]:
        """Inputs that are held out, with the truth where it is known."""
        rows = sheet_of(self.codec, self.heldout)
        return rows if self._paired else [replace(row, beside={"input": row.beside["input"]}) for row in rows]


class Unpaired(OneWay):
    """Images of the data source ``image``, to be made of those of the data source ``input``, without pairs.

    Where there is no ``input``, it is derived: the training images of ``image`` are halved by ``seed``, and one half
    becomes inputs, as ``derived`` says, so that no image has its pair on the other side. What is held out are pairs
    then, since the truth is known. "inverted" is black for white; the others are those of conditional/pairs.

    Training batches have "image" and "input", uint8 ``[B, C, S, S]``, and their labels as "label" and "input_label",
    each side in an order of its own. There are as many held-out rows as the shorter side has; which, says ``seed``.
    Where both sides have the same labels, held-out rows also have "kept", int64: the label of the input, as a number
    among those of the data source ``kept``, which is that of the images. ``exchanged`` is the way back.

    Raises:
        DataError: the sides differ in size or channels, or are no images; or inputs are to be derived of images that
            are not in memory.
    """

    def __init__(
        self,
        *,
        image: Annotated[Any, Part("data")] = "image/digits",
        input: Annotated[Any, Part("data")] | None = None,
        derived: Literal["inverted", "edges", "low_resolution"] = "inverted",
        seed: Seed = 0,
    ) -> None:
        account = Account("conditional/unpaired", "images")
        self.accounts = [*getattr(image, "accounts", ()), *getattr(input, "accounts", ()), account]
        paired = input is None
        if input is None:
            image, input = _halves(image, derived, seed)
            held = image.heldout.rows(), input.heldout.rows()
        else:
            held = _shuffled(image, seed), _shuffled(input, seed + 1)
        _check(image.codec.spec, input.codec.spec)
        counts = len(held[0]["image"]), len(held[1]["image"])
        _tell(account, (length_hint(image.train, 0), length_hint(input.train, 0)), counts)
        n = min(counts)
        held = tuple({name: column[:n] for name, column in side.items()} for side in held)
        super().__init__(image, input, held, paired=paired)
        self.exchanged = OneWay(input, image, held[::-1], paired=paired)
        if self.kept is None:
            account.notes.append("labels, if any, differ: whether they are kept is not known")


def _halves(source: Data, derived: str, seed: int) -> tuple[Images, Images]:
    """Images and inputs: half of the training images each, and all that are held out."""
    columns = in_memory(source, "conditional/unpaired derives inputs")

    def derive(rows: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {**rows, "image": DERIVED[derived](rows["image"])}

    order = torch.randperm(len(columns["image"]), generator=torch.Generator().manual_seed(seed))
    made, start = ({name: column[half] for name, column in columns.items()} for half in order.chunk(2))
    labels, held = source.codec.spec.labels, source.heldout.rows()
    return Images.of(labels, made, held), Images.of(labels, derive(start), derive(held))


def _shuffled(source: Data, seed: int) -> dict[str, Tensor]:
    """All held-out rows, whose order then says nothing about labels."""
    order = torch.randperm(len(source.heldout), generator=torch.Generator().manual_seed(seed))
    return {name: column[order] for name, column in source.heldout.rows().items()}


def _check(image: Any, input: Any) -> None:
    """Raises DataError where one translator could not be the other's way back."""
    if not isinstance(image, ImageSpec) or not isinstance(input, ImageSpec):
        raise DataError("conditional/unpaired: image and input are two sources of images")
    if image.size != input.size:
        raise DataError(
            f"conditional/unpaired: images have {image.size} pixels a side, and inputs {input.size}; give both "
            f"the same size, as in data.input.size={image.size}"
        )
    if image.channels != input.channels:
        raise DataError(
            f"conditional/unpaired: images have {_channels(image)}, and inputs {_channels(input)}; make both grey or "
            "both coloured, as image/dataset does by its option color"
        )


def _channels(spec: ImageSpec) -> str:
    return f"{spec.channels} channel{'s' * (spec.channels > 1)}"


def _tell(account: Account, trained: tuple[int, int], held: tuple[int, int]) -> None:
    """What becomes of so many images and inputs; a warning where one side has many more of them."""
    account.use("to make, trained on", trained[0])
    account.use("to start from, trained on", trained[1])
    account.use("held out of either side", min(held))
    for (images, inputs), what, hint in (
        (trained, "to train on", "the smaller side is seen so much more often, and may be learned by heart"),
        (held, "held out", "as many of the larger side are looked at as the smaller one has"),
    ):
        if min(images, inputs) and max(images, inputs) > UNEVEN * min(images, inputs):
            account.warnings.append(f"conditional/unpaired: {images:,} images and {inputs:,} inputs {what}: {hint}")
