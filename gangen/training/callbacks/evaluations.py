"""The recipe's metrics while a run trains."""

from collections.abc import Mapping
from dataclasses import dataclass

from gangen.components.registry import name_of
from gangen.console import Console
from gangen.contracts import Callback, Metric
from gangen.errors import RunError
from gangen.metrics.context import MetricContext, joined, measure
from gangen.metrics.figures import Figure
from gangen.run_directory import RunDirectory
from gangen.training.callbacks.best_model import BestModel
from gangen.training.callbacks.record import PLAIN, due, pardoning, position, record
from gangen.training.players import whole
from gangen.training.trainer import Trainer


@dataclass
class Evaluations(Callback):
    """Every ``every`` steps, the recipe's metrics, into ``metrics.jsonl`` and onto the screen; ``best`` looks on."""

    run: RunDirectory
    every: int
    metrics: list[Metric]
    context: MetricContext
    console: Console
    best: BestModel | None = None

    def start(self, trainer: Trainer) -> None:
        if self.best:
            self.best.recall()
        rows = [row for row in self.run.read_metrics() if "warning" not in row]
        # Killed between a checkpoint and the evaluation of its step; figures of turns have a "/" in their names.
        step = trainer.state.total
        with whole(trainer.players.values()):
            if step and not any(row["step"] == step and "/" not in "".join(row) for row in rows):
                self.after_step(trainer)

    def after_step(self, trainer: Trainer) -> None:
        if due(trainer, self.every):
            with trainer.pace.paused(), whole(trainer.players.values()):
                self._evaluate(trainer)

    def _evaluate(self, trainer: Trainer) -> None:
        context = self.context.sampled(trainer.seed, {})
        found: list[Mapping[str, Figure]] = [{} for _ in self.metrics]
        for index, metric in enumerate(self.metrics):
            trainer.meanwhile(f"evaluating: {name_of(metric)}, {index + 1} of {len(self.metrics)}")
            with pardoning(trainer, self.run, self.console, name_of(metric)):
                found[index] = measure(metric, context)
        trainer.meanwhile("")
        figures = joined(found, context)
        for change in self.run.changed_extractors(context.extractors):
            context.warn(change)
        phase, step = position(trainer)
        words = "  ".join(f"{name} {figure}" for name, figure in figures.items())
        self.console.print(f"evaluation after {trainer.phases[phase].name} {step}: {words}", **PLAIN)
        for remark in context.remarks:
            self.console.print(f"    {remark}", **PLAIN)
        try:
            if self.best:
                self.best.offer(figures, trainer.state.total)
        except RunError:
            if all(found):  # else the figure may be one of those that could not be taken this time
                raise
        record(trainer, self.run, self.console, figures, context.warnings)
