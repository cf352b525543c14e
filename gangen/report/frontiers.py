"""The frontiers of a page: quality against diversity of models and their baselines, drawn and as a table."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gangen.evaluation.results import Frontier, Row
from gangen.metrics.figures import is_number
from gangen.report.charts import Chart, Curve, frontier_chart
from gangen.report.groups import Group, cell
from gangen.report.page import number

# The setting that is swept, and the names of two figures.
Axes = tuple[str, str, str]
# Points of one curve by run, and how it is drawn.
Side = tuple[str, list[list[Row]], dict[str, Any]]


@dataclass(frozen=True)
class Plane:
    """Frontiers of the same two figures, by group: drawn, and as a table."""

    axes: Axes
    groups: Mapping[str, list[Frontier]]
    chart: Chart
    rows: list[list[str]]

    @property
    def phases(self) -> list[str]:
        """Those that baselines are the end of."""
        known = (frontier.baseline_phase for frontiers in self.groups.values() for frontier in frontiers)
        return list(dict.fromkeys(phase for phase in known if phase))


def planes(groups: Sequence[Group]) -> list[Plane]:
    """One for all groups that trade the same two figures."""
    by_axes: dict[Axes, dict[str, list[Frontier]]] = {}
    for group in groups:
        for frontier in group.frontiers:
            by_axes.setdefault(frontier.axes, {}).setdefault(group.name, []).append(frontier)
    return [_plane(axes, frontiers) for axes, frontiers in by_axes.items()]


def _plane(axes: Axes, groups: Mapping[str, list[Frontier]]) -> Plane:
    _, quality, diversity = axes
    sides, real = list(_sides(groups)), {name: [it.real for it in found] for name, found in groups.items()}
    curves = [
        Curve(name, _points(axes, runs), [_points(axes, [run]) for run in runs] if len(runs) > 1 else [], **look)
        for name, runs, look in sides
    ]
    svg = frontier_chart(quality, diversity, curves, list(dict.fromkeys(_mean(axes, rows) for rows in real.values())))
    tradeoff = next(iter(groups.values()))[0].tradeoff
    ends = ", ".join(f"{axis.figure}: {axis.good} is good" for axis in (tradeoff.quality, tradeoff.diversity))
    table = [
        [name, number(at), *(cell([row.get(figure) for row in rows]) for figure in axes[1:])]
        for name, runs, _ in sides
        for at, rows in _by_setting(axes, runs).items()
    ]
    for name, rows in real.items():
        if any(is_number(value) for row in rows for value in row.values()):
            cells = (cell([row.get(figure) for row in rows]) for figure in axes[1:])
            table.append([f"real data of {name}" if len(groups) > 1 else "real data", "-", *cells])
    return Plane(axes, groups, Chart(f"{quality} against {diversity}", svg, ends), table)


def _sides(groups: Mapping[str, list[Frontier]]) -> Iterable[Side]:
    """Models and baselines: of one group these have colours, of several the groups, and lines tell the two apart."""
    several = len(groups) > 1
    for place, (name, frontiers) in enumerate(groups.items()):
        for number_of_side, side in enumerate(("model", "baseline")):
            if runs := [frontier.sides[side] for frontier in frontiers if side in frontier.sides]:
                look = {"colour": place if several else number_of_side, "dashed": side == "baseline"}
                yield f"{name} {side}" if several else side, runs, look


def _points(axes: Axes, runs: Sequence[Sequence[Row]]) -> list[tuple[float, float, str]]:
    """``(diversity, quality, setting)`` in the mean over runs, where all of them have both figures."""
    means = [(*_mean(axes, rows), number(at), len(rows)) for at, rows in _by_setting(axes, runs).items()]
    return [(x, y, at) for x, y, at, count in means if count == len(runs) and is_number(x) and is_number(y)]


def _by_setting(axes: Axes, runs: Iterable[Sequence[Row]]) -> dict[float, list[Row]]:
    found: dict[float, list[Row]] = {}
    for row in (row for rows in runs for row in rows):
        found.setdefault(row[axes[0]], []).append(row)
    return found


def _mean(axes: Axes, rows: Sequence[Row]) -> tuple[float, float]:
    """Mean diversity and quality; NaN for what one of the rows lacks."""
    _, quality, diversity = axes
    x, y = (sum(row.get(figure, math.nan) for row in rows) / len(rows) for figure in (diversity, quality))
    return x, y
