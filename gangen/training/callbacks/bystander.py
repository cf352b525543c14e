"""What processes do while the main one looks at networks alone."""

from dataclasses import dataclass

from gangen.contracts import Callback
from gangen.training.callbacks.record import due
from gangen.training.players import whole
from gangen.training.trainer import Trainer


@dataclass
class Bystander(Callback):
    """Stands where the main process has a callback that looks at networks when a run starts and after ``every`` steps:
    hands it this process's parts of those that are sharded, and goes on.
    """

    every: int

    def start(self, trainer: Trainer) -> None:
        with whole(trainer.players.values(), here=False):
            pass

    def after_step(self, trainer: Trainer) -> None:
        if due(trainer, self.every):
            self.start(trainer)
