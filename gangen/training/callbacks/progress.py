"""Progress on the screen, figures in metrics.jsonl and trackers, and a fault where one is not finite."""

import math
import time
from functools import partial

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Column

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
        self._shown = time.monotonic()
        if self.main:
            for row in self.run.read_metrics():
                if "warning" not in row:
                    warnings_at(trainer, row)
        if not self.main or not self.console.is_terminal:
            return
        plain = partial(TextColumn, markup=False)
        # Where a line is short of room losses give way first, then the bar.
        rest = Column(ratio=1, no_wrap=True, overflow="ellipsis")
        self._bar = Progress(
            plain("{task.description}"),
            MofNCompleteColumn(table_column=Column(no_wrap=True)),
            BarColumn(12),
            plain("{task.fields[pace]}"),
            plain("{task.fields[losses]}", table_column=rest),
            console=self.console,
            expand=True,
        )
        self._tasks = [
            self._bar.add_task(phase.name, total=phase.steps, start=False, pace="", losses="")
            for phase in trainer.phases
        ]
        for done in range(trainer.state.phase):
            self._bar.update(self._tasks[done], completed=trainer.phases[done].steps)
        self._bar.start()

    def after_step(self, trainer: Trainer) -> None:
        number, step = position(trainer)
        phase = trainer.phases[number]
        if self._bar and number and step == 1:  # the time that is left stands in one line alone
            self._bar.update(self._tasks[number - 1], pace="")
        if self._bar:
            self._bar.start_task(self._tasks[number])
            self._bar.update(self._tasks[number], completed=step)
        if trainer.state.total % (self.every or 100) == 0 or step == phase.steps:
            self._report(trainer, phase, number, step)
        elif self.main and not self._bar and time.monotonic() - self._shown > _SLOW:
            self._show(f"{phase.name} {step}/{phase.steps}  {self._pace(trainer)}")

    def meanwhile(self, trainer: Trainer, words: str) -> None:
        number, step = position(trainer)
        if self._bar:
            self._bar.update(self._tasks[number], pace=visible(words) or self._pace(trainer))
        elif words and self.main and time.monotonic() - self._shown > _SLOW:
            phase = trainer.phases[number]
            self._show(f"{phase.name} {step}/{phase.steps}  {words}")

    def _show(self, words: str) -> None:
        self._shown = time.monotonic()
        self.console.print(words, **PLAIN)

    def _pace(self, trainer: Trainer) -> str:
        """Steps a second, how long the run will train on at that, and what memory it has."""
        speed, memory = trainer.pace.steps_per_second, f"{memory_taken(trainer.device) / 2**20:,.0f} MiB"
        if not speed:
            return f"({memory})"
        left = sum(phase.steps for phase in trainer.phases) - trainer.state.total
        ahead = f", {duration(left / speed)} left" if left else ""
        return f"({speed:.3g} steps/s{ahead}, {memory})"

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
            self._bar.update(self._tasks[number], pace=self._pace(trainer), losses=visible("  ".join(losses)))
        elif step == phase.steps or time.monotonic() - self._spoken > _QUIET:
            self._spoken = time.monotonic()
            words = "  ".join(f"{name} {value:.4g}" for name, value in figures.items() if name.count("/") == 1)
            self._show(f"{phase.name} {step}/{phase.steps}  {words}  {self._pace(trainer)}")

    def close(self, trainer: Trainer) -> None:
        if self._bar:
            self._bar.stop()
