"""Evaluated runs side by side in the terminal: a table of figures, one of each frontier, verdicts in words."""

from collections.abc import Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table

from gangen.console import Console
from gangen.evaluation.results import Result
from gangen.metrics.figures import SIGNS_EXPLAINED
from gangen.report.figures import ended_with, what_changed
from gangen.report.frontiers import Plane, planes
from gangen.report.groups import Group, disagreements, grouped, titles_of
from gangen.run_directory import RunDirectory

# Text as it is: no wrapping, no markup in what users wrote.
_PLAIN: dict[str, Any] = {"soft_wrap": True, "markup": False, "highlight": False}


def show(results: Sequence[Result], console: Console) -> None:
    """Print what was found, and what makes it doubtful."""
    groups = grouped(results)
    console.print(_figures(groups))
    if any(title != name for name, title in titles_of(groups).items()):
        console.print(f"{SIGNS_EXPLAINED}\n", **_PLAIN)
    for result in results:
        rows = RunDirectory(result.run).read_metrics()
        if words := what_changed(*ended_with(rows, result), result.figures):
            console.print(f"{result.run}: {words}\n", **_PLAIN)
        for remark in result.remarks:
            console.print(f"{result.run}: {remark}\n", **_PLAIN)
    for group in groups:
        for plane in planes([group]):
            console.print(_frontier(", ".join(group.folders), plane))
            words = plane.verdicts.get(group.name, "there is no earlier phase to compare with")
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
    for name, title in titles_of(groups).items():
        table.add_row(title, *(group.cell(name, side) for group in groups for side in group.sides))
    return table


def _frontier(runs: str, plane: Plane) -> Table:
    against = f"; baseline: phase {' or '.join(plane.phases)}" if plane.phases else ""
    (first, *heads), rows = plane.levels
    table = _table(first, title=f"frontier of {runs} ({plane.ends}{against})")
    for head in heads:
        table.add_column(head, justify="left" if head == "by" else "right")
    for row in rows:
        table.add_row(*row)
    return table


def _table(first: str, title: str | None = None) -> Table:
    table = Table(box=SIMPLE_HEAD, title=title, title_justify="left", title_style="none")
    table.add_column(first, no_wrap=True)
    return table
