"""The report of one run: ``report.html`` in its folder, from what lies there."""

from pathlib import Path

from gangen.errors import RunError
from gangen.report.figures import curves, newest
from gangen.report.frontiers import frontiers
from gangen.report.page import verdict, warnings, write_page
from gangen.report.provenance import again, facts, measured
from gangen.report.records import Row, doubts, read_evaluation, read_rows
from gangen.report.samples import over_time, sheets_of_metrics
from gangen.run_directory import RunDirectory


def write_report(run: RunDirectory) -> Path:
    """Write ``report.html`` into the run directory; a page that was there before is replaced.

    Raises RunError where there is no run, UsageError where matplotlib is missing.
    """
    if not run.recipe.is_file() and not run.metrics.is_file():
        raise RunError(f"{run.root} is not a run directory: it has neither {run.recipe.name} nor {run.metrics.name}")
    rows, evaluation = read_rows(run), read_evaluation(run)
    return write_page(
        run.root / "report.html",
        kicker="a run of gangen",
        title=run.root.resolve().name,
        head=[verdict(_verdict(run, rows, evaluation)), warnings(doubts(rows, evaluation)), facts(run, rows)],
        sections=[
            newest(_measured(evaluation, rows) or rows),
            frontiers({"": [evaluation.get("frontier")]}),
            over_time(run.samples),
            sheets_of_metrics(run.samples),
            curves(rows),
            measured({"": [evaluation]}),
            again([run]),
        ],
    )


def _verdict(run: RunDirectory, rows: list[Row], evaluation: Row) -> str:
    steps, evaluated = max((row["step"] for row in rows), default=0), evaluation.get("step")
    older = isinstance(evaluated, int) and evaluated < steps
    if evaluation.get("verdict"):
        gone_on = f"\nThis was found at step {evaluated:,}; the run has gone on to step {steps:,}." if older else ""
        return f"{evaluation['verdict']}{gone_on}"
    if isinstance(evaluated, int):
        return f"Played {steps:,} steps; evaluated at step {evaluated:,}, without a baseline to compare with."
    return f"Played {steps:,} steps; not evaluated yet: gangen eval {run.root}"


def _measured(evaluation: Row, rows: list[Row]) -> list[Row]:
    """What an evaluation found, as a row like those of training; none where there was none, or the run has gone on.

    It stands alone, since training may have measured the same figures at other counts.
    """
    step, figures = evaluation.get("step"), evaluation.get("figures")
    newer = isinstance(step, int) and all(row["step"] <= step for row in rows)
    return [{"step": step} | figures] if newer and isinstance(figures, dict) else []
