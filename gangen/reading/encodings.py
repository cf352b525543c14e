"""Text of files: a byte order mark decides, then the encoding that was named; a doubtful one is never guessed."""

import bz2
import codecs
import gzip
import io
import lzma
import re
import unicodedata
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from gangen.account import Account
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
    *("utf-8", "cp1252", "cp1250", "cp1251", "koi8_r", "cp866", "shift_jis", "euc_jp", "gb18030", "big5", "euc_kr"),
    *("cp1253", "cp1254", "cp1255", "cp1256", "tis_620", "mac_roman", "cp850", "utf-16-le", "utf-16-be"),
    *("utf-32-le", "utf-32-be"),
)
# How files begin that hold text and yet are no text files.
OTHER_FILES = (
    (b"%PDF", "a PDF; save what it holds as a text file"),
    (b"PK\x03\x04", "a zip archive, as those of Excel and Word are; save it as CSV or text, or unpack it"),
    (b"\xd0\xcf\x11\xe0", "of an old Excel or Word; save it as CSV or text"),
    (b"\x1f\x8b", "packed by gzip; let its name end in .gz"),
    (b"{\\rtf", "RTF; save it as plain text"),
    (b"version https://git-lfs.github.com/", "what git LFS keeps in the place of one; fetch that (git lfs pull)"),
    (b"BZh91AY&SY", "packed by bzip2; let its name end in .bz2"),
    (b"\xfd7zXZ", "packed by xz; let its name end in .xz"),
)
# But for the line end of mainframes.
CONTROLS = re.compile("[\x80-\x84\x86-\x9f]")
SHOWN = 40
CHOICES = 8
JAPANESE = {"CJK", "HIRAGANA", "KATAKANA", "KATAKANA-HIRAGANA"}
HEAD = 4096
BUFFER = 2**16
# A file may unpack to so many bytes, or to so many times its own.
LEAST_UNPACKED, RATIO = 2**26, 100


@contextmanager
def opened(path: Path, encoding: str, account: Account, *, newline: str | None = None) -> Iterator[TextIO]:
    """A text file, also a packed one, for reading; ``newline`` as for ``open``. A doubtful encoding is told.

    Raises:
        DataError: no such encoding, or bytes that are not text in it; the message says where, and shows others.
    """
    named = _known(encoding)
    try:
        with unpacked(path) as file:
            head = file.read(HEAD)
        codec = next((name for mark, name in MARKS if head.startswith(mark)), encoding)
        if codec == encoding:
            _doubt(path, head, named, account)
        with unpacked(path) as file, io.TextIOWrapper(file, codec, newline=newline) as text:
            yield text
    except UnicodeError:
        raise DataError(_explanation(path, codec)) from None
    except (OSError, EOFError, lzma.LZMAError, zlib.error) as error:
        raise DataError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from None


def _doubt(path: Path, head: bytes, encoding: str, account: Account) -> None:
    """Raise DataError where the ``head`` of a file is no text, and warn where it seems to be in another encoding."""
    for start, what in OTHER_FILES:
        if head.startswith(start):
            raise DataError(f"{path} is no text file but {what}")
    if encoding == "utf-8":
        if head.count(0) > len(head) / (10 if len(head) > SHOWN else 3):
            even = head[: len(head) // 4 * 4]
            raise DataError(f"{path} is not utf-8 text: many of its bytes are zero\n{_advice(even)}")
    elif not head.isascii() and (text := _decoded(head, encoding)) is not None:
        # What is no UTF-8 hardly ever looks like it, and nobody writes the control characters that latin-1 has.
        controls = encoding == "iso8859-1" and CONTROLS.search(text)
        for other in ("utf-8", "cp1252") if controls else ("utf-8",):
            pairs = zip((_decoded(head, other) or "").split(), text.split(), strict=False)
            if pair := next(((meant, read) for meant, read in pairs if meant != read), None):
                meant, read = (word[:SHOWN] for word in pair)
                what = f"{path} is {other}, as it seems, and not {encoding}"
                account.warnings.append(f"{what}: {meant!r} is read as {read!r}")
                return


def _decoded(head: bytes, encoding: str) -> str | None:
    """What the beginning of a file is as text, which may end within a character; None for what is none."""
    try:
        return codecs.getincrementaldecoder(encoding)().decode(head)
    except UnicodeError:
        return None


def _known(encoding: str) -> str:
    try:
        name = codecs.lookup(encoding).name
        "".encode(name)  # others turn bytes into bytes, as "hex" does
    except (LookupError, UnicodeError):
        hint = did_you_mean(encoding, ("utf-8", "latin-1", *CANDIDATES))
        raise DataError(f"unknown encoding: {encoding}{hint}") from None
    return name


def unpacked(path: Path) -> Any:
    """The bytes of a file, open for reading; unpacked where its suffix says so.

    What is read of it raises DataError where it unpacks to far more than such a file does.
    """
    openers: dict[str, Any] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
    opener = openers.get(path.suffix.lower())
    return io.BufferedReader(_Unpacked(opener(path, "rb"), path), BUFFER) if opener else path.open("rb")


def most_unpacked(size: int) -> int:
    """How many bytes may have been packed into ``size``: texts are packed to a tenth, a bomb to a thousandth.

    What is large, and right, and packed so well can be unpacked by hand.
    """
    return max(LEAST_UNPACKED, RATIO * size)


class _Unpacked(io.RawIOBase):
    """A packed file, read up to its bound."""

    def __init__(self, packed: Any, path: Path) -> None:
        self._packed = packed
        self._path = path
        self._most = most_unpacked(path.stat().st_size)

    def readinto(self, buffer: Any) -> int:
        count = self._packed.readinto(buffer)
        if self._packed.tell() > self._most:
            raise DataError(f"{self._path} unpacks to more than {self._most:,} bytes; unpack it, if it is to be read")
        return count

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._packed.seek(offset, whence)

    def tell(self) -> int:
        return self._packed.tell()

    def close(self) -> None:
        self._packed.close()
        super().close()


def _explanation(path: Path, encoding: str) -> str:
    """Which line of a file is no text in ``encoding``, and what it would be in others."""
    with unpacked(path) as file:
        if len("\n".encode(encoding)) > 1:  # lines cannot be told by their bytes
            return _explanation_of_wide(path, file.read(), encoding)
        for number, line in enumerate(file, 1):
            try:
                line.decode(encoding)
            except UnicodeDecodeError as error:
                byte = f"byte 0x{line[error.start]:02x}"
                return f"{path}:{number} is not {encoding} text ({byte})\n{_advice(line.strip(), error.start)}"
    return f"{path} is not {encoding} text; it is damaged, or in another encoding"


def _explanation_of_wide(path: Path, whole: bytes, encoding: str) -> str:
    try:
        whole.decode(encoding)
        place, why = "", "it has no byte order mark"
    except UnicodeDecodeError as error:
        place = f":{whole[: error.start].decode(encoding, errors='ignore').count(chr(10)) + 1}"
        why = error.reason
    marked = any(whole.startswith(mark) for mark, _ in MARKS)
    return f"{path}{place} is not {encoding} text ({why})" + ("" if marked else f"\n{_advice(whole[:HEAD])}")


def _advice(line: bytes, place: int = 0) -> str:
    """What some bytes would be in encodings that can read them, around ``place``; what looks odd comes last."""
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
    best = sorted(shown, key=_oddities)[:CHOICES]
    lines = "".join(f"\n  encoding: {shown[words]:<10} {words}" for words in best)
    return f"take the encoding in which it makes sense:{lines}" if lines else "it may be no text at all"


def _oddities(text: str) -> int:
    """How many neighbours hardly stand together: letters of two scripts, a small one before a capital, or a symbol."""
    scripts = [unicodedata.name(char, "?").split()[0] if not char.isascii() else "LATIN" for char in text]
    return sum(
        (one.islower() and other.isupper())
        or unicodedata.category(other) in ("Sm", "So", "Sk", "No")
        or (one.isalpha() and other.isalpha() and before != after and not {before, after} <= JAPANESE)
        for one, other, before, after in zip(text, text[1:], scripts, scripts[1:], strict=False)
    )
