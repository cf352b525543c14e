"""Words on a terminal: characters that its encoding lacks, and those that would steer it, are written as escapes."""

import io
import sys

_STEERING = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160)) if chr(code) not in "\t\n"}


def visible(text: str) -> str:
    """``text`` with control characters but tab and newline as escapes: ESC is ``\\x1b``."""
    return text.translate(_STEERING)


def escape_what_cannot_be_encoded() -> None:
    """From here on, standard output and error never fail for a character: cp1252 shows U+6625 as ``\\u6625``."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.errors in ("strict", "surrogateescape"):
            stream.reconfigure(errors="backslashreplace")
