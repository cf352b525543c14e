"""Progress on the screen, figures in metrics.jsonl and trackers, and a fault where one is not finite."""

import math
import time
from functools import partial

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from gangen.console import Console
from gangen.contracts import Callback
from gangen.printing import visible
from gangen.run_directory import RunDirectory
from gangen.runs import duration
from gangen.training.callbacks.finiteness import not_finite
from gangen.training.callbacks.record import PLAIN, position, record, warnings_at
from gangen.training.phases import Phase
from gangen.training.plan import memory_taken
from gangen.training.trainer import Trainer

# Seconds between two lines in a log, where there is no terminal for a live bar; and until a game whose figures are not
# due yet says how far it is, and no more.
_QUIET, _SLOW = 5.0, 20.0


class Log(Callback):
    """Every ``every`` steps and at the end of a phase, what turns report: to screen, ``metrics.jsonl`` and trackers.

    Sizes of steps, such as gradient norms, are left out on the screen, which also shows speed, time left and memory;
    between figures that come seldom it shows the step. Raises NotFinite, on all processes at once, when a figure is no
    longer finite; also where ``every`` is 0.
    """

    def __init__(self, run: RunDirectory, every: int, console: Console, *, main: bool) -> None:
        self.run = run
        self.every = every
        self.console = console
        self.main = main
        self._bar: Progress | None = None
        self._spoken = self._shown = -math.inf

    def start(self, trainer: Trainer) -> None:
        self._shown = self._at = time.monotonic()
        self._from = trainer.state.total
        if self.main:
            for row in self.run.read_metrics():
                if "warning" not in row:
                    warnings_at(trainer, row)
        if not self.main or not self.console.is_terminal:
            return
        plain = partial(TextColumn, markup=False)
        columns = plain("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
        self._bar = Progress(*columns, plain("{task.fields[losses]}"), console=self.console)
        self._tasks = [
            self._bar.add_task(phase.name, total=phase.steps, start=False, losses="") for phase in trainer.phases
        ]
        for done in range(trainer.state.phase):
            self._bar.update(self._tasks[done], completed=trainer.phases[done].steps)
        self._bar.start()

    def after_step(self, trainer: Trainer) -> None:
        number, step = position(trainer)
        phase = trainer.phases[number]
        if number and step == 1:  # what lies between two phases, as an evaluation, is no pace
            self._from, self._at = trainer.state.total, time.monotonic()
        if self._bar:
            self._bar.start_task(self._tasks[number])
            self._bar.update(self._tasks[number], completed=step)
        if trainer.state.total % (self.every or 100) == 0 or step == phase.steps:
            self._report(trainer, phase, number, step)
        elif self.main and not self._bar and time.monotonic() - self._shown > _SLOW:
            self._show(f"{phase.name} {step}/{phase.steps}  {self._pace(trainer)}")

    def _show(self, words: str) -> None:
        self._shown = time.monotonic()
        self.console.print(words, **PLAIN)

    def _pace(self, trainer: Trainer) -> str:
        """Steps a second since this was last asked, how long the run will go on at that, and what memory it has."""
        seconds, self._at = time.monotonic() - self._at, time.monotonic()
        steps, self._from = trainer.state.total - self._from, trainer.state.total
        memory = f"{memory_taken(trainer.device) / 2**20:,.0f} MiB"
        if not steps:
            return f"({memory})"
        left = sum(phase.steps for phase in trainer.phases) - trainer.state.total
        ahead = f", {duration(left * seconds / steps)} left" if left else ""
        return f"({steps / max(seconds, 1e-9):.3g} steps/s{ahead}, {memory})"

    def _report(self, trainer: Trainer, phase: Phase, number: int, step: int) -> None:
        figures = trainer.meter.read()
        for name, value in figures.items():
            if not math.isfinite(value):
                raise not_finite(trainer, f"{name} became {value}")
        if not (self.every and self.main):
            return
        record(trainer, self.run, self.console, figures)
        if self._bar:
            losses = (
                f"{name.removesuffix('/loss')} {value:.3f}" for name, value in figures.items() if name.endswith("/loss")
            )
            words = visible("  ".join([*losses, self._pace(trainer)]))
            self._bar.update(self._tasks[number], losses=words)
        elif step == phase.steps or time.monotonic() - self._spoken > _QUIET:
            self._spoken = time.monotonic()
            words = "  ".join(f"{name} {value:.4g}" for name, value in figures.items() if name.count("/") == 1)
            self._show(f"{phase.name} {step}/{phase.steps}  {words}  {self._pace(trainer)}")

    def close(self, trainer: Trainer) -> None:
        if self._bar:
            self._bar.stop()
