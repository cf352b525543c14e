"""Evaluated runs side by side in the terminal: a table of figures, one of each frontier, verdicts in words."""

from collections.abc import Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from gangen.evaluation.results import Result
from gangen.report.groups import Group, cell, disagreements, grouped, names_of

# Text as it is: no wrapping, no markup in what users wrote.
_PLAIN: dict[str, Any] = {"soft_wrap": True, "markup": False, "highlight": False}


def show(results: Sequence[Result], console: Console) -> None:
    """Print what was found, and what makes it doubtful."""
    groups = grouped(results)
    console.print(_figures(groups))
    for group in groups:
        if group.frontiers:
            console.print(_frontier(group))
            words = group.verdict or "there is no earlier phase to compare with"
            console.print(f"{', '.join(group.folders)}: {words}\n", **_PLAIN)
    own = [f"{result.run}: {message}" for result in results for message in result.warnings]
    for message in own + disagreements(groups):
        console.print(f"warning: {message}", **_PLAIN)


def _figures(groups: Sequence[Group]) -> Table:
    table = _table("figure")
    for group in groups:
        table.add_column("\n".join([*group.folders, f"step {group.steps}"]), justify="right")
        if "real" in group.sides:
            table.add_column("real", justify="right")
    for name in names_of(groups):
        table.add_row(name, *(group.cell(name, side) for group in groups for side in group.sides))
    return table


def _frontier(group: Group) -> Table:
    first = group.frontiers[0]
    axes = [first.tradeoff.quality, first.tradeoff.diversity]
    good = ", ".join(f"{axis.figure}: {axis.good} is good" for axis in axes)
    against = f"; baseline: phase {first.baseline_phase}" if first.baseline_phase else ""
    table = _table(first.setting, title=f"frontier of {', '.join(group.folders)} ({good}{against})")
    for side in first.sides:
        for axis in axes:
            table.add_column(f"{side}\n{axis.figure}", justify="right")
    for at in dict.fromkeys(row[first.setting] for row in first.model):
        cells = []
        for side in first.sides:
            sweeps = [frontier.sides.get(side, ()) for frontier in group.frontiers]
            rows = [row for sweep in sweeps for row in sweep if row[first.setting] == at]
            cells += [cell([row[axis.figure] for row in rows]) for axis in axes]
        table.add_row(f"{at:g}", *cells)
    if any(frontier.real for frontier in group.frontiers):
        table.add_row("real", *(group.cell(axis.figure, "real") for axis in axes), style="bold")
    return table


def _table(first: str, title: str | None = None) -> Table:
    table = Table(box=SIMPLE_HEAD, title=title, title_justify="left", title_style="none")
    table.add_column(first, no_wrap=True)
    return table
