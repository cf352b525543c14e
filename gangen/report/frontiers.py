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

# More groups than one are told apart by colour, and their sides by the line; the sides of one by both.
_SIDES = ("model", "baseline")

# The setting that is swept, and the names of two figures.
Axes = tuple[str, str, str]


@dataclass(frozen=True)
class Plane:
    """Frontiers of the same two figures: in words, drawn, and as a table; ``several``: of more than one group."""

    words: str
    chart: Chart
    heads: list[str]
    rows: list[list[str]]
    several: bool


def planes(groups: Sequence[Group]) -> list[Plane]:
    """One for all groups that trade the same two figures."""
    by_axes: dict[Axes, dict[str, list[Frontier]]] = {}
    for group in groups:
        for frontier in group.frontiers:
            by_axes.setdefault(frontier.axes, {}).setdefault(group.name, []).append(frontier)
    return [_plane(axes, frontiers) for axes, frontiers in by_axes.items()]


def _plane(axes: Axes, groups: Mapping[str, list[Frontier]]) -> Plane:
    setting, quality, diversity = axes
    reals = [_mean([_point(frontier.real, axes) for frontier in frontiers]) for frontiers in groups.values()]
    svg = frontier_chart(quality, diversity, list(_curves(axes, groups)), list(dict.fromkeys(reals)))
    tradeoff = next(iter(groups.values()))[0].tradeoff
    ends = ", ".join(f"{axis.figure}: {axis.good} is good" for axis in (tradeoff.quality, tradeoff.diversity))
    chart = Chart(f"{quality} against {diversity}", svg, ends)
    return Plane(_words(setting, groups), chart, ["", *axes], list(_table(axes, groups)), len(groups) > 1)


def _words(setting: str, groups: Mapping[str, list[Frontier]]) -> str:
    words = (
        f"What changing the {setting} trades: a model is better than another only where its whole curve is, not where "
        "a setting happens to suit one figure."
    )
    phases = dict.fromkeys(it.baseline_phase for frontiers in groups.values() for it in frontiers if it.baseline_phase)
    if phases:
        words += f" The baseline is what phase {' or '.join(phases)} ended with."
    if any(len(frontiers) > 1 for frontiers in groups.values()):
        words += " Thick lines are means over runs, thin lines single runs."
    return words


def _curves(axes: Axes, groups: Mapping[str, list[Frontier]]) -> Iterable[Curve]:
    """A curve for each side of each group: of one group the sides have colours, of several the groups."""
    for place, (name, frontiers) in enumerate(groups.items()):
        for number_of_side, side in enumerate(_SIDES):
            runs = [frontier.sides[side] for frontier in frontiers if side in frontier.sides]
            if runs:
                yield Curve(
                    name=f"{name} {side}" if len(groups) > 1 else side,
                    points=_mean_points(axes, runs),
                    runs=[_mean_points(axes, [rows]) for rows in runs] if len(runs) > 1 else [],
                    colour=place if len(groups) > 1 else number_of_side,
                    dashed=side == "baseline",
                )


def _mean_points(axes: Axes, runs: Sequence[Sequence[Row]]) -> list[tuple[float, float, str]]:
    """``(diversity, quality, setting)`` in the mean over runs, where all of them have both figures."""
    points = []
    for at, rows in _by_setting(axes, runs).items():
        x, y = _mean([_point(row, axes) for row in rows])
        if len(rows) == len(runs) and is_number(x) and is_number(y):
            points.append((x, y, number(at)))
    return points


def _by_setting(axes: Axes, runs: Iterable[Sequence[Row]]) -> dict[float, list[Row]]:
    found: dict[float, list[Row]] = {}
    for row in (row for rows in runs for row in rows):
        found.setdefault(row[axes[0]], []).append(row)
    return found


def _point(row: Row, axes: Axes) -> tuple[float, float]:
    _, quality, diversity = axes
    return row.get(diversity, math.nan), row.get(quality, math.nan)


def _mean(points: Sequence[tuple[float, float]]) -> tuple[Any, ...]:
    """The mean of points; NaN for a coordinate that one of them lacks."""
    return tuple(sum(values) / len(values) for values in zip(*points, strict=True))


def _table(axes: Axes, groups: Mapping[str, list[Frontier]]) -> Iterable[list[str]]:
    """Means and spreads of the figures at each setting, then those of real data."""
    figures = axes[1:]
    for name, frontiers in groups.items():
        for side in _SIDES:
            runs = [frontier.sides[side] for frontier in frontiers if side in frontier.sides]
            for at, rows in _by_setting(axes, runs).items():
                head = f"{name} {side}" if len(groups) > 1 else side
                yield [head, number(at), *(cell([row.get(figure) for row in rows]) for figure in figures)]
        if any(map(is_number, (value for frontier in frontiers for value in frontier.real.values()))):
            cells = [cell([frontier.real.get(figure) for frontier in frontiers]) for figure in figures]
            yield [f"real data of {name}" if len(groups) > 1 else "real data", "-", *cells]
