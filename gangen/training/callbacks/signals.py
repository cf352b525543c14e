"""SIGTERM and Ctrl-C stop a run after the step that is being played."""

import signal
from typing import Any

from gangen.collectives import any_process
from gangen.contracts import Callback
from gangen.training.trainer import Trainer


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
