"""The figures of a report: the newest in a table, all of them as curves, the frontier."""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from gangen.charts import Line, frontier_chart, line_chart

# Figures of turns by the last part of their names; what is in no group goes into the last one.
_GROUPS = {
    "Losses": ("loss",),
    "Discriminator's accuracy": ("accuracy",),
    "Mean logits": ("real", "fake"),
    "Gradient norms": ("gradient_norm",),
    "Sizes of updates, relative to the weights": ("update_size",),
}
_REST = "Penalties and other terms"
_REAL = "_real"

Row = dict[str, Any]
History = dict[str, list[tuple[float, float]]]


def table(rows: list[Row]) -> str:
    """The newest figure of each metric, with that of real data where the metric gave one."""
    history = {name: points for name, points in _history(rows).items() if "/" not in name}
    if not history:
        return ""
    latest = {name: max(reversed(points), key=lambda point: point[0])[1] for name, points in history.items()}
    floors = any(_is_floor(name, latest) for name in latest)
    heads = ["model", "real data"] if floors else ["model"]
    lines = []
    for name, value in latest.items():
        if not _is_floor(name, latest):
            cells = [value, latest.get(name + _REAL)] if floors else [value]
            lines.append(_line(f"<code>{escape(name)}</code>", cells))
    step = max(step for points in history.values() for step, _ in points)
    note = f"The newest figures, by step {step:,.0f}."
    if floors:
        note += " Beside each figure of the model, that of real data."
    return f'<section><h2>Figures</h2><p class="note">{note}</p>{_table("figure", heads, lines)}</section>'


def frontier(content: Any) -> str:
    """Quality against diversity at several settings of the model and of its baseline, drawn and as a table."""
    if not isinstance(content, dict):
        return ""
    setting, quality, diversity = (str(content.get(key, key)) for key in ("setting", "quality", "diversity"))
    kinds = {name: content.get(name) or [] for name in ("model", "baseline")}
    curves = {
        name: [
            (point[diversity], point[quality], _number(point[setting]) if _is_number(point.get(setting)) else "")
            for point in points
            if _is_number(point.get(diversity)) and _is_number(point.get(quality))
        ]
        for name, points in kinds.items()
        if points
    }
    real = content.get("real") or {}
    where = tuple(float(real[name]) if _is_number(real.get(name)) else math.nan for name in (diversity, quality))
    heads = [setting, quality, diversity]
    lines = [
        _line(name, [point.get(key) for key in heads])
        for name, points in {**kinds, "real data": [real] if real else []}.items()
        for point in points
    ]
    title = escape(f"{quality} against {diversity}")
    phase = content.get("baseline_phase")
    baseline = f" The baseline is what phase {escape(str(phase))} ended with." if phase else ""
    good = content.get("good")
    ends = [f"{name}: {good[name]} is good" for name in (quality, diversity) if name in good] if good else []
    return (
        f"<section><h2>The frontier</h2><p>What changing the {escape(setting)} trades: a model is better than another "
        f"only where its whole curve is, not where a setting happens to suit one figure.{baseline}</p>"
        f'<div class="frontier"><figure class="chart"><figcaption>{title} '
        f'<span class="note">{escape(", ".join(ends))}</span></figcaption>'
        f"{frontier_chart(quality, diversity, curves, where)}</figure>{_table('', heads, lines)}</div></section>"
    )


def curves(rows: list[Row]) -> str:
    """Figures of turns by group, then figures of metrics, one chart for all that differ in a last number only."""
    history, phases = _history(rows), _phases(rows)
    groups: dict[str, list[Line]] = {}
    for name, points in history.items():
        turn, _, figure = name.rpartition("/")
        if turn:
            group = next((group for group, members in _GROUPS.items() if figure in members), _REST)
            alone = group != _REST and len(_GROUPS[group]) == 1
            lines = groups.setdefault(group, [])
            lines.append(Line(turn if alone else name, points, len(lines)))
    charts = [
        _chart(
            group,
            line_chart(group, groups[group], phases, wide=True),
            groups[group][0].name if len(groups[group]) == 1 else "",
        )
        for group in [*_GROUPS, _REST]
        if group in groups
    ]
    stems: dict[str, list[str]] = {}
    for name, points in history.items():
        if "/" not in name and not _is_floor(name, history) and len(points) > 1:
            stems.setdefault(re.sub(r"_\d+$", "", name), []).append(name)
    small = []
    for stem, names in stems.items():
        lines = [Line(name, history[name], number) for number, name in enumerate(names)]
        floors = [
            Line(name, history[name + _REAL], number, dashed=True)
            for number, name in enumerate(names)
            if name + _REAL in history
        ]
        title = stem if len(names) > 1 else names[0]
        note = "dashed: real data" if floors else ""
        small.append(_chart(title, line_chart(title, lines + floors, phases), note))
    parts = ""
    if small:
        parts += f'<section><h2>Figures over steps</h2><div class="small charts">{"".join(small)}</div></section>'
    if charts:
        parts += f'<section><h2>Training over steps</h2><div class="charts">{"".join(charts)}</div></section>'
    return parts


def _chart(title: str, svg: str, note: str = "") -> str:
    beside = f' <span class="note">{escape(note)}</span>' if note else ""
    return f'<figure class="chart"><figcaption>{escape(title)}{beside}</figcaption>{svg}</figure>'


def _table(first: str, heads: Sequence[str], lines: Sequence[str]) -> str:
    cells = "".join(f'<th scope="col" class="number">{escape(head)}</th>' for head in heads)
    return (
        f'<div class="scroll"><table><thead><tr><th scope="col">{first}</th>{cells}</tr></thead>'
        f"<tbody>{''.join(lines)}</tbody></table></div>"
    )


def _line(head: str, values: Sequence[Any]) -> str:
    cells = "".join(f'<td class="number">{_number(value)}</td>' for value in values)
    return f'<tr><th scope="row">{head}</th>{cells}</tr>'


def _history(rows: Iterable[Row]) -> History:
    """Points ``(step, value)`` of each figure, in the order in which the figures first appear."""
    history: History = {}
    for row in rows:
        for name, value in row.items():
            if name != "step" and _is_number(value):
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


def _is_floor(name: str, figures: Mapping[str, Any]) -> bool:
    """Whether a figure is that of real data beside another."""
    return name.endswith(_REAL) and name.removesuffix(_REAL) in figures


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _number(value: Any) -> str:
    if not _is_number(value):
        return "-"
    return f"{value:,.0f}" if isinstance(value, int) or 1000 <= abs(value) < 1e9 else f"{value:.4g}"
