"""Codecs of images and texts that are made from something: what a prompt becomes is up to its side, the input."""

import json
from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Annotated, Any, Literal, Required, Self, TypedDict

from annotated_types import Interval
from torch import Tensor, nn

from gangen import DataError, Extractor, SheetRow, UsageError, read_fields, write_atomically
from gangen_conditional.codecs.holes import HolesInput
from gangen_conditional.codecs.inputs import ImageInput, Input
from gangen_conditional.spec import ImageFromSpec, TextFromSpec
from gangen_image import Fit, ImageCodec, ImageSpec, Rotations, captioned, save_image
from gangen_text import TextCodec, TextInput, TextSpec

KINDS: dict[str, type[Input]] = {"image": ImageInput, "text": TextInput, "holes": HolesInput}


class Fields(TypedDict, total=False):
    """What input.json holds: the kind of input, and the options that it has of these."""

    kind: Required[Literal["image", "text", "holes"]]
    fit: Fit
    optional: bool
    takes: str
    longest: Annotated[int, Interval(ge=1, le=2**10)]


class FromInput:
    """What codecs have in common whose samples are made from an ``input``, the only thing that is asked for.

    ``per_prompt`` is how many samples a row of a sheet has.
    """

    input: Input
    per_prompt = 1

    @property
    def takes(self) -> str:
        return self.input.takes

    @property
    def prompt_types(self) -> tuple[type, ...]:
        return self.input.prompt_types

    def prompts(self) -> list[str]:
        """None: what sheets start from is up to the data."""
        return []

    def encode(self, prompt: Any, n: int) -> dict[str, Tensor]:
        """The condition of ``n`` samples, "input" ``[n, ...]``; without a prompt nothing, where that may be left out.

        Raises UsageError for a prompt that means nothing.
        """
        if prompt is None and getattr(self.input, "optional", False):
            return {}
        row = self.input.read(prompt)
        return {"input": row.expand(n, *row.shape)}

    def discriminator(self) -> nn.Module:
        """Raises UsageError: only a user knows which looks at what samples are made from."""
        raise UsageError(
            "what looks at samples beside what they are made from is to be named, as in "
            "{use: judge, discriminator: conditional/patch}"
        )

    @classmethod
    def load(cls, folder: Path) -> "ImageFromCodec | TextFromCodec":
        """What either of the two below wrote, for data whose options say which it is."""
        return (TextFromCodec if (folder / "tokenizer.json").is_file() else ImageFromCodec).load(folder)

    def save_input(self, folder: Path) -> None:
        """Write input.json, and the files of the side that reads prompts into input/."""
        (folder / "input").mkdir(exist_ok=True)
        self.input.save(folder / "input")
        (kind,) = (name for name, it in KINDS.items() if isinstance(self.input, it))
        about = {"kind": kind, **self.input.options}
        write_atomically(folder / "input.json", json.dumps(about, ensure_ascii=False) + "\n")

    @staticmethod
    def load_input(folder: Path) -> Input:
        """What ``save_input`` wrote. Raises DataError for a file that is missing or damaged."""
        options = read_fields(folder / "input.json", Fields)
        kind = options.pop("kind")
        try:
            return KINDS[kind].load(folder / "input", **options)
        except TypeError as error:  # an option of another kind
            raise DataError(f"{folder / 'input.json'} cannot be read: {error}") from None


class ImageFromCodec(FromInput, ImageCodec):
    """Images that are made from an ``input``; see ``gangen.Codec``."""

    spec: ImageFromSpec

    def __init__(self, spec: ImageSpec, input: Input) -> None:
        super().__init__(ImageFromSpec(**_plain(spec, ImageSpec), input=input.spec))
        self.per_prompt = FromInput.per_prompt
        self.input = input

    def extractor(self) -> Extractor:
        """A classifier of the labels; without any, of which way up images are."""
        return super().extractor() if self.spec.labels else Rotations()

    def save(self, folder: Path) -> None:
        """Write codec.json, and what is read into input/."""
        ImageCodec(ImageSpec(**_plain(self.spec, ImageSpec))).save(folder)
        self.save_input(folder)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """What ``save`` wrote. Raises DataError for a file that is missing or damaged."""
        return cls(ImageCodec.load(folder).spec, cls.load_input(folder))


class TextFromCodec(FromInput, TextCodec):
    """Texts that are made from an ``input``; see ``gangen.Codec``."""

    spec: TextFromSpec

    def __init__(self, output: TextCodec, input: Input) -> None:
        spec = TextFromSpec(**_plain(output.spec, TextSpec), input=input.spec)
        super().__init__(output.tokenizer, spec, word_by_word=output.word_by_word)
        self.input = input

    def render(self, sheet: Sequence[SheetRow], path: Path) -> Path | list[Path]:
        """Write ``path``.txt; or, where texts are made from pictures, ``path``.png, with each row's texts beside its
        picture, and ``path``.txt only where no font of this machine has all that they are written in.
        """
        if not isinstance(self.input, ImageInput):
            return super().render(sheet, path)
        pictures = [row.beside["input"] for row in sheet]
        texts = [replace(row, beside={name: it for name, it in row.beside.items() if name != "input"}) for row in sheet]
        image, whole = captioned(list(zip(pictures, map(_lines, texts), strict=True)))
        drawn = path.with_name(f"{path.name}.png")
        save_image(image, drawn)
        return drawn if whole else [drawn, super().render(texts, path)]

    def preview(self, sheet: Sequence[SheetRow]) -> str:
        """The first sample of each row, between what else of the row is text."""
        firsts = [replace(row, samples=row.samples[:1]) for row in sheet]
        return super().preview([replace(row, title="", samples=[" | ".join(_lines(row))]) for row in firsts])

    def save(self, folder: Path) -> None:
        """Write the files of the texts, and what is read into input/."""
        TextCodec(self.tokenizer, TextSpec(**_plain(self.spec, TextSpec))).save(folder)
        self.save_input(folder)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """What ``save`` wrote. Raises DataError for a file that is missing or damaged."""
        return cls(TextCodec.load(folder), cls.load_input(folder))


def _lines(row: SheetRow) -> list[str]:
    """What of a row is text, each but the samples with its name."""
    cells = [("", row.title)] if row.title else []
    return [f"{name}: {it}" if name else it for name, it in [*cells, *row.cells] if isinstance(it, str)]


def _plain(spec: Any, kind: type) -> dict[str, Any]:
    """The fields that a description has as one of ``kind``."""
    return {field.name: getattr(spec, field.name) for field in fields(kind)}
