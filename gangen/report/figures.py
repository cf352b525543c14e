"""The figures of a run: the newest of each, and all of them as curves."""

import math
import re
from collections.abc import Iterable, Mapping, Sized
from dataclasses import replace
from itertools import islice
from typing import Any, NamedTuple

from gangen.evaluation.results import Result
from gangen.metrics.figures import Figure, is_number
from gangen.report.charts import Chart, Line, line_chart
from gangen.report.page import number
from gangen.report.records import Row

# Figures of turns by the last part of their names; what is in no group goes into the last one.
_GROUPS = {
    "Losses": ("loss",),
    "Discriminator's accuracy": ("accuracy",),
    "Mean logits": ("real", "fake"),
    "Gradient norms": ("gradient_norm",),
    "Sizes of updates, relative to the weights": ("update_size",),
}
_REST = "Penalties and other terms"

# Each chart takes a quarter of a second, and nobody looks at more, nor at more lines in one.
_CHARTS, _LINES, _PHASES = 30, 20, 20

History = dict[str, list[tuple[float, float]]]


def newest(rows: Iterable[Row]) -> tuple[dict[str, Figure], int]:
    """The newest figure of each metric, and the last step at which there was one."""
    figures: dict[str, Figure] = {}
    step = 0
    for row in rows:
        found = figures_of(row)
        figures |= found
        step = max(step, row["step"]) if found else step
    return figures, step


def figures_of(row: Row) -> dict[str, Figure]:
    return {name: entry for name, entry in row.items() if isinstance(entry, Figure)}


def ended_with(rows: Iterable[Row], result: Result | None) -> tuple[str, dict[str, Figure]]:
    """The last phase before that of the newest figures, and the figures that it ended with.

    Nothing where there is none, and beside an evaluation by metrics or options that training did not have.
    """
    found = [row for row in rows if figures_of(row)]
    if result and not all(
        {name: value for name, value in use.items() if name != "protocol"} in result.recipe.get("metrics", ())
        for use in result.metrics
    ):
        return "", {}
    before = [row for row in found if row.get("phase") != found[-1].get("phase")]
    if not before:
        return "", {}
    phase = before[-1].get("phase")
    return str(phase), newest(row for row in before if row.get("phase") == phase)[0]


def what_changed(phase: str, before: Mapping[str, Figure], figures: Mapping[str, Figure]) -> str:
    """In words, what is better and what is worse than at the end of a phase; nothing where nothing compares."""
    found: dict[str, list[str]] = {"better": [], "worse": []}
    pairs = [(name, before[name], now) for name, now in figures.items() if name in before]
    gaps = {name: now.shortfall - replace(then, good=now.good).shortfall for name, then, now in pairs}
    for name, then, now in pairs:
        if math.isfinite(gaps[name]) and gaps[name]:
            real = f", real {number(now.real)}" if now.good == "real" else ""
            moved = f"{name} ({number(then.value)}, now {number(now.value)}{real})"
            found["better" if gaps[name] < 0 else "worse"].append(moved)
    if not any(map(math.isfinite, gaps.values())):
        return ""
    if not any(found.values()):
        return f"since phase {phase} no figure is better or worse"
    words = "; ".join(f"{end}: {', '.join(names)}" for end, names in found.items() if names)
    return f"since phase {phase} {words}. Whether that is more than chance, one run does not show: compare seeds"


class Panel(NamedTuple):
    """Curves that belong into one chart."""

    title: str
    lines: list[Line]
    remark: str = ""


def charts_of_metrics(rows: list[Row]) -> tuple[list[Chart], int]:
    """As many charts of metrics as anybody looks at, and how many more there might be."""
    panels, phases = panels_of_metrics(rows), phases_of(rows)
    charts = [Chart(it.title, line_chart(it.title, it.lines, phases), it.remark) for it in panels[:_CHARTS]]
    return charts, len(panels) - len(charts)


def charts_of_turns(rows: list[Row]) -> list[Chart]:
    phases = phases_of(rows)
    return [
        Chart(it.title, line_chart(it.title, it.lines, phases, wide=True), it.remark) for it in panels_of_turns(rows)
    ]


def panels_of_metrics(rows: list[Row]) -> list[Panel]:
    """One for all figures that differ in a last number only; NAME_low and NAME_high are a band around NAME."""
    history = _history((row["step"], name, it.value) for row in rows for name, it in figures_of(row).items())
    floors = _history((row["step"], name, it.real) for row in rows for name, it in figures_of(row).items())
    bands = {name: band for name in history if (band := _band(name, history))}
    ends = {f"{name}_{end}" for name in bands for end in ("low", "high")}
    stems: dict[str, list[str]] = {}
    for name, points in history.items():
        if len(points) > 1 and name not in ends:
            stems.setdefault(re.sub(r"_\d+$", "", name), []).append(name)
    panels = []
    for stem, names in stems.items():
        shown = names[:_LINES]
        lines = [Line(name, history[name], place, band=bands.get(name, ())) for place, name in enumerate(shown)]
        real = [Line(name, floors[name], place, True) for place, name in enumerate(shown) if name in floors]
        title = stem if len(names) > 1 else names[0]
        interval = ["shaded: its interval"] if any(line.band for line in lines) else []
        remark = "; ".join([*_some(shown, names), *interval, *(["dashed: real data"] if real else [])])
        panels.append(Panel(title, lines + real, remark))
    return panels


def panels_of_turns(rows: list[Row]) -> list[Panel]:
    """One for each kind of figure that turns report."""
    history = _history((row["step"], name, entry) for row in rows for name, entry in row.items() if "/" in name)
    groups: dict[str, list[Line]] = {}
    for name, points in history.items():
        turn, _, figure = name.rpartition("/")
        group = next((group for group, members in _GROUPS.items() if figure in members), _REST)
        alone = group != _REST and len(_GROUPS[group]) == 1
        lines = groups.setdefault(group, [])
        lines.append(Line(turn if alone else name, points, len(lines)))
    panels = []
    for group in [*_GROUPS, _REST]:
        if drawn := groups.get(group):
            shown = drawn[:_LINES]
            panels.append(Panel(group, shown, drawn[0].name if len(drawn) == 1 else "".join(_some(shown, drawn))))
    return panels


def _band(name: str, history: History) -> list[tuple[float, float, float]]:
    """Points ``(step, low, high)`` of a figure that has an interval."""
    low, high = (dict(history.get(f"{name}_{end}", ())) for end in ("low", "high"))
    return [(step, low[step], high[step]) for step in low if step in high]


def _some(shown: Sized, found: Sized) -> list[str]:
    return [f"{len(shown)} of {len(found):,}"] if len(shown) < len(found) else []


def _history(readings: Iterable[tuple[int, str, Any]]) -> History:
    """Points ``(step, value)`` of each figure, in the order in which the figures first appear."""
    history: History = {}
    for step, name, value in readings:
        if is_number(value):
            history.setdefault(name, []).append((step, float(value)))
    return history


def phases_of(rows: Iterable[Row]) -> dict[str, int]:
    """The step that each phase starts after, by the last row of the one before."""
    starts: dict[str, int] = {}
    last = 0
    for row in rows:
        starts.setdefault(str(row.get("phase", "")), last)
        last = row["step"]
    return dict(islice(starts.items(), _PHASES))
