"""What pages are made of: a frame that loads nothing from outside, sections, tables, escaped text."""

import hashlib
import re
import sys
from base64 import b64encode
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path
from string import Template
from typing import Any, Literal

from gangen.errors import RunError
from gangen.files import write_atomically

# What a page may not contain, and models of bytes write: control characters and lone surrogates.
_UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")


def write_page(path: Path, kicker: str, title: str, head: Iterable[str], sections: Iterable[str]) -> Path:
    """Write a page to ``path``; what was there before is replaced. ``head`` and ``sections`` are HTML.

    Raises RunError where it cannot be written.
    """
    template = Path(__file__).with_name("report.html").read_text(encoding="utf-8")
    page = Template(template).substitute(
        script_hash=_script_hash(template),
        kicker=escape(kicker),
        title=escape(title),
        head="\n".join(filter(None, head)),
        sections="\n".join(filter(None, sections)),
    )
    try:
        write_atomically(path, _UNPRINTABLE.sub("\ufffd", page))
    except OSError as error:
        raise RunError(f"cannot write {path}: {error.strerror}") from None
    return path


def section(title: str, *parts: str) -> str:
    """A headed part of a page around HTML; nothing where there is none."""
    body = "".join(parts)
    return f"<section><h2>{escape(title)}</h2>{body}</section>" if body else ""


def verdict(words: str, about: str = "") -> str:
    """What was found out, in words; ``about`` names what they are about where a page shows more."""
    name = f"<strong>{escape(about)}</strong>\n" if about else ""
    return f'<p class="verdict">{name}{escape(words[:1].upper() + words[1:])}</p>'


def warnings(messages: Iterable[str]) -> str:
    items = "".join(f"<li>{escape(message)}</li>" for message in messages)
    return f'<ul class="warnings" aria-label="warnings">{items}</ul>' if items else ""


def note(words: str) -> str:
    return f'<p class="note">{escape(words)}</p>'


def folded(title: str, *parts: str) -> str:
    """A part that is opened with a click, and on paper."""
    return f"<details><summary>{escape(title)}</summary>{''.join(parts)}</details>"


def table(
    heads: Sequence[str], rows: Iterable[Sequence[str]], kind: Literal["figures", "numbers", "text"] = "text"
) -> str:
    """A table whose first column names its rows: as code in one of ``figures``; nothing where there are no rows."""
    cells = "".join(f'<th scope="col">{escape(head)}</th>' for head in heads)
    body = "".join(
        f'<tr><th scope="row">{escape(first)}</th>{"".join(f"<td>{escape(cell)}</td>" for cell in rest)}</tr>'
        for first, *rest in rows
    )
    head = f"<thead><tr>{cells}</tr></thead>" if any(heads) else ""
    return f'<div class="scroll"><table class="{kind}">{head}<tbody>{body}</tbody></table></div>' if body else ""


def captioned(title: str, svg: str, beside: str = "") -> str:
    """A chart under its title."""
    remark = f' <span class="note">{escape(beside)}</span>' if beside else ""
    return f'<figure class="chart"><figcaption>{escape(title)}{remark}</figcaption>{svg}</figure>'


def is_number(value: Any) -> bool:
    """Whether ``value`` is a number that can be drawn: finite, and no truth value."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max


def number(value: Any) -> str:
    """A figure as people read it; a dash for what is no number or not finite."""
    if not is_number(value):
        return "-"
    return f"{value:,.0f}" if isinstance(value, int) or 1000 <= abs(value) < 1e9 else f"{value:.4g}"


def _script_hash(template: str) -> str:
    """Names the page's only script, so that a browser runs no other."""
    script = re.search(r"<script>(.*?)</script>", template, re.DOTALL)
    return "sha256-" + b64encode(hashlib.sha256(script[1].encode()).digest()).decode()
