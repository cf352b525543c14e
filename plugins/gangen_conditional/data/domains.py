"""Images of several kinds, their labels: any is to be made one of any kind."""

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Literal

import torch
from torch import Tensor

from gangen import Data, DataError, Part, Seed, SheetRow, TensorSplit
from gangen_conditional.codecs.inputs import ImageInput
from gangen_conditional.codecs.output import ImageFromCodec
from gangen_conditional.data.derived import edges, grey, inverted
from gangen_conditional.data.unpaired import AsInputs, Images, as_inputs, in_memory
from gangen_image import ImageSpec, SideBySide
from gangen_text import ROWS_SHOWN


def _in_colour(*colour: float) -> Callable[[Tensor], Tensor]:
    """What makes of grey pictures uint8 ``[n, 1, size, size]`` those of one colour on black, of 3 channels."""
    weights = torch.tensor(colour, dtype=torch.float32)[:, None, None]
    return lambda images: (images.float() * weights).round().to(torch.uint8)


STYLES: Mapping[str, Callable[[Tensor], Tensor]] = {
    "white": _in_colour(1, 1, 1),
    "red": _in_colour(1, 0.2, 0.2),
    "green": _in_colour(0.2, 0.9, 0.3),
    "blue": _in_colour(0.3, 0.5, 1),
    "negative": lambda images: _in_colour(1, 1, 1)(inverted(images)),
    "outline": lambda images: _in_colour(1, 1, 1)(edges(images)),
}
Style = Literal["white", "red", "green", "blue", "negative", "outline"]


class Domains:
    """Labelled images of the data source ``of``, any of which is to be made one of any label.

    With ``styles`` these are the labels, and each image is in one of them: which one, says ``seed``. So no picture is
    trained on in two. Without, the labels are those of the source.

    Training batches have "image" uint8 ``[B, C, S, S]`` with "label" and, drawn apart from these, as many "input" with
    "input_label". Of held-out rows that are styled, "image" is the truth, the input in another style; and "kept" is
    the label that the source has for both, a number among those of the data source ``kept``, its pictures in all
    styles.

    Raises:
        DataError: the source has no labels; or it is to be styled and is not in memory, or in a single style.
    """

    codec_class = ImageFromCodec

    def __init__(
        self,
        *,
        of: Annotated[Any, Part("data")] = "image/digits",
        styles: Sequence[Style] = ("red", "green", "blue", "outline"),
        seed: Seed = 0,
    ) -> None:
        self.accounts = getattr(of, "accounts", [])
        generator = torch.Generator().manual_seed(seed)
        source, held, self.kept = _styled(of, styles, generator) if styles else _labelled(of, generator)
        spec = source.codec.spec
        self.codec = ImageFromCodec(spec, ImageInput(ImageSpec(spec.channels, spec.size)))
        self.train = SideBySide(source.train, AsInputs(source.train))
        self.heldout = TensorSplit(**held)

    def sheet(self) -> list[SheetRow]:
        """Inputs that are held out, each called by its label, with what is made of it for every label in turn."""
        labels, rows, sheet = self.codec.spec.labels, self.heldout.rows(), []
        n = len(labels)
        for place in torch.linspace(0, len(self.heldout) - 1, min(ROWS_SHOWN, len(self.heldout))).long():
            pixels = rows["input"][place : place + 1]
            condition = {"input": pixels.expand(n, -1, -1, -1), "label": torch.arange(n)}
            (shown,) = self.codec.input.decode(pixels)
            sheet.append(SheetRow(labels[rows["input_label"][place]], n, condition, {"input": shown}))
        return sheet


Found = tuple[Data, Mapping[str, Tensor], Data | None]


def _labelled(of: Data, generator: torch.Generator) -> Found:
    """(source of images, held-out rows, what is kept) where the labels are those of the data."""
    spec, rows = of.codec.spec, of.heldout.rows()
    if not isinstance(spec, ImageSpec) or not spec.labels:
        raise DataError("conditional/domains: the source has no labels, which are the domains; or give it styles")
    order = torch.randperm(len(of.heldout), generator=generator)
    return of, {name: rows[name][order] for name in ("image", "label")} | as_inputs(rows), None


def _styled(of: Data, styles: Sequence[Style], generator: torch.Generator) -> Found:
    """(source of images, held-out rows, what is kept) where the labels are styles of grey pictures."""
    trained = in_memory(of, "conditional/domains makes styles")
    if len(set(styles)) < max(2, len(styles)):
        raise DataError(f"conditional/domains: give it two styles or more, each once, and not {', '.join(styles)}")
    held, sides = of.heldout.rows(), []
    for rows in (trained, held):
        number = torch.randint(len(styles), (len(rows["image"]),), generator=generator)
        sides.append({"image": _in_styles(rows["image"], styles, number), "label": number})
    others = (number + torch.randint(1, len(styles), number.shape, generator=generator)) % len(styles)
    truth = {"image": _in_styles(held["image"], styles, others), "label": others} | as_inputs(sides[1])
    source = Images.of(tuple(styles), *sides)
    if "label" not in trained:
        return source, truth, None
    kept = [side | {"label": rows["label"]} for side, rows in zip(sides, (trained, held), strict=True)]
    return source, truth | {"kept": held["label"]}, Images.of(of.codec.spec.labels, *kept)


def _in_styles(images: Tensor, styles: Sequence[Style], number: Tensor) -> Tensor:
    """Each image in the style of its ``number``, int64 ``[n]``: uint8 ``[n, 3, size, size]``."""
    pictures = grey(images)
    made = pictures.repeat(1, 3, 1, 1)
    for place, style in enumerate(styles):
        made[number == place] = STYLES[style](pictures[number == place])
    return made
