"""Checkpoints and models while a run trains."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from gangen.collectives import any_process, rank
from gangen.contracts import Callback
from gangen.errors import RunError
from gangen.run_directory import RunDirectory
from gangen.training import checkpoint
from gangen.training.callbacks.record import due
from gangen.training.trainer import Trainer


@dataclass
class Checkpoints(Callback):
    """Every ``every`` steps, at the end of each phase, and when the run stops: the model, then a checkpoint.

    The model comes first: a run that is killed between the two goes on from the checkpoint before and writes it again.
    What every phase but the last ends with is kept in a folder of its own. Raises RunError, on all processes, where the
    run's folder is no longer the one that it began in.
    """

    run: RunDirectory
    every: int
    keep: int
    export: Callable[[Path], None]
    saved: int = field(default=0, init=False)

    def start(self, trainer: Trainer) -> None:
        self.saved = trainer.state.total
        if self.saved:
            self._keep_phase(trainer)  # once the last phase, where others were added to a run that had ended

    def after_step(self, trainer: Trainer) -> None:
        with trainer.pace.paused():
            self._keep_phase(trainer)
            if due(trainer, self.every):
                self._save(trainer)

    def _keep_phase(self, trainer: Trainer) -> None:
        state = trainer.state
        if state.step == 0 and state.phase < len(trainer.phases):
            self.export(self.run.phases / trainer.phases[state.phase - 1].name)

    def finish(self, trainer: Trainer) -> None:
        if trainer.state.total != self.saved:
            self._save(trainer)

    def _save(self, trainer: Trainer) -> None:
        self.export(self.run.model)
        if self.every:
            with self.run.writing():
                checkpoint.save(trainer, self.run.checkpoints, keep=self.keep)
            # The main process looks alone: to another machine a file may be there some seconds later.
            if any_process(rank() == 0 and not self.run.recipe.exists(), trainer.device):
                raise RunError(
                    f"{self.run.root} was moved or deleted while it was trained in\n"
                    f"a checkpoint of step {trainer.state.total} was saved there: the same command goes on from it"
                )
        self.saved = trainer.state.total
