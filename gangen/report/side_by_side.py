"""Evaluated runs side by side on one page."""

from collections.abc import Sequence
from pathlib import Path

from gangen.evaluation.results import Result
from gangen.report import samples
from gangen.report.frontiers import planes
from gangen.report.groups import Group, Side, differences, disagreements, grouped, titles_of
from gangen.report.page import write_page
from gangen.report.provenance import measured, reproduction
from gangen.report.records import warnings_of
from gangen.run_directory import RunDirectory


def write_side_by_side(results: Sequence[Result], path: Path) -> Path:
    """Write a page about evaluated runs to ``path``; a page that was there before is replaced.

    Raises RunError where it cannot be written, UsageError where matplotlib is missing.
    """
    groups = grouped(results)
    frontiers = planes(groups)
    return write_page(
        path,
        "side_by_side.html",
        kicker="a run of gangen" if len(results) == 1 else "runs of gangen, side by side",
        title=" · ".join(group.name for group in groups),
        warnings=disagreements(groups)
        + [
            f"{result.run}: {message}"
            for result in results
            for message in warnings_of(list(RunDirectory(result.run).read_metrics()), result)
        ],
        groups=groups,
        differences=[[path, *values] for path, values in differences(groups).items()],
        titles=titles_of(groups),
        columns=_columns(groups),
        spread=len(results) > len(groups),
        frontiers=frontiers,
        verdicts={
            group.name: [plane.verdicts[group.name] for plane in frontiers if group.name in plane.verdicts]
            for group in groups
        },
        sheets=samples.side_by_side({it.name: RunDirectory(it.folders[0]).samples for it in groups}, path.parent),
        measured=measured(groups),
        **reproduction([RunDirectory(result.run) for result in results]),
    )


def _columns(groups: Sequence[Group]) -> list[tuple[Group, Side]]:
    """One for each group and one for real data, or one for each group where these are not the same thing."""
    everything = Group("", [result for group in groups for result in group.results])
    if len({str(group.recipe.get("data")) for group in groups}) > 1 or disagreements(groups):
        return [(group, side) for group in groups for side in everything.sides]
    return [*((group, "value") for group in groups), *((everything, side) for side in everything.sides[1:])]
