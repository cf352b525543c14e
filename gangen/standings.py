"""Evaluated runs side by side: runs that differ in nothing but their seed are one group, shown as mean and spread."""

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from gangen.evaluate import SETTING, Result
from gangen.frontier import spread_of, verdict

# Text as it is: no wrapping, no markup in what users wrote.
_PLAIN = {"soft_wrap": True, "markup": False, "highlight": False}


@dataclass(frozen=True)
class Group:
    """Runs of one recipe with different seeds."""

    results: list[Result]

    @property
    def title(self) -> str:
        """The folders, a line each."""
        return "\n".join(result.run for result in self.results)

    @property
    def verdict(self) -> str | None:
        """How the runs stand to their baselines, in words; None where no run has one."""
        frontiers = [result.frontier for result in self.results if result.frontier and result.frontier.comparison]
        if not frontiers:
            return None
        return verdict(frontiers[0].tradeoff, [frontier.comparison for frontier in frontiers])

    def cell(self, figure: str) -> str:
        """Mean and standard deviation of a figure over the runs that have it."""
        return _cell([result.figures[figure] for result in self.results if figure in result.figures])

    def at(self, temperature: float, side: str, figure: str) -> str:
        """The same of ``model`` or ``baseline`` at one temperature."""
        rows = [row for result in self.results if result.frontier for row in getattr(result.frontier, side) or ()]
        return _cell([row[figure] for row in rows if row[SETTING] == temperature])


def grouped(results: Iterable[Result]) -> list[Group]:
    """Groups in the order of their first runs."""
    groups: dict[str, list[Result]] = {}
    for result in results:
        same = {key: value for key, value in result.recipe.items() if key not in ("run", "seed")}
        groups.setdefault(json.dumps(same, sort_keys=True), []).append(result)
    return [Group(members) for members in groups.values()]


def show(results: Sequence[Result], console: Console) -> None:
    """A table of figures, one of each frontier, and verdicts in words."""
    groups = grouped(results)
    console.print(_figures(groups))
    for group in groups:
        frontier = next((result.frontier for result in group.results if result.frontier), None)
        if frontier is not None:
            console.print(_frontier(group))
            words = group.verdict or "there is no earlier phase to compare with"
            console.print(f"{', '.join(group.title.splitlines())}: {words}\n", **_PLAIN)


def _figures(groups: list[Group]) -> Table:
    names = list(dict.fromkeys(name for group in groups for result in group.results for name in result.figures))
    real = {name for name in names if name.endswith("_real") and name.removesuffix("_real") in names}
    table = _table("figure")
    beside = [any(name in result.figures for result in group.results for name in real) for group in groups]
    for group, has_real in zip(groups, beside, strict=True):
        steps = dict.fromkeys(result.step for result in group.results)
        table.add_column(f"{group.title}\nstep {', '.join(map(str, steps))}", justify="right")
        if has_real:
            table.add_column("real", justify="right")
    for name in (name for name in names if name not in real):
        cells = []
        for group, has_real in zip(groups, beside, strict=True):
            cells += [group.cell(name), group.cell(f"{name}_real")] if has_real else [group.cell(name)]
        table.add_row(name, *cells)
    return table


def _frontier(group: Group) -> Table:
    first = next(result.frontier for result in group.results if result.frontier)
    axes = [first.tradeoff.quality, first.tradeoff.diversity]
    sides = ["model", "baseline"] if first.baseline is not None else ["model"]
    good = ", ".join(f"{axis.figure}: {axis.good} is good" for axis in axes)
    against = f"; baseline: phase {first.phase}" if first.phase else ""
    table = _table(SETTING, title=f"frontier of {', '.join(group.title.splitlines())} ({good}{against})")
    for side in sides:
        for axis in axes:
            table.add_column(f"{side}\n{axis.figure}", justify="right")
    temperatures = dict.fromkeys(row[SETTING] for row in first.model)
    for temperature in temperatures:
        cells = [group.at(temperature, side, axis.figure) for side in sides for axis in axes]
        table.add_row(f"{temperature:g}", *cells)
    real = [group.cell(f"{axis.figure}_real") for axis in axes]
    if any(real):
        table.add_row("real", *real, style="bold")
    return table


def _table(first: str, title: str | None = None) -> Table:
    table = Table(box=SIMPLE_HEAD, title=title, title_justify="left", title_style="none")
    table.add_column(first, no_wrap=True)
    return table


def _cell(values: list[float]) -> str:
    """Four digits of a mean; with a spread as many as the spread's first two leave certain."""
    if not values:
        return ""
    mean, spread = spread_of(values)
    if len(values) == 1:
        return f"{mean:.4g}"
    if not (spread and mean and math.isfinite(spread)):
        return f"{mean:.4g}±{spread:.2g}"
    decimals = max(0, min(1 - math.floor(math.log10(spread)), 3 - math.floor(math.log10(abs(mean)))))
    return f"{mean:.{decimals}f}±{spread:.{decimals}f}"
