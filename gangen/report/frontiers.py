"""The frontiers of a page: quality against diversity of models and their baselines, drawn and as a table."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from gangen.evaluation.results import Frontier, Row
from gangen.metrics.figures import is_number
from gangen.report.charts import Chart, Line, frontier_chart
from gangen.report.groups import Group, cell
from gangen.report.page import number

# The setting that is swept, and the names of two figures.
Axes = tuple[str, str, str]
# Name and points of a curve, these by run; its colour, and whether it is dashed.
Side = tuple[str, list[list[Row]], tuple[int, bool]]


@dataclass(frozen=True)
class Plane:
    """Frontiers of the same two figures, by the name of a group."""

    axes: Axes
    groups: Mapping[str, list[Frontier]]

    @property
    def phases(self) -> list[str]:
        """Those that baselines are the end of."""
        known = (frontier.baseline_phase for frontiers in self.groups.values() for frontier in frontiers)
        return list(dict.fromkeys(phase for phase in known if phase))

    @property
    def ends(self) -> str:
        """Which end of each figure is good."""
        tradeoff = next(iter(self.groups.values()))[0].tradeoff
        return ", ".join(f"{axis.figure}: {axis.good} is good" for axis in (tradeoff.quality, tradeoff.diversity))

    @property
    def chart(self) -> Chart:
        """Raises UsageError where matplotlib is missing."""
        curves = [
            Line(name, self._points(runs), *look, runs=[self._points([run]) for run in runs] if len(runs) > 1 else [])
            for name, runs, look in self._sides()
        ]
        reals = dict.fromkeys(self._mean(rows) for rows in self._real.values())
        _, quality, diversity = self.axes
        return Chart(
            f"{quality} against {diversity}", frontier_chart(quality, diversity, curves, list(reals)), self.ends
        )

    @property
    def rows(self) -> list[list[str]]:
        """Of a table: the side, the setting, mean and spread of both figures there; those of real data at the end."""
        table = [
            [name, number(at), *self._cells(rows)]
            for name, runs, _ in self._sides()
            for at, rows in self._by_setting(runs).items()
        ]
        for name, rows in self._real.items():
            if any(is_number(value) for row in rows for value in row.values()):
                table.append([f"real data of {name}" if len(self.groups) > 1 else "real data", "-", *self._cells(rows)])
        return table

    @property
    def _real(self) -> dict[str, list[Row]]:
        return {name: [frontier.real for frontier in frontiers] for name, frontiers in self.groups.items()}

    def _sides(self) -> Iterable[Side]:
        """Models and baselines: of one group these have colours, of several the groups, and lines tell sides apart."""
        several = len(self.groups) > 1
        for place, (name, frontiers) in enumerate(self.groups.items()):
            for number_of_side, side in enumerate(("model", "baseline")):
                if runs := [frontier.sides[side] for frontier in frontiers if side in frontier.sides]:
                    look = place if several else number_of_side, side == "baseline"
                    yield f"{name} {side}" if several else side, runs, look

    def _points(self, runs: Sequence[Sequence[Row]]) -> list[tuple[float, float, str]]:
        """``(diversity, quality, setting)`` in the mean over runs, where all of them have both figures."""
        means = [(*self._mean(rows), number(at), len(rows)) for at, rows in self._by_setting(runs).items()]
        return [(x, y, at) for x, y, at, count in means if count == len(runs) and is_number(x) and is_number(y)]

    def _by_setting(self, runs: Iterable[Sequence[Row]]) -> dict[float, list[Row]]:
        found: dict[float, list[Row]] = {}
        for row in (row for rows in runs for row in rows):
            found.setdefault(row.get(self.axes[0], math.nan), []).append(row)
        return found

    def _mean(self, rows: Sequence[Row]) -> tuple[float, float]:
        """Mean diversity and quality; NaN for what one of the rows lacks."""
        _, quality, diversity = self.axes
        x, y = (sum(row.get(figure, math.nan) for row in rows) / len(rows) for figure in (diversity, quality))
        return x, y

    def _cells(self, rows: Sequence[Row]) -> list[str]:
        return [cell([row.get(figure) for row in rows]) for figure in self.axes[1:]]


def planes(groups: Sequence[Group]) -> list[Plane]:
    """One for all groups that trade the same two figures."""
    by_axes: dict[Axes, dict[str, list[Frontier]]] = {}
    for group in groups:
        for frontier in group.frontiers:
            by_axes.setdefault(frontier.axes, {}).setdefault(group.name, []).append(frontier)
    return [Plane(axes, frontiers) for axes, frontiers in by_axes.items()]
