"""Evaluated runs side by side in the terminal: a table of figures, one of each frontier, verdicts in words."""

from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from gangen.evaluation.results import SETTING, Result
from gangen.report.figures import REAL, is_floor
from gangen.report.groups import Group, cell, disagreements, figures_of, grouped

# Text as it is: no wrapping, no markup in what users wrote.
_PLAIN = {"soft_wrap": True, "markup": False, "highlight": False}


def show(results: Sequence[Result], console: Console) -> None:
    """Print what was found, and what makes it doubtful."""
    groups = grouped(results)
    console.print(_figures(groups))
    for group in groups:
        if any(result.frontier for result in group.results):
            console.print(_frontier(group))
            words = group.verdict or "there is no earlier phase to compare with"
            console.print(f"{', '.join(group.folders)}: {words}\n", **_PLAIN)
    own = [f"{result.run}: {message}" for result in results for message in result.warnings]
    for message in own + disagreements(groups):
        console.print(f"warning: {message}", **_PLAIN)


def _figures(groups: Sequence[Group]) -> Table:
    names = figures_of(groups)
    real = [name for name in names if is_floor(name, names)]
    table = _table("figure")
    beside = [any(name in result.figures for result in group.results for name in real) for group in groups]
    for group, has_real in zip(groups, beside, strict=True):
        table.add_column("\n".join([*group.folders, f"step {group.steps}"]), justify="right")
        if has_real:
            table.add_column("real", justify="right")
    for name in (name for name in names if name not in real):
        cells = []
        for group, has_real in zip(groups, beside, strict=True):
            cells += [group.cell(name), group.cell(name + REAL)] if has_real else [group.cell(name)]
        table.add_row(name, *cells)
    return table


def _frontier(group: Group) -> Table:
    frontiers = [result.frontier for result in group.results if result.frontier]
    first = frontiers[0]
    axes = [first.tradeoff.quality, first.tradeoff.diversity]
    sides = ["model", "baseline"] if first.baseline is not None else ["model"]
    good = ", ".join(f"{axis.figure}: {axis.good} is good" for axis in axes)
    against = f"; baseline: phase {first.phase}" if first.phase else ""
    table = _table(SETTING, title=f"frontier of {', '.join(group.folders)} ({good}{against})")
    for side in sides:
        for axis in axes:
            table.add_column(f"{side}\n{axis.figure}", justify="right")
    for temperature in dict.fromkeys(row[SETTING] for row in first.model):
        cells = []
        for side in sides:
            rows = [row for each in frontiers for row in getattr(each, side) or () if row[SETTING] == temperature]
            cells += [cell([row[axis.figure] for row in rows]) for axis in axes]
        table.add_row(f"{temperature:g}", *cells)
    if any(axis.figure + REAL in result.figures for axis in axes for result in group.results):
        table.add_row("real", *(group.cell(axis.figure + REAL) for axis in axes), style="bold")
    return table


def _table(first: str, title: str | None = None) -> Table:
    table = Table(box=SIMPLE_HEAD, title=title, title_justify="left", title_style="none")
    table.add_column(first, no_wrap=True)
    return table
