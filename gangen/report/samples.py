"""The sheets of samples on a page: text, and pictures, sound and films as part of the page where they are not large."""

import mimetypes
import os
from base64 import b64encode
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

# Bytes of samples in one section, and how many sheets over time at most; one and the real one have room in any case.
_BUDGET, _SHEETS = 2_500_000, 12
_LARGEST = _BUDGET // 2


class Sheet(NamedTuple):
    """``kind`` is text, image, audio, video, or link; ``content`` the text, a data URI, or an address from the page."""

    title: str
    kind: str
    content: str


def over_time(folder: Path) -> tuple[list[Sheet], int]:
    """The newest sheet and others, evenly spaced, as many as there is room for; and how many there are."""
    paths, real = _by_step(folder), _real(folder)
    if not paths:
        return [], 0
    largest = max(_size(path) for path in [*paths, *([real] if real else [])])
    room = _BUDGET // max(largest, 1) - (real is not None)
    shown = _spaced(paths, min(_SHEETS, room))
    return [_sheet(path, _step_of(path), folder.parent) for path in shown], len(paths)


def of_real_data(folder: Path) -> Sheet | None:
    real = _real(folder)
    return _sheet(real, "real data", folder.parent) if real else None


def of_metrics(folder: Path) -> list[tuple[str, Sheet]]:
    """The other sheets of the folder, which metrics made, under headings that are the files' names."""
    known = {*_by_step(folder), _real(folder)}
    found, room = [], _BUDGET
    for path in sorted(folder.glob("[!.]*")):
        if path not in known and path.is_file():
            heading = path.stem.replace("_", " ").replace("-", " ")
            sheet = _sheet(path, "picked out by a metric", folder.parent, room)
            found.append((f"{heading[:1].upper()}{heading[1:]}", sheet))
            room -= min(_size(path), room)
    return found


def side_by_side(runs: Mapping[str, Path], page: Path) -> list[Sheet]:
    """The last sheet of each folder of samples by name, and the real ones, each of them once; ``page``: its folder."""
    paths: list[tuple[str, Path]] = []
    reals: dict[bytes, tuple[str, Path]] = {}
    for name, folder in runs.items():
        if steps := _by_step(folder):
            paths.append((f"{name}, {_step_of(steps[-1])}", steps[-1]))
        if real := _real(folder):
            reals.setdefault(real.read_bytes(), (name, real))
    for name, real in reals.values():
        paths.append(("real data" if len(reals) == 1 else f"real data of {name}", real))
    return [_sheet(path, title, page, _BUDGET // len(paths)) for title, path in paths]


def _by_step(folder: Path) -> list[Path]:
    return sorted(folder.glob("step-*"))


def _real(folder: Path) -> Path | None:
    return next(iter(sorted(folder.glob("real.*"))), None)


def _sheet(path: Path, title: str, page: Path, room: int = _LARGEST) -> Sheet:
    """What can be shown and is no larger than ``room`` as part of the page; else a link."""
    media, kind = _media(path)
    if not 0 < _size(path) <= room:
        return Sheet(title, "link", Path(os.path.relpath(path, page)).as_posix())
    if kind == "text":
        return Sheet(title, kind, path.read_text(encoding="utf-8", errors="replace"))
    return Sheet(title, kind, f"data:{media};base64,{b64encode(path.read_bytes()).decode()}")


def _media(path: Path) -> tuple[str, str]:
    """The MIME type of a file by its name, and what it is on a page: a link where a browser would not show it."""
    media = mimetypes.guess_type(path.name, strict=False)[0] or ""
    kind = media.partition("/")[0]
    return media, kind if kind in ("image", "audio", "video") or media == "text/plain" else "link"


def _size(path: Path) -> int:
    """Bytes that a file takes in the page: none where it is only linked to."""
    size = path.stat().st_size
    return size if _media(path)[1] != "link" and size <= _LARGEST else 0


def _spaced(items: Sequence[Path], count: int) -> list[Path]:
    """``count`` of the items, evenly spaced, the last one among them."""
    count, last = min(count, len(items)), len(items) - 1
    places = [last - round(number * last / max(count - 1, 1)) for number in range(count)]
    return [items[place] for place in sorted(places)]


def _step_of(path: Path) -> str:
    number, *which = path.stem.removeprefix("step-").split("-", 1)
    return ", ".join([f"step {int(number):,}", *which]) if number.isdecimal() else path.stem
