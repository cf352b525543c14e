"""The samples of a page: sheets over time behind a slider, those of metrics, those of several runs side by side."""

import os
from base64 import b64encode
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from urllib.parse import quote

from gangen.report.page import note, section

# Bytes of samples in one section, and how many sheets over time at most; one and the real one have room in any case.
_BUDGET, _SHEETS = 2_500_000, 12
_LARGEST = _BUDGET // 2


def over_time(folder: Path) -> str:
    """Sheets over time behind a slider, beside the real one."""
    sheets, real = _sheets(folder), _real(folder)
    if not sheets:
        return ""
    largest = max(_size(path) for path in [*sheets, *([real] if real else [])])
    room = _BUDGET // max(largest, 1) - (real is not None)
    shown = _spaced(sheets, min(_SHEETS, room))
    page = folder.parent
    figures = [_sheet(path, _step_of(path), page, " last shown" if path == shown[-1] else "") for path in shown]
    slider = (
        f'<p class="player" hidden><label for="slider">over time</label>'
        f'<input id="slider" type="range" min="0" max="{len(shown) - 1}" step="1"></p>'
        if len(shown) > 1
        else ""
    )
    beside = f"<div>{_sheet(real, 'real data', page)}</div>" if real else ""
    return section(
        "Samples",
        f'{slider}<div class="sheets"><div class="over-time">{"".join(figures)}</div>{beside}</div>',
        note(f"{len(shown)} of {len(sheets)} sheets.") if len(shown) < len(sheets) else "",
    )


def sheets_of_metrics(folder: Path) -> str:
    """The other sheets of the folder, which metrics made: a section each, named as the file is."""
    known = {*_sheets(folder), _real(folder)}
    others = [path for path in sorted(folder.glob("[!.]*")) if path not in known and path.is_file()]
    parts = []
    room = _BUDGET
    for path in others:
        title = path.stem.replace("_", " ").replace("-", " ")
        sheet = _sheet(path, "picked out by a metric", folder.parent, " in-pairs", room)
        room -= min(_size(path), room)
        parts.append(section(f"{title[:1].upper()}{title[1:]}", sheet))
    return "".join(parts)


def side_by_side(runs: Mapping[str, Path], page: Path) -> str:
    """The last sheet of each folder of samples by name, and the real ones, each of them once; ``page``: its folder."""
    sheets, reals = [], {}
    for name, folder in runs.items():
        if steps := _sheets(folder):
            sheets.append((f"{name}, {_step_of(steps[-1])}", steps[-1]))
        if real := _real(folder):
            reals.setdefault(real.read_bytes(), (name, real))
    for name, real in reals.values():
        sheets.append(("real data" if len(reals) == 1 else f"real data of {name}", real))
    room = _BUDGET // max(len(sheets), 1)
    figures = [_sheet(path, title, page, room=room) for title, path in sheets]
    return section("Samples", f'<div class="sheets">{"".join(figures)}</div>' if figures else "")


def _sheets(folder: Path) -> list[Path]:
    return sorted(folder.glob("step-*"))


def _real(folder: Path) -> Path | None:
    return next(iter(sorted(folder.glob("real.*"))), None)


def _sheet(path: Path, name: str, page: Path, classes: str = "", room: int = _LARGEST) -> str:
    """A picture or a text as part of the page; what is neither, or larger than ``room``, as a link."""
    title = escape(name)
    if not 0 < _size(path) <= room:
        address = Path(os.path.relpath(path, page)).as_posix()
        body = f'<p><a href="{escape(quote(address))}">{escape(address)}</a></p>'
    elif path.suffix == ".png":
        data = b64encode(path.read_bytes()).decode()
        body = f'<img alt="samples, {title}" src="data:image/png;base64,{data}">'
    else:
        body = f"<pre>{escape(path.read_text(encoding='utf-8', errors='replace'))}</pre>"
    return f'<figure class="sheet{classes}" data-name="{title}"><figcaption>{title}</figcaption>{body}</figure>'


def _size(path: Path) -> int:
    """Bytes that a file takes in the page: none where it is only linked to."""
    size = path.stat().st_size
    return size if path.suffix in (".png", ".txt") and size <= _LARGEST else 0


def _spaced(items: Sequence[Path], count: int) -> list[Path]:
    """``count`` of the items, evenly spaced, the last one among them."""
    count, last = min(count, len(items)), len(items) - 1
    places = [last - round(number * last / max(count - 1, 1)) for number in range(count)]
    return [items[place] for place in sorted(places)]


def _step_of(path: Path) -> str:
    number = path.stem.removeprefix("step-")
    return f"step {int(number):,}" if number.isdecimal() else path.stem
