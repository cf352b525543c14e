"""Evaluated runs side by side on one page."""

from collections.abc import Sequence
from pathlib import Path

from gangen.evaluation.results import Result
from gangen.report.figures import REAL, is_floor
from gangen.report.frontiers import frontiers
from gangen.report.groups import Group, differences, disagreements, figures_of, grouped
from gangen.report.page import folded, note, section, table, verdict, warnings, write_page
from gangen.report.provenance import again, data_of, measured
from gangen.report.records import doubts, read_rows
from gangen.report.samples import side_by_side
from gangen.run_directory import RunDirectory

# A longer table of differences is folded: it is that of recipes with little in common.
_FEW = 12


def write_comparison(results: Sequence[Result], path: Path) -> Path:
    """Write a page about evaluated runs to ``path``; a page that was there before is replaced.

    Raises RunError where it cannot be written, UsageError where matplotlib is missing.
    """
    groups, runs = grouped(results), [RunDirectory(result.run) for result in results]
    plain = {group.name: [result.to_plain() for result in group.results] for group in groups}
    return write_page(
        path,
        kicker="a run of gangen" if len(results) == 1 else "runs of gangen, side by side",
        title=" · ".join(group.name for group in groups),
        head=[_verdicts(groups), warnings([*disagreements(groups), *_doubts(results)]), _runs(groups)],
        sections=[
            _differences(groups),
            _figures(groups),
            frontiers({name: [each["frontier"] for each in found] for name, found in plain.items()}),
            side_by_side({group.name: RunDirectory(group.folders[0]).samples for group in groups}, path.parent),
            measured(plain),
            again(runs),
        ],
    )


def _verdicts(groups: Sequence[Group]) -> str:
    known = {group.name: group.verdict for group in groups}
    if not any(known.values()):
        return verdict("Without baselines to compare with: see the figures.")
    return "".join(verdict(words or "has no baseline to compare with", name) for name, words in known.items())


def _doubts(results: Sequence[Result]) -> list[str]:
    return [
        f"{result.run}: {message}"
        for result in results
        for message in doubts(read_rows(RunDirectory(result.run)), {"warnings": result.warnings})
    ]


def _runs(groups: Sequence[Group]) -> str:
    rows = []
    for group in groups:
        seeds = "\n".join(f"{result.run} (seed {result.seed})" for result in group.results)
        rows.append([group.name, seeds, group.steps, str(data_of(group.recipe))])
    return table(["", "runs", "evaluated at step", "data"], rows)


def _differences(groups: Sequence[Group]) -> str:
    """Nothing for one group."""
    rows = [[path, *values] for path, values in differences(groups).items()]
    shown = table(["setting", *(group.name for group in groups)], rows, "figures")
    return (
        section(
            "What differs between the recipes",
            note("Settings that are the same are left out; a dash stands for one that a recipe does not have."),
            shown if len(rows) <= _FEW else folded(f"{len(rows)} settings", shown),
        )
        if rows
        else ""
    )


def _figures(groups: Sequence[Group]) -> str:
    """A column for each group and one for real data, or one for each group where these are not the same thing."""
    names = figures_of(groups)
    floors = [name for name in names if is_floor(name, names)]
    apart = len({str(group.recipe.get("data")) for group in groups}) > 1 or bool(disagreements(groups))
    everything = Group("", [result for group in groups for result in group.results])
    columns: list[tuple[str, Group, str]] = []
    for group in groups:
        columns.append((f"{group.name}\nstep {group.steps}", group, ""))
        columns += [("real data", group, REAL)] if floors and apart else []
    columns += [("real data", everything, REAL)] if floors and not apart else []
    rows = [
        [name, *(group.cell(name + suffix) for _, group, suffix in columns)] for name in names if name not in floors
    ]
    words = "Mean and standard deviation over the runs of a group." if len(everything.results) > len(groups) else ""
    return section(
        "Figures", note(words) if words else "", table(["figure", *(it[0] for it in columns)], rows, "figures")
    )
