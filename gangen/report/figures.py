"""The figures of a run: the newest in a table, all of them as curves."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from gangen.report.charts import Line, line_chart
from gangen.report.page import captioned, is_number, note, number, section, table
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
REAL = "_real"

History = dict[str, list[tuple[float, float]]]


def newest(rows: list[Row]) -> str:
    """The newest figure of each metric, with that of real data where the metric gave one."""
    latest: dict[str, tuple[int, Any]] = {}
    for row in rows:
        for name, value in row.items():
            before = latest.get(name, (row["step"], None))[0]
            if _is_figure(name, value) and "/" not in name and row["step"] >= before:
                latest[name] = row["step"], value
    floors = any(is_floor(name, latest) for name in latest)
    lines = []
    for name in latest:
        if not is_floor(name, latest):
            values = [latest.get(key, (0, None))[1] for key in ([name, name + REAL] if floors else [name])]
            lines.append([name, *map(number, values)])
    step = max((step for step, _ in latest.values()), default=0)
    words = f"Figures by step {step:,}; how they were measured stands below."
    if floors:
        words += " Beside each figure of the model, that of real data."
    heads = ["figure", "model", "real data"] if floors else ["figure", "model"]
    return section("Figures", note(words), table(heads, lines, "figures")) if lines else ""


def curves(rows: list[Row]) -> str:
    """Figures of metrics over steps, one chart for all that differ in a last number only, then those of turns."""
    history, phases = _history(rows), _phases(rows)
    small, wide = _of_metrics(history, phases), _of_turns(history, phases)
    return section("Figures over steps", f'<div class="small charts">{small}</div>' if small else "") + section(
        "Training over steps", f'<div class="charts">{wide}</div>' if wide else ""
    )


def is_floor(name: str, figures: Mapping[str, Any]) -> bool:
    """Whether a figure is that of real data beside another."""
    return name.endswith(REAL) and name.removesuffix(REAL) in figures


def _of_metrics(history: History, phases: Mapping[str, int]) -> str:
    stems: dict[str, list[str]] = {}
    for name, points in history.items():
        if "/" not in name and not is_floor(name, history) and len(points) > 1:
            stems.setdefault(re.sub(r"_\d+$", "", name), []).append(name)
    charts = []
    for stem, names in stems.items():
        lines = [Line(name, history[name], place) for place, name in enumerate(names)]
        floors = [
            Line(name, history[name + REAL], place, dashed=True)
            for place, name in enumerate(names)
            if name + REAL in history
        ]
        title = stem if len(names) > 1 else names[0]
        beside = "dashed: real data" if floors else ""
        charts.append(captioned(title, line_chart(title, lines + floors, phases), beside))
    return "".join(charts)


def _of_turns(history: History, phases: Mapping[str, int]) -> str:
    groups: dict[str, list[Line]] = {}
    for name, points in history.items():
        turn, _, figure = name.rpartition("/")
        if turn:
            group = next((group for group, members in _GROUPS.items() if figure in members), _REST)
            alone = group != _REST and len(_GROUPS[group]) == 1
            lines = groups.setdefault(group, [])
            lines.append(Line(turn if alone else name, points, len(lines)))
    charts = []
    for group in [*_GROUPS, _REST]:
        if lines := groups.get(group):
            beside = lines[0].name if len(lines) == 1 else ""
            charts.append(captioned(group, line_chart(group, lines, phases, wide=True), beside))
    return "".join(charts)


def _history(rows: Iterable[Row]) -> History:
    """Points ``(step, value)`` of each figure, in the order in which the figures first appear."""
    history: History = {}
    for row in rows:
        for name, value in row.items():
            if name != "step" and is_number(value):
                history.setdefault(name, []).append((row["step"], float(value)))
    return history


def _phases(rows: Iterable[Row]) -> dict[str, int]:
    """The step that each phase starts after, by the last row of the one before."""
    starts: dict[str, int] = {}
    last = 0
    for row in rows:
        starts.setdefault(str(row.get("phase", "")), last)
        last = row["step"]
    return starts


def _is_figure(name: str, value: Any) -> bool:
    """Whether an entry of a row is a figure; one that is not finite is null in an evaluation."""
    return name != "step" and (value is None or (isinstance(value, int | float) and not isinstance(value, bool)))
