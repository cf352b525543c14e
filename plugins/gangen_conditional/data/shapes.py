"""The built-in scenes: coloured shapes with captions, where what is right is known exactly; and single shapes."""

import random
from typing import Annotated, Literal

import torch
from annotated_types import Ge, Interval
from torch import Tensor

from gangen import DataError, Seed, SheetRow, TensorSplit
from gangen_conditional.codecs.inputs import ImageInput
from gangen_conditional.codecs.output import FromInput, ImageFromCodec, TextFromCodec
from gangen_conditional.data.captions import EXAMPLE, WORDS, write
from gangen_conditional.data.scenes import COLOURS, MOST, SHAPES, SIZES, paint, random_scenes
from gangen_image import ImageCodec, ImageSpec, hold_out
from gangen_text import TextCodec, TextInput, make_codec

# Rows of a sheet, and samples in each where these are pictures.
SHOWN, SAMPLES = 8, 4
DRAWN_AT_ONCE = 4096


class Shapes:
    """Pictures of one to ``objects`` coloured shapes with captions: ``to`` "image" from the caption, or "text" from it.

    Held out are ``heldout`` scenes, each with an object whose colour, shape and size never come together in the
    ``scenes`` to train on, though any two of these do; its caption says all three. Sizes of others are left unsaid in
    half of the cases. Everything is drawn by ``seed``.

    Pictures are ``size`` x ``size``. ``tokenizer`` is "words", which knows those of the captions alone, or the name of
    a saved one; rows of tokens have ``max_length``. Rows have the truth as well, "scene", see ``data.scenes``.

    Raises:
        DataError: captions are longer than ``max_length``, or no such tokenizer.
    """

    codec_class = FromInput

    def __init__(
        self,
        *,
        to: Literal["image", "text"] = "image",
        objects: Annotated[int, Interval(ge=1, le=MOST)] = MOST,
        scenes: Annotated[int, Ge(1)] = 10_000,
        heldout: Annotated[int, Ge(1)] = 1000,
        size: Annotated[int, Ge(16)] = 32,
        tokenizer: str = "words",
        max_length: Annotated[int, Ge(2)] = 24,
        seed: Seed = 0,
    ) -> None:
        texts = make_codec(WORDS, (), tokenizer=tokenizer, max_length=max_length, vocab_size=len(WORDS) + 4)
        picture = ImageSpec(3, size)
        self.to = to
        self.codec: ImageFromCodec | TextFromCodec
        if to == "image":
            self.codec = ImageFromCodec(picture, TextInput(texts, f'a caption, as in "{EXAMPLE}"'))
        else:
            self.codec = TextFromCodec(texts, ImageInput(picture))
        chance = random.Random(seed)
        self.train, self.heldout = (
            self._rows(made, texts, size, chance) for made in draw_scenes(scenes, heldout, objects, seed)
        )

    def _rows(self, scenes: Tensor, texts: TextCodec, size: int, chance: random.Random) -> TensorSplit:
        tokens = texts.tokenize(caption_all(scenes, chance))
        if (longest := max(map(len, tokens)) + 1) > texts.spec.max_length:
            raise DataError(f"captions have up to {longest} tokens with their end; set data.max_length to that or more")
        image, caption = paint(scenes, size), texts.pack(tokens)
        sides = {"image": image, "input": caption} if self.to == "image" else {"tokens": caption, "input": image}
        return TensorSplit(**sides, scene=scenes)

    def describe(self) -> list[str]:
        """What is held out."""
        names = [f"{SIZES[size]} {list(COLOURS)[colour]} {SHAPES[shape]}" for shape, colour, size in UNSEEN.tolist()]
        return [f"each held-out scene has one of these, no other has any: {', '.join(names)}"]

    def sheet(self) -> list[SheetRow]:
        """Held-out captions, or pictures, with the truth."""
        places = torch.linspace(0, len(self.heldout) - 1, min(SHOWN, len(self.heldout))).long()
        rows = {name: column[places] for name, column in self.heldout.rows().items()}
        given = self.codec.input.decode(rows["input"])
        truths = self.codec.decode(next(iter(rows.values())))
        if self.to == "image":
            return [
                SheetRow(caption, SAMPLES, {"input": tokens.expand(SAMPLES, -1)}, {"truth": truth})
                for caption, tokens, truth in zip(given, rows["input"], truths, strict=True)
            ]
        return [
            SheetRow("", 1, {"input": pixels.unsqueeze(0)}, {"input": picture, "truth": truth})
            for picture, pixels, truth in zip(given, rows["input"], truths, strict=True)
        ]


class LabelledShapes:
    """Pictures of one coloured shape each, any place and size, with its ``labels``: "colour" or "shape".

    There are ``scenes`` of them, ``size`` x ``size``, drawn by ``seed``; the share ``heldout`` is held out.
    """

    codec_class = ImageCodec

    def __init__(
        self,
        *,
        labels: Literal["colour", "shape"] = "colour",
        scenes: Annotated[int, Ge(1)] = 5000,
        size: Annotated[int, Ge(16)] = 32,
        heldout: Annotated[float, Interval(gt=0, lt=1)] = 0.1,
        seed: Seed = 0,
    ) -> None:
        drawn = random_scenes(scenes, 1, torch.Generator().manual_seed(seed))
        names, column = (tuple(COLOURS), 1) if labels == "colour" else (SHAPES, 0)
        self.codec = ImageCodec(ImageSpec(3, size, names))
        columns = {"image": paint(drawn, size), "label": drawn[:, 0, column].clone()}
        sides = hold_out(columns, heldout, seed, "conditional/labelled_shapes")
        self.train, self.heldout = (TensorSplit(**side) for side in sides)


def draw_scenes(train: int, heldout: int, objects: int, seed: int) -> tuple[Tensor, Tensor]:
    """Scenes without any object that is UNSEEN, and others with one or more; see ``data.scenes``."""
    generator = torch.Generator().manual_seed(seed)
    sides: tuple[list[Tensor], list[Tensor]] = [], []
    wanted = train, heldout
    while any(sum(map(len, side)) < count for side, count in zip(sides, wanted, strict=True)):
        scenes = random_scenes(DRAWN_AT_ONCE, objects, generator)
        unseen = is_unseen(scenes).any(1)
        sides[0].append(scenes[~unseen])
        sides[1].append(scenes[unseen])
    return tuple(torch.cat(side)[:count] for side, count in zip(sides, wanted, strict=True))  # type: ignore[return-value]


def is_unseen(scenes: Tensor) -> Tensor:
    """Which objects, bool ``[n, objects]``, are of a kind that is held out: of each shape two, of both sizes."""
    shape, colour, size = scenes[..., 0], scenes[..., 1], scenes[..., 2]
    return (shape >= 0) & ((shape + colour + len(COLOURS) // len(SIZES) * size) % len(COLOURS) == 0)


def caption_all(scenes: Tensor, chance: random.Random) -> list[str]:
    """A caption for each scene; the size of what is held out is said."""
    captions = []
    for objects, unseen in zip(scenes.tolist(), is_unseen(scenes).tolist(), strict=True):
        there = [it for it in objects if it[0] >= 0]
        sized = [held or chance.random() < 0.5 for held in unseen[: len(there)]]
        captions.append(write(there, chance, sized))
    return captions


_KINDS = torch.cartesian_prod(torch.arange(len(SHAPES)), torch.arange(len(COLOURS)), torch.arange(len(SIZES)))
UNSEEN = _KINDS[is_unseen(_KINDS)]
