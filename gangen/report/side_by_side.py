"""Evaluated runs side by side on one page."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gangen.evaluation.results import Result
from gangen.report import samples
from gangen.report.frontiers import planes
from gangen.report.groups import Group, differences, disagreements, grouped, names_of
from gangen.report.page import write_page
from gangen.report.provenance import data_of, measured, reproduction
from gangen.report.records import read_rows, warnings_of
from gangen.run_directory import RunDirectory


def write_side_by_side(results: Sequence[Result], path: Path) -> Path:
    """Write a page about evaluated runs to ``path``; a page that was there before is replaced.

    Raises RunError where it cannot be written, UsageError where matplotlib is missing.
    """
    groups = grouped(results)
    return write_page(
        path,
        "side_by_side.html",
        kicker="a run of gangen" if len(results) == 1 else "runs of gangen, side by side",
        title=" · ".join(group.name for group in groups),
        verdicts=_verdicts(groups),
        warnings=disagreements(groups)
        + [
            f"{result.run}: {message}"
            for result in results
            for message in warnings_of(read_rows(RunDirectory(result.run)), result)
        ],
        groups=[
            [
                group.name,
                "\n".join(f"{result.run} (seed {result.seed})" for result in group.results),
                group.steps,
                data_of(group.recipe),
            ]
            for group in groups
        ],
        setting_heads=["setting", *(group.name for group in groups)],
        differences=[[path, *values] for path, values in differences(groups).items()],
        spread=len(results) > len(groups),
        **_figures(groups),
        frontiers=planes(groups),
        sheets=samples.side_by_side({it.name: RunDirectory(it.folders[0]).samples for it in groups}, path.parent),
        measured=measured(groups),
        **reproduction([RunDirectory(result.run) for result in results]),
    )


def _verdicts(groups: Sequence[Group]) -> list[tuple[str, str]]:
    if not any(group.verdict for group in groups):
        return [("", "Without baselines to compare with: see the figures.")]
    return [(group.name, group.verdict or "has no baseline to compare with") for group in groups]


def _figures(groups: Sequence[Group]) -> dict[str, Any]:
    """A column for each group and one for real data, or one for each group where these are not the same thing."""
    apart = len({str(group.recipe.get("data")) for group in groups}) > 1 or bool(disagreements(groups))
    everything = Group("", [result for group in groups for result in group.results])
    columns: list[tuple[str, Group, str]] = []
    for group in groups:
        columns.append((f"{group.name}\nstep {group.steps}", group, "value"))
        columns += [("real data", group, "real")] if everything.beside and apart else []
    columns += [("real data", everything, "real")] if everything.beside and not apart else []
    rows = [[name, *(group.cell(name, side) for _, group, side in columns)] for name in names_of(groups)]
    return {"figure_heads": ["figure", *(head for head, _, _ in columns)], "figures": rows}
