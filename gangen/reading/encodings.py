"""Text of files: a byte order mark decides, then the encoding that was named; a doubtful one is never guessed."""

import bz2
import codecs
import gzip
import io
import lzma
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, TextIO

from gangen.errors import DataError, did_you_mean

# The longer marks first: that of utf-16 begins as that of utf-32 does.
MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# What a file that is no UTF-8 is shown in, for people to choose: none of these can be told from the others by itself.
CANDIDATES = (
    "cp1252",
    "cp1250",
    "cp1251",
    "koi8_r",
    "shift_jis",
    "gb18030",
    "big5",
    "euc_kr",
    "utf-16-le",
    "utf-16-be",
)
SHOWN = 40
HEAD = 4096


@contextmanager
def opened(path: Path, encoding: str, *, newline: str | None = None) -> Iterator[TextIO]:
    """A text file, also one packed by gzip, for reading; ``newline`` as for ``open``.

    Raises:
        DataError: no such encoding, or bytes that are not text in it; the message says where, and shows others.
    """
    named = _known(encoding)
    with unpacked(path) as file:
        head = file.read(HEAD)
    marked = next((name for mark, name in MARKS if head.startswith(mark)), None)
    if marked is None and named == "utf-8" and head.count(0) > len(head) / 10:
        even = head[: len(head) // 4 * 4]
        raise DataError(f"{path} is not utf-8 text: many of its bytes are zero\n{_advice(even)}")
    codec = marked or encoding
    try:
        with unpacked(path) as file, io.TextIOWrapper(file, codec, newline=newline) as text:
            yield text
    except UnicodeError:
        raise DataError(_explanation(path, codec)) from None
    except (OSError, EOFError, lzma.LZMAError, zlib.error) as error:
        raise DataError(f"{path} cannot be read: {error}") from None


def _known(encoding: str) -> str:
    try:
        return codecs.lookup(encoding).name
    except LookupError:
        hint = did_you_mean(encoding, ("utf-8", "latin-1", *CANDIDATES))
        raise DataError(f"unknown encoding: {encoding}{hint}") from None


def unpacked(path: Path) -> Any:
    """The bytes of a file, open for reading; unpacked where its suffix says so."""
    openers: dict[str, Any] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
    return openers.get(path.suffix.lower(), open)(path, "rb")


def _explanation(path: Path, encoding: str) -> str:
    """Which line of a file is no text in ``encoding``, and what it would be in others."""
    with unpacked(path) as file:
        for number, line in enumerate(file, 1):
            try:
                line.decode(encoding)
            except UnicodeDecodeError as error:
                byte = f"byte 0x{line[error.start]:02x}"
                return f"{path}:{number} is not {encoding} text ({byte})\n{_advice(line.strip(), error.start)}"
            except UnicodeError:
                break
    return f"{path} is not {encoding} text; it is damaged, or in another encoding"  # one whose lines end in zeros


def _advice(line: bytes, place: int = 0) -> str:
    """What some bytes would be in encodings that can read them, around ``place``."""
    shown: dict[str, str] = {}
    for name in CANDIDATES:
        try:
            before, text = line[:place].decode(name, errors="ignore"), line.decode(name)
        except UnicodeDecodeError:
            continue
        start = max(0, len(before) - SHOWN // 2)
        words = " ".join(text[start : start + SHOWN].split())
        if words.isprintable():
            shown.setdefault(words, name)
    lines = "".join(f"\n  encoding: {name:<10} {words}" for words, name in islice(shown.items(), 6))
    return f"take the encoding in which it makes sense:{lines}" if shown else "it may be no text at all"
