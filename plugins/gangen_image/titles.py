"""What of a name can be drawn on this machine, in whatever script it is, and with which font."""

import unicodedata
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from textwrap import wrap
from typing import NamedTuple

from PIL import ImageFont, features

SIZE = 14
LONGEST = 24
# A name that is longer is wrapped: so many lines, of so many characters, stand beside an image.
LINES, LINE_LENGTH = 4, 32
# Where Pillow's own font, which knows ASCII, has no glyph: names by which systems have fonts of many scripts.
FONTS = (
    "DejaVuSans.ttf",
    "NotoSansCJK-Regular.ttc",
    "NotoSans-Regular.ttf",
    "Arial Unicode.ttf",
    "arialuni.ttf",
    "Hiragino Sans GB.ttc",
    "wqy-zenhei.ttc",
    "wqy-microhei.ttc",
    "DroidSansFallbackFull.ttf",
    "msyh.ttc",
    "malgun.ttf",
    "Nirmala.ttf",
    "segoeui.ttf",
    "FreeSans.ttf",
    "unifont.otf",
)


class Title(NamedTuple):
    """``shown`` is as much of a name as can be drawn with ``font``; the name is ``whole`` where that is all of it."""

    shown: str
    font: ImageFont.FreeTypeFont
    whole: bool


def title_of(name: str, longest: int = LONGEST) -> Title:
    """A name as it is drawn: in one line, of ``longest`` characters at most, without what no font here has."""
    name = unicodedata.normalize("NFC", " ".join(name.split()))
    number = max(range(len(_fonts())), key=lambda it: sum(_drawable(character, it) for character in name))
    known = "".join(character for character in name if _drawable(character, number))
    shown = " ".join(known.split())
    shown = shown if len(shown) <= longest else f"{shown[: longest - 1]}…"
    seen = not name or any(any(_glyph(character, number)[1]) for character in shown)  # there are letters without ink
    return Title(shown, _fonts()[number], seen and shown == name)


def wrapped_title_of(name: str) -> Title:
    """As ``title_of``, and a longer name whole, with line breaks, where four lines of 32 characters are enough."""
    title, longer = title_of(name), title_of(name, LINES * LINE_LENGTH)
    lines = wrap(longer.shown, LINE_LENGTH)
    return title if title.whole or not longer.whole or len(lines) > LINES else longer._replace(shown="\n".join(lines))


@cache
def _fonts() -> list[ImageFont.FreeTypeFont]:
    """Pillow's own, then those that are found."""
    fonts, names = [ImageFont.load_default(SIZE)], list(FONTS)
    if (found := find_spec("matplotlib")) and found.origin:
        names.append(str(Path(found.origin).with_name("mpl-data") / "fonts/ttf/DejaVuSans.ttf"))
    for name in names:
        try:
            fonts.append(ImageFont.truetype(name, SIZE))
        except OSError:
            continue
    return fonts


@cache
def _drawable(character: str, number: int) -> bool:
    """Whether a font has a glyph of its own for a character, and Pillow puts it where it belongs.

    Without the library raqm letters stand from left to right, one after another, which is wrong for scripts that are
    written from the right, and for marks above and below letters.
    """
    if character == " ":
        return True
    if unicodedata.category(character) in ("Cc", "Cs"):  # Cs is what no font can be asked for
        return False
    misplaced = unicodedata.category(character)[0] == "M" or unicodedata.bidirectional(character) in ("R", "AL")
    if misplaced and not features.check("raqm"):
        return False
    return _glyph(character, number) != _glyph("\uffff", number)  # no character, which no font has


@cache
def _glyph(character: str, number: int) -> tuple[tuple[int, int], bytes]:
    mask = _by_character(number).getmask(character)
    return mask.size, bytes(mask)


@cache
def _by_character(number: int) -> ImageFont.FreeTypeFont:
    """A font that makes no text of characters, in which a mark that stands alone is put upon a circle."""
    return _fonts()[number].font_variant(layout_engine=ImageFont.Layout.BASIC)
