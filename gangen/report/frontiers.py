"""The frontiers of a page: quality against diversity of models and their baselines, drawn and as tables."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from gangen.evaluation.frontier import GRID, Curves, Envelope, shared, verdict
from gangen.evaluation.results import Frontier, Row
from gangen.metrics.figures import is_number
from gangen.metrics.tradeoff import Tradeoff
from gangen.report.charts import Chart, Line, Mark, frontier_chart
from gangen.report.groups import Group, cell
from gangen.report.page import number

# Diversities that the table of a frontier looks at.
LEVELS = 7
# Metrics declare one or two trade-offs; each has a chart of its own.
PLANES = 12


@dataclass(frozen=True)
class Side:
    """A model or a baseline: what its runs reached, its colour, and whether it is drawn dashed."""

    name: str
    runs: Sequence[Curves]
    colour: int
    dashed: bool

    def points(self) -> Iterable[tuple[str, str, list[Row]]]:
        """Each value of each setting that was swept: the setting, the two as text, and the points of runs there."""
        found: dict[tuple[str, float], list[Row]] = {}
        for curves in self.runs:
            for setting, rows in curves.items():
                for row in rows:
                    found.setdefault((setting, row.get(setting, math.nan)), []).append(row)
        for (setting, value), rows in found.items():
            yield setting, f"{setting} {number(value)}", rows


@dataclass(frozen=True)
class Plane:
    """Frontiers of the same two figures, by the name of a group."""

    groups: Mapping[str, list[Frontier]]

    @property
    def tradeoff(self) -> Tradeoff:
        return next(iter(self.groups.values()))[0].tradeoff

    @property
    def title(self) -> str:
        return " against ".join(self.tradeoff.figures)

    @property
    def phases(self) -> list[str]:
        """Those that baselines are the end of."""
        known = (frontier.baseline_phase for frontiers in self.groups.values() for frontier in frontiers)
        return list(dict.fromkeys(phase for phase in known if phase))

    @property
    def swept(self) -> list[str]:
        """The settings."""
        everything = (setting for side in self.sides for curves in side.runs for setting in curves)
        return list(dict.fromkeys(everything))

    @property
    def ends(self) -> str:
        """Which end of each figure is good."""
        axes = (self.tradeoff.quality, self.tradeoff.diversity)
        return ", ".join(f"{axis.figure}: {axis.good} is good" for axis in axes)

    @property
    def verdicts(self) -> dict[str, str]:
        """How the runs of each group stand to their baselines, in words; without groups that have none."""
        found = {
            name: [it.comparison for it in frontiers if it.comparison is not None]
            for name, frontiers in self.groups.items()
        }
        return {name: verdict(self.tradeoff, comparisons) for name, comparisons in found.items() if comparisons}

    @cached_property
    def sides(self) -> list[Side]:
        """Models and baselines: of one group these have colours, of several the groups, and lines tell sides apart."""
        several, sides = len(self.groups) > 1, []
        for place, (name, frontiers) in enumerate(self.groups.items()):
            for number_of_side, side in enumerate(("model", "baseline")):
                if runs := [frontier.sides[side] for frontier in frontiers if side in frontier.sides]:
                    colour = place if several else number_of_side
                    sides.append(Side(f"{name} {side}" if several else side, runs, colour, side == "baseline"))
        return sides

    @property
    def chart(self) -> Chart:
        """Raises UsageError where matplotlib is missing."""
        quality, diversity = self.tradeoff.figures
        lines = [
            Line(
                side.name,
                self._line(side.runs),
                side.colour,
                side.dashed,
                [self._line([run]) for run in side.runs] if len(side.runs) > 1 else [],
                [
                    Mark(*place, setting, f"{side.name}, {at}")
                    for setting, at, rows in side.points()
                    if all(map(is_number, place := self._mean(rows))) and len(rows) == len(side.runs)
                ],
            )
            for side in self.sides
        ]
        reals = dict.fromkeys(self._mean(rows) for rows in self._real.values())
        return Chart(self.title, frontier_chart(quality, diversity, lines, list(reals)), self.ends)

    @property
    def levels(self) -> tuple[list[str], list[list[str]]]:
        """Heads and rows of a table: what each side reaches at some diversities, and by changing which setting.

        There are no rows where no diversity is reached by all.
        """
        quality, diversity = self.tradeoff.figures
        envelopes = [[Envelope(self.tradeoff, curves) for curves in side.runs] for side in self.sides]
        ends = shared([envelope for runs in envelopes for envelope in runs])
        heads = [diversity, *(head for side in self.sides for head in (f"{side.name}\n{quality}", "by"))]
        if ends is None:
            return heads, []
        places = np.unique(np.linspace(*ends, LEVELS))
        columns = [[number(self.tradeoff.diversity.score(float(place))) for place in places]]
        for runs in envelopes:
            reached, settings = zip(*(envelope.at(places) for envelope in runs), strict=True)
            values = [[self.tradeoff.quality.score(float(value)) for value in at] for at in zip(*reached, strict=True)]
            columns.append([cell(at) for at in values])
            columns.append([", ".join(dict.fromkeys(at)) for at in zip(*settings, strict=True)])
        return heads, [list(row) for row in zip(*columns, strict=True)]

    @property
    def points(self) -> tuple[list[str], list[list[str]]]:
        """Heads and rows of a table: both figures at each value of each setting; real data's come last."""
        table = [[side.name, at, *self._cells(rows)] for side in self.sides for _, at, rows in side.points()]
        for name, rows in self._real.items():
            if any(is_number(value) for row in rows for value in row.values()):
                table.append([f"real data of {name}" if len(self.groups) > 1 else "real data", "-", *self._cells(rows)])
        return ["", "setting", *self.tradeoff.figures], table

    @property
    def _real(self) -> dict[str, list[Row]]:
        return {name: [frontier.real for frontier in frontiers] for name, frontiers in self.groups.items()}

    def _line(self, runs: Sequence[Curves]) -> list[tuple[float, float]]:
        """``(diversity, quality)`` along the mean of what the runs reach, where all of them do."""
        envelopes = [Envelope(self.tradeoff, curves) for curves in runs]
        ends = shared(envelopes)
        if ends is None:
            return []
        places = np.union1d(np.linspace(*ends, GRID), [at for it in envelopes for at in it.corners])
        places = places[(places >= ends[0]) & (places <= ends[1])]
        means = np.mean([envelope.at(places)[0] for envelope in envelopes], axis=0)
        x, y = self.tradeoff.diversity, self.tradeoff.quality
        return [(x.score(float(at)), y.score(float(mean))) for at, mean in zip(places, means, strict=True)]

    def _mean(self, rows: Sequence[Row]) -> tuple[float, float]:
        """Mean diversity and quality; NaN for what one of the rows lacks."""
        quality, diversity = self.tradeoff.figures
        x, y = (sum(row.get(figure, math.nan) for row in rows) / len(rows) for figure in (diversity, quality))
        return x, y

    def _cells(self, rows: Sequence[Row]) -> list[str]:
        return [cell([row.get(figure) for row in rows]) for figure in self.tradeoff.figures]


def planes(groups: Sequence[Group]) -> list[Plane]:
    """One for all groups that trade the same two figures."""
    found: dict[tuple[str, str], dict[str, list[Frontier]]] = {}
    for group in groups:
        for frontier in (frontier for result in group.results for frontier in result.frontiers):
            found.setdefault(frontier.tradeoff.figures, {}).setdefault(group.name, []).append(frontier)
    return [Plane(frontiers) for frontiers in list(found.values())[:PLANES]]
