"""Between images and what networks take and make: prompts into conditions, samples into pictures, sheets, files."""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from textwrap import shorten
from typing import Annotated, Self, TypedDict

import torch
from annotated_types import Interval
from PIL import Image, ImageDraw
from torch import Tensor, nn

from gangen import (
    Batch,
    Extractor,
    SheetRow,
    UsageError,
    label_number,
    labels_shown,
    read_fields,
    replacing,
    visible,
    write_atomically,
)
from gangen_image.extractors.classifier import Classifier, as_bytes
from gangen_image.networks.dcgan import DCGANDiscriminator
from gangen_image.networks.mlp import MLPDiscriminator
from gangen_image.spec import ImageSpec
from gangen_image.titles import SIZE, Title, title_of, wrapped_title_of

GAP = 2
BACKGROUND = "white"
# Smaller images are magnified in sheets: at 32 pixels nothing can be judged.
SHEET_PIXELS = 64
PREVIEW_WIDTH = 400


class Fields(TypedDict):
    """What codec.json holds; see ``ImageSpec``."""

    channels: Annotated[int, Interval(ge=1, le=4)]
    size: Annotated[int, Interval(ge=1, le=2**14)]
    labels: list[str]


class ImageCodec:
    """Labels as prompts, Pillow images as samples; see ``gangen.Codec``.

    ``per_prompt`` is how many samples make a good sheet: a row for each label, or a square where there are none.
    """

    suffix = ".png"

    def __init__(self, spec: ImageSpec) -> None:
        self.spec = spec
        self.per_prompt = 8 if spec.labels else 64

    @property
    def takes(self) -> str:
        return "a label" if self.spec.labels else "nothing"

    def prompts(self) -> list[str]:
        """The labels; ``[""]`` where there are none."""
        return list(self.spec.labels) or [""]

    def encode(self, prompt: str | None, n: int) -> dict[str, Tensor]:
        """The condition of ``n`` samples: "label" int64 ``[n]`` for labelled data; without a prompt labels take turns.

        Raises:
            UsageError: an unknown label.
        """
        name = (prompt or "").strip()
        if not self.spec.labels:
            if name:
                raise UsageError(f"this model has no labels, so {name!r:.80} means nothing to it; leave the prompt out")
            return {}
        if not name:
            return {"label": torch.arange(n) % len(self.spec.labels)}
        return {"label": torch.full((n,), label_number(name, self.spec.labels))}

    def samples_of(self, batch: Batch) -> Tensor:
        """The images of a batch, float in [-1, 1]."""
        return self.spec.prepare(batch["image"])

    def batch_of(self, samples: Tensor) -> dict[str, Tensor]:
        """Samples as files would show them: "image" uint8 ``[n, channels, size, size]``."""
        return {"image": as_bytes(samples)}

    def extractor(self) -> Extractor:
        """A classifier of the labels. Raises UsageError where there are none."""
        if not self.spec.labels:
            raise UsageError(
                "these images have no labels that metrics could learn to see by; name an extractor that needs none, as "
                "in {use: frechet, extractor: image/rotations}; or image/inception, or image/identity for pixels"
            )
        return Classifier()

    def discriminator(self) -> nn.Module:
        """Strided convolutions; where the size is no power of two, layers that see all pixels."""
        try:
            return DCGANDiscriminator(self.spec, width=32, norm="layer")
        except UsageError:
            return MLPDiscriminator(self.spec)

    def decode(self, samples: Tensor) -> list[Image.Image]:
        """Pictures of float in [-1, 1], or uint8, ``[n, channels, size, size]``; what lies beyond is clipped."""
        rows = (samples if samples.dtype == torch.uint8 else as_bytes(samples)).cpu().permute(0, 2, 3, 1)
        return [Image.fromarray((row.squeeze(2) if row.shape[2] == 1 else row).numpy()) for row in rows]

    def write(self, samples: Sequence[Image.Image], path: Path, columns: int | None = None) -> None:
        """One picture, or several in a grid, in the format that the suffix of ``path`` names.

        The grid has ``columns``, or is nearly square.

        Raises:
            UsageError: a suffix that stands for no format that Pillow writes.
        """
        if columns is None:
            save_image(samples[0] if len(samples) == 1 else square(samples), path)
        else:
            save_image(grid(samples, columns), path)

    def render(self, sheet: Sequence[SheetRow], path: Path) -> Path | list[Path]:
        """Write ``path``.png: rows with their titles at the left; a square where there is but one, without a title.

        Rows whose titles cannot be drawn whole have numbers, which ``path``.txt explains.
        """
        path = path.with_name(f"{path.name}.png")
        side = self.spec.size * max(1, SHEET_PIXELS // self.spec.size)
        rows = [row for row in sheet if row.cells]
        if len(rows) == 1 and not rows[0].title and not rows[0].beside:
            save_image(square([_resized(image, side) for image in rows[0].samples]), path)
            return path
        save_image(_rows_with_titles(rows, side, labels_shown([row.title for row in rows], self.prompts())), path)
        if not (legend := _legend(rows)):
            return path
        explained = path.with_suffix(".txt")
        write_atomically(explained, visible("\n".join(legend)) + "\n")
        return [path, explained]

    def preview(self, sheet: Sequence[SheetRow]) -> str:
        """What the numbers of rows stand for whose titles cannot be drawn."""
        return shorten(", ".join(_legend([row for row in sheet if row.samples])), PREVIEW_WIDTH, placeholder=" ...")

    def save(self, folder: Path) -> None:
        """Write codec.json."""
        write_atomically(folder / "codec.json", json.dumps(asdict(self.spec), indent=1, ensure_ascii=False) + "\n")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """What ``save`` wrote.

        Raises:
            DataError: the file is missing or damaged.
        """
        fields = read_fields(folder / "codec.json", Fields)
        return cls(ImageSpec(**{**fields, "labels": tuple(fields["labels"])}))


def grid(images: Sequence[Image.Image], columns: int) -> Image.Image:
    """``images`` of one size row by row, ``columns`` in each, with gaps between and around them."""
    width, height = images[0].size
    rows = math.ceil(len(images) / columns)
    size = columns * (width + GAP) + GAP, rows * (height + GAP) + GAP
    canvas = _canvas(images, size)
    for number, image in enumerate(images):
        row, column = divmod(number, columns)
        canvas.paste(image, (GAP + column * (width + GAP), GAP + row * (height + GAP)))
    return canvas


def square(images: Sequence[Image.Image]) -> Image.Image:
    """``images`` of one size in a grid that is nearly square."""
    return grid(images, math.ceil(math.sqrt(len(images))))


def save_image(image: Image.Image, path: Path) -> None:
    """Write a picture in the format of the suffix of ``path``; a reader never sees half of it.

    Raises:
        UsageError: the suffix stands for no format that Pillow writes.
    """
    name = Image.registered_extensions().get(path.suffix.lower())
    if name not in Image.SAVE:
        raise UsageError(f"cannot write images to {path}: its suffix is no image format; use .png, .jpg or .webp")
    with replacing(path) as temporary:
        image.save(temporary, format=name)


def _canvas(images: Sequence[Image.Image], size: tuple[int, int]) -> Image.Image:
    """An empty picture that all ``images`` can be pasted into."""
    return Image.new(images[0].mode if len({it.mode for it in images}) == 1 else "RGB", size, BACKGROUND)


def _resized(image: Image.Image, side: int) -> Image.Image:
    return image.resize((side, side), Image.Resampling.NEAREST)


def _rows_with_titles(rows: Sequence[SheetRow], side: int, note: str) -> Image.Image:
    """A strip of images for each row; above them the names of those in the first row that have one, below a note."""
    titles = [wrapped_title_of(row.title) for row in rows]
    words = [_marked(number, title, row.title) for number, (title, row) in enumerate(zip(titles, rows, strict=True), 1)]
    plain = title_of("").font
    lengths = [max(map(title.font.getlength, it.split("\n"))) for title, it in zip(titles, words, strict=True)]
    margin = math.ceil(max(lengths)) + 3 * GAP
    strips = [grid([_resized(image, side) for _, image in row.cells], len(row.cells)) for row in rows]
    line = SIZE + 2 * GAP
    top = line if rows[0].beside else 0
    width = max(margin + max(strip.width for strip in strips), math.ceil(plain.getlength(note)) + 2 * GAP)
    canvas = _canvas(strips, (width, top + sum(strip.height for strip in strips) + (line if note else 0)))
    draw = ImageDraw.Draw(canvas)
    for column, (name, _) in enumerate(rows[0].cells):
        draw.text((margin + GAP + column * (side + GAP), GAP), name, fill="black", font=title_of(name).font)
    for title, word, strip in zip(titles, words, strips, strict=True):
        at = margin - 2 * GAP, top + strip.height // 2
        draw.text(at, word, fill="black", font=title.font, anchor="rm", align="right", spacing=GAP)
        canvas.paste(strip, (margin, top))
        top += strip.height
    draw.text((GAP, top + GAP), note, fill="black", font=plain)
    return canvas


def _marked(number: int, title: Title, name: str) -> str:
    return title.shown if title.whole or not name else f"#{number} {title.shown}".rstrip()


def _legend(rows: Sequence[SheetRow]) -> list[str]:
    """The numbers of rows whose titles are not drawn whole, and what they stand for."""
    # What is no text, as a name of a file may be, is escaped.
    whole = (row.title.encode("utf-8", "backslashreplace").decode() for row in rows)
    names = enumerate((" ".join(name.split()) for name in whole), 1)
    return [f"#{number} = {name}" for number, name in names if name and not wrapped_title_of(name).whole]
