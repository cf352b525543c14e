"""Words that others wrote, shown to people: what would steer a terminal or turn text around is written as escapes."""

import io
import re
import sys
from typing import TextIO

# Control characters but tab and newline; what overrides the direction of text; halves of characters.
_STEERING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def visible(text: str) -> str:
    """``text`` in which nothing acts: ESC is ``\\x1b``, a right-to-left override ``\\u202e``.

    All that labels, names, samples or messages of libraries are part of goes through here on its way to a terminal or a
    report: by ``say``, by ``gangen.console.Console``, or by itself.
    """
    return _STEERING.sub(lambda found: ascii(found[0])[1:-1], text)


def say(text: str, file: TextIO | None = None) -> None:
    """Print ``text`` as it is visible, to standard output where no other file is given."""
    print(visible(text), file=file or sys.stdout)


def escape_what_cannot_be_encoded() -> None:
    """From here on, standard output and error never fail for a character: cp1252 shows U+6625 as ``\\u6625``."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.errors in ("strict", "surrogateescape"):
            stream.reconfigure(errors="backslashreplace")
