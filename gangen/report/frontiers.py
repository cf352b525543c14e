"""The frontiers of a page: quality against diversity of models and their baselines, drawn and as a table."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from gangen.report.charts import Curve, frontier_chart
from gangen.report.groups import cell
from gangen.report.page import captioned, folded, is_number, number, section, table
from gangen.report.records import Row, mapping

# More groups than one are told apart by colour, and their sides by the line; the sides of one by both.
_SIDES = ("model", "baseline")

Point = tuple[float, float]
Rows = list[tuple[Any, Any, Any]]


@dataclass(frozen=True)
class _Sweep:
    """What ``evaluation.json`` says of one frontier: rows ``(setting, quality, diversity)`` of each side."""

    axes: tuple[str, str, str]
    good: Row
    phase: str | None
    sides: Mapping[str, Rows]
    real: tuple[Any, Any]

    @classmethod
    def read(cls, content: Any) -> "_Sweep | None":
        if not isinstance(content, dict):
            return None
        setting, quality, diversity = axes = tuple(
            str(content.get(key, key)) for key in ("setting", "quality", "diversity")
        )
        sides = {side: content[side] for side in _SIDES if isinstance(content.get(side), list)}
        rows = {
            side: [
                (at if is_number(at := row.get(setting)) else None, row.get(quality), row.get(diversity))
                for row in rows
                if isinstance(row, dict)
            ]
            for side, rows in sides.items()
        }
        real = mapping(content.get("real"))
        phase = content.get("baseline_phase")
        good = mapping(content.get("good"))
        return cls(axes, good, None if phase is None else str(phase), rows, (real.get(quality), real.get(diversity)))


def frontiers(groups: Mapping[str, Sequence[Any]]) -> str:
    """Quality against diversity by the name of a group; each has one frontier, as written down, for each of its runs.

    There is one chart for all groups that trade the same two figures.
    """
    by_axes: dict[tuple[str, str, str], dict[str, list[_Sweep]]] = {}
    for name, contents in groups.items():
        for sweep in filter(None, map(_Sweep.read, contents)):
            by_axes.setdefault(sweep.axes, {}).setdefault(name, []).append(sweep)
    return "".join(_frontier(axes, sweeps) for axes, sweeps in by_axes.items())


def _frontier(axes: tuple[str, str, str], groups: Mapping[str, list[_Sweep]]) -> str:
    setting, quality, diversity = axes
    reals = dict.fromkeys(_mean([(sweep.real[1], sweep.real[0]) for sweep in sweeps]) for sweeps in groups.values())
    chart = frontier_chart(quality, diversity, list(_curves(groups)), list(reals))
    good = {key: value for sweeps in groups.values() for key, value in sweeps[0].good.items()}
    ends = ", ".join(f"{name}: {good[name]} is good" for name in (quality, diversity) if name in good)
    drawn = captioned(f"{quality} against {diversity}", chart, ends)
    heads, rows = _table(axes, groups)
    if len(groups) == 1:
        return section("The frontier", _words(setting, groups), _div(drawn + table(heads, rows, "numbers")))
    return section(
        "The frontier", _words(setting, groups), _div(drawn), folded("Its points", table(heads, rows, "numbers"))
    )


def _div(content: str) -> str:
    return f'<div class="frontier">{content}</div>'


def _words(setting: str, groups: Mapping[str, list[_Sweep]]) -> str:
    words = (
        f"What changing the {setting} trades: a model is better than another only where its whole curve is, not where "
        "a setting happens to suit one figure."
    )
    phases = dict.fromkeys(sweep.phase for sweeps in groups.values() for sweep in sweeps if sweep.phase)
    if phases:
        words += f" The baseline is what phase {' or '.join(phases)} ended with."
    if any(len(sweeps) > 1 for sweeps in groups.values()):
        words += " Thick lines are means over runs, thin lines single runs."
    return f"<p>{escape(words)}</p>"


def _curves(groups: Mapping[str, list[_Sweep]]) -> Iterable[Curve]:
    """A curve for each side of each group: of one group the sides have colours, of several the groups."""
    for place, (name, sweeps) in enumerate(groups.items()):
        for number_of_side, side in enumerate(_SIDES):
            runs = [sweep.sides[side] for sweep in sweeps if side in sweep.sides]
            if runs:
                yield Curve(
                    name=f"{name} {side}".strip() if len(groups) > 1 else side,
                    points=_mean_points(runs),
                    runs=[_mean_points([rows]) for rows in runs] if len(runs) > 1 else [],
                    colour=place if len(groups) > 1 else number_of_side,
                    dashed=side == "baseline",
                )


def _mean_points(runs: Sequence[Rows]) -> list[tuple[float, float, str]]:
    """``(diversity, quality, setting)`` in the mean over runs, where all of them have both figures."""
    points = []
    for setting in dict.fromkeys(setting for rows in runs for setting, _, _ in rows):
        here = [(x, y) for rows in runs for at, y, x in rows if at == setting and is_number(x) and is_number(y)]
        if len(here) == len(runs):
            points.append((*_mean(here), number(setting) if setting is not None else ""))
    return points


def _mean(points: Sequence[tuple[Any, Any]]) -> Point:
    """The mean of points; NaN for a coordinate that one of them lacks."""
    return tuple(
        sum(map(float, values)) / len(values) if all(map(is_number, values)) else math.nan
        for values in zip(*points, strict=True)
    )


def _table(axes: tuple[str, str, str], groups: Mapping[str, list[_Sweep]]) -> tuple[list[str], list[list[str]]]:
    """Heads and rows: means and spreads of the figures at each setting, then those of real data."""
    several, rows = len(groups) > 1, []
    for name, sweeps in groups.items():
        for side in _SIDES:
            runs = [sweep.sides[side] for sweep in sweeps if side in sweep.sides]
            for setting in dict.fromkeys(setting for run in runs for setting, _, _ in run):
                here = [row for run in runs for row in run if row[0] == setting]
                figures = [cell([row[axis] for row in here]) for axis in (1, 2)]
                rows.append([f"{name} {side}" if several else side, number(setting), *figures])
        if any(is_number(value) for sweep in sweeps for value in sweep.real):
            figures = [cell([sweep.real[axis] for sweep in sweeps]) for axis in (0, 1)]
            rows.append([f"real data of {name}" if several else "real data", "-", *figures])
    return ["", *axes], rows
