"""Words that others wrote, shown to people: what would steer a terminal or turn text around is written as escapes."""

import io
import logging
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO

# Control characters but tab and newline; what overrides the direction of text; halves of characters.
_STEERING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def visible(text: str) -> str:
    """``text`` in which nothing acts: ESC is ``\\x1b``, a right-to-left override ``\\u202e``.

    All that labels, names, samples or messages of libraries are part of goes through here on its way to a terminal or a
    report: by ``say``, by ``gangen.console.Console``, or by itself.
    """
    return _STEERING.sub(lambda found: ascii(found[0])[1:-1], text)


def say(text: str, file: TextIO | None = None) -> None:
    """Print ``text`` as it is visible, to standard output where no other file is given.

    It is written with its line break at once, so that what several processes say stays in lines.
    """
    (file or sys.stdout).write(f"{visible(text)}\n")


@contextmanager
def silent(library: Any) -> Iterator[None]:
    """Keep ``datasets`` or ``transformers`` from talking and from showing bars, by its module ``utils.logging``."""
    verbosity, bars = library.get_verbosity(), library.is_progress_bar_enabled()
    library.set_verbosity(logging.CRITICAL)
    library.disable_progress_bar()
    try:
        yield
    finally:
        library.set_verbosity(verbosity)
        if bars:
            library.enable_progress_bar()


def escape_what_cannot_be_encoded() -> None:
    """From here on, standard output and error never fail for a character: cp1252 shows U+6625 as ``\\u6625``."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.errors in ("strict", "surrogateescape"):
            stream.reconfigure(errors="backslashreplace")
