"""What callbacks share: rows of figures and warnings, on the screen, in metrics.jsonl and in trackers."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from gangen.console import Console
from gangen.failures import own_line, summary
from gangen.metrics.figures import Figure
from gangen.run_directory import RunDirectory
from gangen.training.trainer import Trainer

# Text as it is: no wrapping, no markup in what a model wrote.
PLAIN: dict[str, Any] = {"soft_wrap": True, "markup": False, "highlight": False}


def record(
    trainer: Trainer,
    run: RunDirectory,
    console: Console,
    figures: Mapping[str, float | Figure],
    warnings: Iterable[str] = (),
) -> None:
    """Figures into ``metrics.jsonl`` and trackers, with ``warnings`` and those of callbacks at their sight."""
    row = stamp(trainer) | dict(figures)
    with pardoning(trainer, run, console, "a tracker"):
        trainer.accelerator.log(_numbers(figures), step=trainer.state.total)
    warn(trainer, run, console, [*warnings_at(trainer, row), *warnings], row)


def _numbers(figures: Mapping[str, float | Figure]) -> dict[str, float]:
    """For trackers, which know nothing but numbers: those of real data have names with ``_real``."""
    numbers = {name: figure.value if isinstance(figure, Figure) else figure for name, figure in figures.items()}
    beside = {f"{name}_real": figure.real for name, figure in figures.items() if isinstance(figure, Figure)}
    return numbers | {name: real for name, real in beside.items() if real is not None}


@contextmanager
def pardoning(trainer: Trainer, run: RunDirectory, console: Console, what: str) -> Iterator[None]:
    """What only looks at a run does not end it: its error is a warning, and the traceback is in ``error.txt``."""
    try:
        yield
    except (Exception, SystemExit) as error:
        if trainer.strict:
            raise
        run.keep_traceback(error)
        words = f"{what} failed, and training goes on: {summary(error)} (at {own_line(error)}; see {run.errors.name})"
        warn(trainer, run, console, [words])


def warn(trainer: Trainer, run: RunDirectory, console: Console, warnings: list[str], *rows: Mapping[str, Any]) -> None:
    """What this run was not warned of yet: on the screen, and in ``metrics.jsonl``, at once with ``rows`` before it."""
    if warnings:
        known = {row.get("warning") for row in run.read_metrics()}
        warnings = [warning for warning in dict.fromkeys(warnings) if warning not in known]
    run.append_metrics(*rows, *(stamp(trainer) | {"warning": warning} for warning in warnings))
    for warning in warnings:
        console.print(f"warning: {warning}", style="yellow", **PLAIN)


def note(
    run: RunDirectory, console: Console, stamp: Mapping[str, Any], event: str, words: Iterable[str], aloud: bool = True
) -> None:
    """What happened to a run, a row each in ``metrics.jsonl`` with the kind of event; with ``aloud`` on the screen."""
    words = list(words)
    run.append_metrics(*({**stamp, "event": event, "warning": it} for it in words))
    for it in words if aloud else ():
        console.print(f"warning: {it}", style="yellow", **PLAIN)


def stamp(trainer: Trainer) -> dict[str, Any]:
    return {"step": trainer.state.total, "phase": trainer.phases[position(trainer)[0]].name}


def warnings_at(trainer: Trainer, row: Mapping[str, Any]) -> list[str]:
    """All that callbacks warn of at the sight of a row of figures."""
    return [warning for callback in trainer.callbacks for warning in callback.watch(row)]


def position(trainer: Trainer) -> tuple[int, int]:
    """Phase number and steps done in it, where the end of a phase is not yet the start of the next."""
    state = trainer.state
    begun = state.step or not state.total
    return (state.phase, state.step) if begun else (state.phase - 1, trainer.phases[state.phase - 1].steps)


def due(trainer: Trainer, every: int) -> bool:
    return every > 0 and (trainer.state.total % every == 0 or trainer.state.step == 0)
