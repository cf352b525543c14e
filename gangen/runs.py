"""The runs below a folder at a glance: what each is doing, how far it is, and why it ended."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import shorten
from typing import Annotated, Any

from annotated_types import Ge, Interval
from pydantic import TypeAdapter, ValidationError
from rich.box import SIMPLE_HEAD
from rich.table import Table

from gangen.bounded import MOST_BYTES, read_bytes
from gangen.errors import RecipeError, RunError, UsageError
from gangen.metrics.figures import STAMP, Figure, is_number, is_row, read_row
from gangen.recipe.source import RecipeSource
from gangen.run_directory import RunDirectory, latest_name, step_of

# How many folders deep runs are looked for.
_DEPTH = 4

Count = Annotated[int, Interval(ge=0, le=10**18)]


@dataclass(frozen=True)
class Beat:
    """What ``heartbeat.json`` holds: ``step`` of ``steps`` of the whole run was done at ``time``, in seconds from 1970.

    ``memory`` is in bytes: on CUDA the most that tensors took, elsewhere what the process has now. ``state`` is
    "training", "finished", "stopped" or "error"; ``reason`` says why it ended, or what goes on
    between two steps, "" where neither. So far it has trained for ``seconds``, of all its starts together, on
    ``machine``; ``parameters`` are counted by player.
    """

    step: Count
    steps: Count
    phase: str
    time: Annotated[float, Ge(0)]
    steps_per_second: Annotated[float, Ge(0)] | None
    memory: Count
    state: str
    reason: str = ""
    seconds: Annotated[float, Ge(0)] = 0.0
    machine: str = ""
    parameters: dict[str, Count] = field(default_factory=dict)


@dataclass(frozen=True)
class Row:
    """A folder; what is not known of it is None.

    ``state`` is that of a ``Beat``, or "empty" for a run without a step, "damaged", or "no run". ``reason`` says more:
    who trains and what goes on between two steps, why the run ended, or what is damaged. ``seconds_left`` is at the
    present speed, of a run that trains. ``figure`` is the newest of its metrics or, without any, of its turns.
    """

    name: str
    state: str
    reason: str = ""
    phase: str | None = None
    step: int | None = None
    steps: int | None = None
    steps_per_second: float | None = None
    seconds_left: float | None = None
    memory: int | None = None
    time: float | None = None
    figure: str | None = None
    value: float | None = None


def find_runs(folder: Path) -> list[Row]:
    """The runs below ``folder``, or itself where it is one, and folders in which there is none, by name.

    Nothing in them keeps others from being shown. Raises UsageError where there is no such folder.
    """
    if not folder.is_dir():
        raise UsageError(f"there is no folder {folder}")
    if is_run(folder):
        return [_row(folder.name or str(folder), folder)]
    return [_row(path.relative_to(folder).as_posix(), path) for path in _below(folder, _DEPTH)]


def table(rows: list[Row]) -> Table:
    """For the terminal."""
    shown = Table(box=SIMPLE_HEAD)
    for head in ("run", "state", "phase", "step", "steps/s", "left", "memory", "last step", "figure", "why"):
        numbers = head in ("step", "steps/s", "left", "memory")
        shown.add_column(head, justify="right" if numbers else "left", overflow="fold")
    for row in rows:
        shown.add_row(
            row.name,
            row.state,
            row.phase or "",
            "" if row.step is None else f"{row.step:,}" if row.steps is None else f"{row.step:,}/{row.steps:,}",
            "" if row.steps_per_second is None else f"{row.steps_per_second:.3g}",
            "" if row.seconds_left is None else duration(row.seconds_left),
            "" if row.memory is None else f"{row.memory / 2**20:,.0f} MiB",
            "" if row.time is None else _moment(row.time),
            "" if row.figure is None else f"{row.figure} {row.value:.4g}",
            row.reason,
        )
    return shown


def _below(folder: Path, depth: int) -> Iterator[Path]:
    """Runs, and folders without any; links are not followed further than to a run."""
    for path in sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")):
        try:
            inner = list(_below(path, depth - 1)) if depth > 1 and not (path.is_symlink() or is_run(path)) else []
        except OSError:
            inner = []
        yield from inner if any(map(is_run, inner)) else [path]


def is_run(folder: Path) -> bool:
    """Whether a run began in ``folder``, by the files that it leaves."""
    run = RunDirectory(folder)
    try:
        return any(path.exists() for path in (run.recipe, run.metrics, run.heartbeat, run.lock, run.checkpoints))
    except OSError:
        return False


def _row(name: str, folder: Path) -> Row:
    name = shorten(name, 200)
    try:
        if not is_run(folder):
            return Row(name, "no run" if any(folder.iterdir()) else "empty")
        return _read(name, RunDirectory(folder))
    except (OSError, ValueError, RunError, RecipeError) as error:
        reason = getattr(error, "strerror", None) or str(error).partition("\n")[0]
        return Row(name, "damaged", shorten(reason, 200))


def _read(name: str, run: RunDirectory) -> Row:
    run.refuse_ways_out()
    holder, beat, newest = _holder(run.lock), read_beat(run), _newest_rows(run.metrics)
    logged = next(iter(newest), {})
    latest = latest_name(run.checkpoints)
    phase: str | None
    step: int | None
    steps: int | None
    if beat:
        phase, step, steps = beat.phase, beat.step, beat.steps
    else:  # one of an earlier version, or that did not come to its first step
        phase, step = logged.get("phase"), logged.get("step", step_of(latest) if latest else None)
        steps = _steps(run.recipe) if run.recipe.exists() else None
    if holder:
        doing = beat.reason if beat and beat.state == "training" else ""
        state, reason = "training", "; ".join(filter(None, (holder, doing)))
    elif beat and beat.state != "training":
        state, reason = beat.state, beat.reason
    elif step is None:
        state, reason = "empty", ""
    elif step == steps:
        state, reason = "finished", ""
    else:
        state, reason = "stopped", "its process is gone without a word" if beat else ""
    speed = beat.steps_per_second if beat else None
    figure, value = _figure(newest)
    return Row(
        name,
        state,
        shorten(reason, 500),
        phase and shorten(phase, 80),
        step,
        steps,
        speed,
        max(0, beat.steps - beat.step) / speed if holder and beat and speed else None,
        beat.memory if beat else None,
        beat.time if beat else run.metrics.stat().st_mtime if logged else None,
        figure and shorten(figure, 80),
        value,
    )


def _holder(lock: Path) -> str:
    """Who trains there, in the words of the lock, "" for nobody; where there are no locks, who wrote them last."""
    try:
        words = read_bytes(lock, 1000).decode(errors="replace").strip()
    except (OSError, ValueError):
        return ""
    try:
        import fcntl

        with lock.open("rb") as file:
            if words:  # else nobody is there; one who comes just now is not stood in the way of
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return ""
    except (OSError, ImportError):  # held by another, or not on Windows
        return words


def read_beat(run: RunDirectory) -> Beat | None:
    """The last sign of life of a run, where there is one; raises ValueError for what gangen did not write."""
    try:
        return TypeAdapter(Beat).validate_json(read_bytes(run.heartbeat), strict=True)
    except FileNotFoundError:
        return None
    except ValidationError as error:
        raise ValueError(f"{run.heartbeat.name} is not what gangen wrote: {error.errors()[0]['msg']}") from None


def _newest_rows(metrics: Path) -> list[dict[str, Any]]:
    """The newest rows of figures, the newest first; those in the last MiB of the file."""
    try:
        size = metrics.stat().st_size if metrics.is_file() else 0
    except OSError:
        size = 0
    if not size:
        return []
    with metrics.open("rb") as file:
        file.seek(max(0, size - MOST_BYTES))
        lines = file.read(MOST_BYTES).decode("utf-8", errors="replace").splitlines()
    rows = []
    for line in reversed(lines):
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):  # cut off by a kill, or by where the last MiB begins
            continue
        if is_row(row) and "warning" not in row:
            rows.append(read_row(row))
    return rows


def _figure(rows: list[dict[str, Any]]) -> tuple[str | None, float | None]:
    of_turns: tuple[str | None, float | None] = None, None
    for row in rows:
        for name, entry in row.items():
            if isinstance(entry, Figure) and is_number(entry.value):
                return name, entry.value
            if of_turns[0] is None and name not in STAMP and is_number(entry):
                of_turns = name, entry
    return of_turns


def _steps(recipe: Path) -> int:
    """Of all phases. Raises RecipeError for what is no YAML, ValueError where it has no such steps."""
    try:
        steps = (phase["steps"] for phase in RecipeSource.read(recipe).tree["phases"].values())
        return TypeAdapter(Count).validate_python(sum(steps), strict=True)
    except (AttributeError, KeyError, TypeError, ValidationError):
        raise ValueError(f"{recipe.name} does not say how many steps its phases have") from None


def duration(seconds: float) -> str:
    """In words, as coarse as people say it."""
    if seconds < 60:
        return f"{int(seconds)} s"
    hours, minutes = divmod(int(min(seconds, 1e9) / 60), 60)
    if hours >= 24:
        return f"{hours // 24} d {hours % 24} h"
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"


def _moment(seconds: float) -> str:
    try:
        return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))
    except (OverflowError, ValueError, OSError):
        return "?"
