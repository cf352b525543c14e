"""The sheets of samples on a page: text, and pictures, sound and films as part of the page where they are not large."""

import mimetypes
import os
import re
from base64 import b64encode
from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from gangen.bounded import lies_in
from gangen.run_directory import step_of

# Bytes of samples in one section, and how many sheets over time at most; one and the real one have room in any case.
_BUDGET, _SHEETS = 2_500_000, 12
# Sheets of metrics, at most.
_OTHERS = 40
_LARGEST = _BUDGET // 2


class Medium(NamedTuple):
    """``kind`` is text, image, audio, video, or link; ``content`` the text, a data URI, or an address from the page.

    ``name`` tells the files of a sheet apart: "low" for step-00000020-low.wav.
    """

    name: str
    kind: str
    content: str


class Sheet(NamedTuple):
    """One file or several."""

    title: str
    media: list[Medium]


def over_time(folder: Path) -> tuple[list[Sheet], int]:
    """The newest sheet and others, evenly spaced, as many as there is room for; and how many there are."""
    sheets, real = _by_step(folder), _real(folder)
    if not sheets:
        return [], 0
    largest = max(sum(_size(path) for path in paths) for paths in [*sheets, real])
    room = _BUDGET // max(largest, 1) - bool(real)
    shown = _spaced(sheets, min(_SHEETS, room))
    return [_sheet(paths, _step_of(paths), folder.parent) for paths in shown], len(sheets)


def last(folder: Path, step: int) -> tuple[str, list[Path]] | None:
    """The newest sheet of ``step`` or before: its title and files; None where there is none."""
    known = [paths for paths in _by_step(folder) if 0 <= step_of(paths[0].name) <= step]
    return (_step_of(known[-1]), known[-1]) if known else None


def of_real_data(folder: Path) -> Sheet | None:
    real = _real(folder)
    return _sheet(real, "real data", folder.parent) if real else None


def of_metrics(folder: Path) -> list[tuple[str, Sheet]]:
    """The other sheets of the folder, which metrics made, under headings that are the files' names."""
    known = {path for paths in [*_by_step(folder), _real(folder)] for path in paths}
    found, room = [], _BUDGET
    for path in _files(folder, "[!.]*")[:_OTHERS]:
        if path not in known:
            heading = path.stem.replace("_", " ").replace("-", " ")
            sheet = _sheet([path], "picked out by a metric", folder.parent, room)
            found.append((f"{heading[:1].upper()}{heading[1:]}", sheet))
            room -= min(_size(path), room)
    return found


def side_by_side(runs: Mapping[str, Path], page: Path) -> list[Sheet]:
    """The last sheet of each folder of samples by name, and the real ones, each of them once; ``page``: its folder."""
    sheets: list[tuple[str, list[Path]]] = []
    reals: dict[bytes, tuple[str, list[Path]]] = {}
    for name, folder in runs.items():
        if steps := _by_step(folder):
            sheets.append((f"{name}, {_step_of(steps[-1])}", steps[-1]))
        if real := _real(folder):
            shown = (path.read_bytes() if _size(path) else str(path).encode() for path in real)
            reals.setdefault(b"".join(shown), (name, real))
    for name, real in reals.values():
        sheets.append(("real data" if len(reals) == 1 else f"real data of {name}", real))
    return [_sheet(paths, title, page, _BUDGET // len(sheets)) for title, paths in sheets]


def _by_step(folder: Path) -> list[list[Path]]:
    """The files of each sheet: step-00000020.png, or step-00000020-low.wav and step-00000020-high.wav."""
    files = sorted(_files(folder, "step-*"), key=lambda path: step_of(path.name))
    return [list(sheet) for _, sheet in groupby(files, lambda path: path.stem.split("-")[1])]


def _real(folder: Path) -> list[Path]:
    return _files(folder, "real[.-]*")


def _files(folder: Path, pattern: str) -> list[Path]:
    """Files of the run: a link that leads out of it may show whatever this machine holds."""
    return sorted(path for path in folder.glob(pattern) if path.is_file() and lies_in(path, folder.parent))


def _sheet(paths: Sequence[Path], title: str, page: Path, room: int = _LARGEST) -> Sheet:
    """What can be shown and fits into ``room`` as part of the page; else links."""
    fits, media = sum(_size(path) for path in paths) <= room, []
    for path in paths:
        name = re.match(r"(?:step-\d+|real)-(.+)", path.stem)
        content = _content(path) if fits and _size(path) else _link(path, page)
        media.append(Medium(name[1] if name else "", *content))
    return Sheet(title, media)


def _content(path: Path) -> tuple[str, str]:
    media, kind = _media(path)
    if kind == "text":
        return kind, path.read_text(encoding="utf-8", errors="replace")
    return kind, f"data:{media};base64,{b64encode(path.read_bytes()).decode()}"


def _link(path: Path, page: Path) -> tuple[str, str]:
    return "link", Path(os.path.relpath(path, page)).as_posix()


def _media(path: Path) -> tuple[str, str]:
    """The MIME type of a file by its name, and what it is on a page: a link where a browser would not show it."""
    media = mimetypes.guess_type(path.name, strict=False)[0] or ""
    kind = media.partition("/")[0]
    return media, kind if kind in ("image", "audio", "video") or media == "text/plain" else "link"


def _size(path: Path) -> int:
    """Bytes that a file takes in the page: none where it is only linked to."""
    size = path.stat().st_size
    return size if _media(path)[1] != "link" and size <= _LARGEST else 0


def _spaced(items: Sequence[list[Path]], count: int) -> list[list[Path]]:
    """``count`` of the items, evenly spaced, the last one among them."""
    count, last = min(count, len(items)), len(items) - 1
    places = [last - round(number * last / max(count - 1, 1)) for number in range(count)]
    return [items[place] for place in sorted(places)]


def _step_of(paths: Sequence[Path]) -> str:
    step = step_of(paths[0].name)
    return paths[0].stem if step < 0 else f"step {step:,}"
