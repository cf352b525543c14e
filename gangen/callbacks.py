"""What happens beside training: progress, metrics, trackers, sample sheets, evaluation, checkpoints, guards."""

import math
import signal
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from gangen import checkpoint, noise
from gangen.best import Best
from gangen.collectives import any_process
from gangen.contracts import Callback, Metric
from gangen.errors import RunError
from gangen.evaluation import Evaluation, evaluate
from gangen.players import evaluating
from gangen.run_directory import RunDirectory
from gangen.trainer import Trainer, mix

# Seconds between two lines in a log, where there is no terminal for a live bar.
_QUIET = 5.0
# Text as it is: no wrapping, no markup in what a model wrote.
_PLAIN = {"soft_wrap": True, "markup": False, "highlight": False}


class Log(Callback):
    """Every ``every`` steps and at the end of a phase, what turns report: to screen, ``metrics.jsonl`` and trackers.

    Sizes of steps, such as gradient norms, are left out on the screen.

    Stops the run when a figure is no longer finite, on all processes at once and before anything of it is saved;
    that is looked after also where ``every`` is 0.
    """

    def __init__(self, run: RunDirectory, every: int, console: Console, *, main: bool) -> None:
        self.run = run
        self.every = every
        self.console = console
        self.main = main
        self._bar: Progress | None = None
        self._spoken = -math.inf

    def start(self, trainer: Trainer) -> None:
        if self.main:
            for row in self.run.read_metrics():
                if "warning" not in row:
                    _show(trainer, row)
        if not self.main or not self.console.is_terminal:
            return
        columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
        self._bar = Progress(*columns, TextColumn("{task.fields[losses]}"), console=self.console)
        self._tasks = [
            self._bar.add_task(phase.name, total=phase.steps, start=False, losses="") for phase in trainer.phases
        ]
        for done in range(trainer.state.phase):
            self._bar.update(self._tasks[done], completed=trainer.phases[done].steps)
        self._bar.start()

    def after_step(self, trainer: Trainer) -> None:
        number, step = _position(trainer)
        phase = trainer.phases[number]
        if self._bar:
            self._bar.start_task(self._tasks[number])
            self._bar.update(self._tasks[number], completed=step)
        if trainer.state.total % (self.every or 100) and step < phase.steps:
            return
        figures = trainer.meter.read()
        self._guard(figures, trainer.state.total, phase.name)
        if not (self.every and self.main):
            return
        _record(trainer, self.run, self.console, figures)
        if self._bar:
            losses = (
                f"{name.removesuffix('/loss')} {value:.3f}" for name, value in figures.items() if name.endswith("/loss")
            )
            self._bar.update(self._tasks[number], losses="  ".join(losses))
        elif step == phase.steps or time.monotonic() - self._spoken > _QUIET:
            self._spoken = time.monotonic()
            words = "  ".join(f"{name} {value:.4g}" for name, value in figures.items() if name.count("/") == 1)
            self.console.print(f"{phase.name} {step}/{phase.steps}  {words}", **_PLAIN)

    def _guard(self, figures: dict[str, float], step: int, phase: str) -> None:
        bad = next((name for name, value in figures.items() if not math.isfinite(value)), None)
        if bad is not None:
            raise RunError(
                f"{bad} became {figures[bad]} by step {step}, in phase {phase}\n"
                f"checkpoints in {self.run.checkpoints} are from before\n"
                "try a lower learning rate, or gradient clipping (players.NAME.clip=1.0)"
            )

    def close(self, trainer: Trainer) -> None:
        if self._bar:
            self._bar.stop()


class Samples(Callback):
    """Every ``every`` steps, a sheet of samples per prompt from the same noise, in the run directory and on the screen.

    The first sheet shows held-out rows instead, where the codec can show them, to compare with.
    """

    def __init__(self, run: RunDirectory, every: int, console: Console) -> None:
        self.run = run
        self.every = every
        self.console = console

    def start(self, trainer: Trainer) -> None:
        codec = trainer.data.codec
        if self.every and trainer.state.total == 0 and hasattr(codec, "reals"):
            rows = {prompt: codec.reals(trainer.data.heldout, prompt, codec.per_prompt) for prompt in codec.prompts()}
            codec.render({prompt: codec.decode(real) for prompt, real in rows.items()}, self.run.samples / "real")

    def after_step(self, trainer: Trainer) -> None:
        if not _due(trainer, self.every):
            return
        codec, net = trainer.data.codec, trainer.players.averaged("generator")
        sheet = {}
        with evaluating(net):
            for prompt in codec.prompts():
                with noise.shared(mix(trainer.seed, prompt)):
                    condition = codec.encode(prompt, codec.per_prompt)
                    condition = {name: tensor.to(trainer.device) for name, tensor in condition.items()}
                    sheet[prompt] = codec.decode(net.sample(codec.per_prompt, condition))
        path = codec.render(sheet, self.run.samples / f"step-{trainer.state.total:08d}")
        phase, step = _position(trainer)
        self.console.print(f"\nsamples after {trainer.phases[phase].name} {step}: {path}", **_PLAIN)
        if preview := codec.preview(sheet):
            self.console.print(preview + "\n", **_PLAIN)


class Evaluate(Callback):
    """Every ``every`` steps, the recipe's metrics, into ``metrics.jsonl`` and onto the screen; ``best`` looks on."""

    def __init__(
        self, run: RunDirectory, every: int, metrics: list[Metric], console: Console, best: Best | None = None
    ) -> None:
        self.run = run
        self.every = every
        self.metrics = metrics
        self.console = console
        self.best = best
        self._said: set[str] = set()

    def start(self, trainer: Trainer) -> None:
        self._said = {row["warning"] for row in self.run.read_metrics() if "warning" in row}
        if self.best:
            self.best.recall(self.run.read_metrics())

    def after_step(self, trainer: Trainer) -> None:
        if not _due(trainer, self.every):
            return
        evaluation = Evaluation(trainer.players, trainer.data, device=trainer.device, seed=trainer.seed)
        figures = evaluate(self.metrics, evaluation)
        for change in self.run.changed_extractors(evaluation.extractors):
            evaluation.warn(change)
        phase, step = _position(trainer)
        words = "  ".join(f"{name} {value:.4f}" for name, value in figures.items())
        self.console.print(f"evaluation after {trainer.phases[phase].name} {step}: {words}", **_PLAIN)
        _record(trainer, self.run, self.console, figures)
        new = [warning for warning in evaluation.warnings if warning not in self._said]
        self._said.update(new)
        _warn(trainer, self.run, self.console, new)
        if self.best:
            self.best.offer(figures, trainer.state.total)


class Checkpoints(Callback):
    """Every ``every`` steps, at the end of each phase, and when the run stops: the model, then a checkpoint.

    The model comes first: a run that is killed between the two goes on from the checkpoint before and writes it again.
    What every phase but the last ends with is kept in a folder of its own.
    """

    def __init__(self, run: RunDirectory, every: int, *, keep: int, export: Callable[[Path], None]) -> None:
        self.run = run
        self.every = every
        self.keep = keep
        self.export = export
        self._saved: int | None = None

    def start(self, trainer: Trainer) -> None:
        self._saved = trainer.state.total

    def after_step(self, trainer: Trainer) -> None:
        state = trainer.state
        if state.step == 0 and state.phase < len(trainer.phases):
            self.export(self.run.phases / trainer.phases[state.phase - 1].name)
        if _due(trainer, self.every):
            self._save(trainer)

    def finish(self, trainer: Trainer) -> None:
        if trainer.state.total != self._saved:
            self._save(trainer)

    def _save(self, trainer: Trainer) -> None:
        self.export(self.run.model)
        if self.every:
            checkpoint.save(trainer, self.run.checkpoints, keep=self.keep)
        self._saved = trainer.state.total


class StopOnSignal(Callback):
    """Turn SIGTERM and Ctrl-C into a stop after the current step, agreed between processes; a second Ctrl-C interrupts.

    Processes ask each other every ``every`` steps only, because asking costs a reduction.
    """

    def __init__(self, every: int = 10) -> None:
        self.every = every
        self._signal: int | None = None
        self._before: dict[int, Any] = {}

    def start(self, trainer: Trainer) -> None:
        self._before = {number: signal.signal(number, self._remember) for number in (signal.SIGTERM, signal.SIGINT)}

    def after_step(self, trainer: Trainer) -> None:
        alone = trainer.accelerator.num_processes == 1
        if (alone or trainer.state.total % self.every == 0) and any_process(self._signal is not None, trainer.device):
            trainer.stopping = signal.Signals(self._signal).name if self._signal else "a signal to another process"

    def close(self, trainer: Trainer) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _remember(self, number: int, frame: object) -> None:
        if self._signal == signal.SIGINT == number:
            raise KeyboardInterrupt
        self._signal = number


def _record(trainer: Trainer, run: RunDirectory, console: Console, figures: Mapping[str, float]) -> None:
    """Figures into ``metrics.jsonl`` and trackers, and what callbacks warn of at their sight."""
    row = _now(trainer) | figures
    run.append_metrics(row)
    trainer.accelerator.log(dict(figures), step=trainer.state.total)
    _warn(trainer, run, console, _show(trainer, row))


def _warn(trainer: Trainer, run: RunDirectory, console: Console, warnings: Iterable[str]) -> None:
    """Onto the screen and into ``metrics.jsonl``."""
    for warning in warnings:
        run.append_metrics(_now(trainer) | {"warning": warning})
        console.print(f"warning: {warning}", style="yellow", **_PLAIN)


def _now(trainer: Trainer) -> dict[str, Any]:
    return {"step": trainer.state.total, "phase": trainer.phases[_position(trainer)[0]].name}


def _show(trainer: Trainer, row: Mapping[str, Any]) -> list[str]:
    """All that callbacks warn of at the sight of a row of figures."""
    return [warning for callback in trainer.callbacks for warning in callback.watch(row)]


def _position(trainer: Trainer) -> tuple[int, int]:
    """Phase number and steps done in it, where the end of a phase is not yet the start of the next."""
    state = trainer.state
    return (state.phase, state.step) if state.step else (state.phase - 1, trainer.phases[state.phase - 1].steps)


def _due(trainer: Trainer, every: int) -> bool:
    return every > 0 and (trainer.state.total % every == 0 or trainer.state.step == 0)
