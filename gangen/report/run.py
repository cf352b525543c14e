"""The report of one run: ``report.html`` in its folder, from what lies there."""

from pathlib import Path

from gangen.errors import RunError
from gangen.evaluation.results import Result
from gangen.report import samples
from gangen.report.figures import charts_of_metrics, charts_of_turns, ended_with, newest, what_changed
from gangen.report.frontiers import planes
from gangen.report.groups import Group
from gangen.report.page import write_page
from gangen.report.provenance import facts, measured, measured_in_training, reproduction
from gangen.report.records import warnings_of
from gangen.run_directory import RunDirectory


def write_report(run: RunDirectory) -> Path:
    """Write ``report.html`` into the run directory; a page that was there before is replaced.

    Raises RunError where there is no run, UsageError where matplotlib is missing.
    """
    if not run.recipe.is_file() and not run.metrics.is_file():
        raise RunError(f"{run.root} is not a run directory: it has neither {run.recipe.name} nor {run.metrics.name}")
    run.refuse_ways_out()
    rows, result = list(run.read_metrics()), Result.read(run.evaluation)
    groups = [Group("", [result])] if result else []
    figures, step = newest(rows)
    if result and all(row["step"] <= result.step for row in rows):
        # They stand alone, since training may have measured the same figures at other counts.
        figures, step = dict(result.figures), result.step
    earlier, before = ended_with(rows, result)
    frontiers = planes(groups)
    sheets, all_sheets = samples.over_time(run.samples)
    metric_charts, undrawn = charts_of_metrics(rows)
    return write_page(
        run.root / "report.html",
        "run.html",
        kicker="a run of gangen",
        title=run.root.resolve().name,
        run=run,
        result=result,
        steps=max((row["step"] for row in rows), default=0),
        warnings=warnings_of(rows, result),
        facts=facts(run, rows),
        figures=figures,
        earlier=earlier,
        before=before,
        change=what_changed(earlier, before, figures),
        newest=step,
        frontiers=frontiers,
        verdicts=[words for plane in frontiers for words in plane.verdicts.values()],
        sheets=sheets,
        all_sheets=all_sheets,
        real=samples.of_real_data(run.samples),
        other_sheets=samples.of_metrics(run.samples),
        metric_charts=metric_charts,
        undrawn=undrawn,
        turn_charts=charts_of_turns(rows),
        measured=measured(groups) if result else measured_in_training(run) if figures else [],
        **reproduction([run]),
    )
