"""Pictures with lines of text beside them."""

import math
from collections.abc import Sequence
from textwrap import wrap

from PIL import Image, ImageDraw

from gangen_image.titles import SIZE, Title, title_of

# Smaller pictures are magnified, as in sheets of pictures.
PIXELS = 64
GAP = 4
LINE = SIZE + GAP
# Characters of a line; longer ones are wrapped.
WIDTH = 80


def captioned(rows: Sequence[tuple[Image.Image, Sequence[str]]]) -> tuple[Image.Image, bool]:
    """Pictures below each other, each with its texts at the right; and whether all texts are drawn whole.

    What no font of this machine has is left out of a text.
    """
    rows = [(_magnified(image), texts) for image, texts in rows]
    texts = [[_drawn(line) for text in lines for line in _wrapped(text)] for _, lines in rows]
    margin = max(image.width for image, _ in rows) + 3 * GAP
    width = margin + math.ceil(max(it.font.getlength(it.shown) for lines in texts for it in lines)) + GAP
    heights = [max(image.height, len(lines) * LINE) + GAP for (image, _), lines in zip(rows, texts, strict=True)]
    canvas = Image.new("RGB", (width, sum(heights) + GAP), "white")
    draw, top = ImageDraw.Draw(canvas), GAP
    for (image, _), lines, height in zip(rows, texts, heights, strict=True):
        canvas.paste(image, (GAP, top))
        for number, line in enumerate(lines):
            draw.text((margin, top + number * LINE), line.shown, fill="black", font=line.font)
        top += height
    return canvas, all(line.whole for lines in texts for line in lines)


def _magnified(image: Image.Image) -> Image.Image:
    times = max(1, PIXELS // max(image.size))
    return image.resize((image.width * times, image.height * times), Image.Resampling.NEAREST)


def _wrapped(text: str) -> list[str]:
    return wrap(" ".join(text.split()), WIDTH, subsequent_indent="  ") or [""]


def _drawn(line: str) -> Title:
    """An indented line stays so."""
    title = title_of(line, WIDTH)
    return title._replace(shown=" " * (len(line) - len(line.lstrip())) + title.shown)
