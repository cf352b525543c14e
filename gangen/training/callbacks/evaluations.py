"""The recipe's metrics while a run trains."""

from rich.console import Console

from gangen.contracts import Callback, Metric
from gangen.metrics.context import MetricContext, evaluate
from gangen.run_directory import RunDirectory
from gangen.training.callbacks.best import Best
from gangen.training.callbacks.record import PLAIN, due, position, record, warn
from gangen.training.trainer import Trainer


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
        if not due(trainer, self.every):
            return
        evaluation = MetricContext(trainer.networks, trainer.data, device=trainer.device, seed=trainer.seed)
        figures = evaluate(self.metrics, evaluation)
        for change in self.run.changed_extractors(evaluation.extractors):
            evaluation.warn(change)
        phase, step = position(trainer)
        words = "  ".join(f"{name} {figure}" for name, figure in figures.items())
        self.console.print(f"evaluation after {trainer.phases[phase].name} {step}: {words}", **PLAIN)
        record(trainer, self.run, self.console, figures)
        new = [warning for warning in evaluation.warnings if warning not in self._said]
        self._said.update(new)
        warn(trainer, self.run, self.console, new)
        if self.best:
            self.best.offer(figures, trainer.state.total)
