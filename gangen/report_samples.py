"""The samples of a report: sheets over time behind a slider, beside the real one."""

from base64 import b64encode
from collections.abc import Sequence
from html import escape
from pathlib import Path
from urllib.parse import quote

# Bytes of samples in one report, and how many sheets at most; a sheet and the real one have room in any case.
_BUDGET, _SHEETS = 2_500_000, 12
_LARGEST = _BUDGET // 2


def samples(folder: Path) -> str:
    """Sheets over time behind a slider, beside the real one."""
    sheets = sorted(folder.glob("step-*")) if folder.is_dir() else []
    real = next(iter(sorted(folder.glob("real.*"))), None)
    if not sheets:
        return ""
    largest = max(_embedded_size(path) for path in [*sheets, *([real] if real else [])])
    room = _BUDGET // max(largest, 1) - (real is not None)
    shown = _spaced(sheets, min(_SHEETS, room))
    figures = [_sheet(path, _step_of(path), " last shown" if path == shown[-1] else "") for path in shown]
    slider = (
        f'<p class="player" hidden><label for="slider">over time</label>'
        f'<input id="slider" type="range" min="0" max="{len(shown) - 1}" step="1"></p>'
        if len(shown) > 1
        else ""
    )
    beside = f"<div>{_sheet(real, 'real data')}</div>" if real else ""
    note = f'<p class="note">{len(shown)} of {len(sheets)} sheets.</p>' if len(shown) < len(sheets) else ""
    return (
        f'<section><h2>Samples</h2>{slider}<div class="sheets"><div class="over-time">{"".join(figures)}</div>'
        f"{beside}</div>{note}</section>"
    )


def _sheet(path: Path, name: str, classes: str = "") -> str:
    """A picture or a text as part of the page; what is neither, or too large, as a link."""
    title = escape(name)
    if not _embedded_size(path):
        address = f"{path.parent.name}/{path.name}"
        body = f'<p><a href="{escape(quote(address))}">{escape(address)}</a></p>'
    elif path.suffix == ".png":
        data = b64encode(path.read_bytes()).decode()
        body = f'<img alt="samples, {title}" src="data:image/png;base64,{data}">'
    else:
        body = f"<pre>{escape(path.read_text(encoding='utf-8', errors='replace'))}</pre>"
    return f'<figure class="sheet{classes}" data-name="{title}"><figcaption>{title}</figcaption>{body}</figure>'


def _embedded_size(path: Path) -> int:
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
