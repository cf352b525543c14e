"""Signals stop a run after the step that is being played, and so does the end of its launcher."""

import os
import signal
import threading
import time
from typing import Any

import torch

from gangen.collectives import all_sum, world_size
from gangen.contracts import Callback
from gangen.training.trainer import Trainer

# That of a scheduler that takes the machine back, Ctrl-C, that of a terminal that is closed, and what SLURM may send.
SIGNALS = [getattr(signal, name) for name in ("SIGTERM", "SIGINT", "SIGHUP", "SIGUSR1") if hasattr(signal, name)]


class StopOnSignal(Callback):
    """Turn ``SIGNALS`` into a stop after the current step, agreed between processes; a Ctrl-C after one interrupts.

    Processes that a launcher started stop when it is gone, too: nobody would stop them otherwise. They ask each other
    about once a second and at least every ``every`` steps, because asking costs a reduction.
    """

    def __init__(self, every: int = 10) -> None:
        self.every = every
        self._signal: int | None = None
        self._before: dict[int, Any] = {}

    def start(self, trainer: Trainer) -> None:
        self._launcher = os.getppid()
        self._asked, self._asked_at = trainer.state.total, time.monotonic()
        self._next = self._asked + 1
        if threading.current_thread() is not threading.main_thread():
            return  # only the main one can have handlers
        for number in SIGNALS:
            if number == signal.SIGINT or signal.getsignal(number) is not signal.SIG_IGN:  # as nohup ignores SIGHUP
                self._before[number] = signal.signal(number, self._remember)

    def after_step(self, trainer: Trainer) -> None:
        total = trainer.state.total
        if world_size() == 1:
            trainer.stopping = self._reason() or trainer.stopping
        elif total >= self._next:
            seconds = time.monotonic() - self._asked_at
            told = torch.tensor([float(self._reason() is not None), seconds / (total - self._asked)])
            stop, step = (all_sum(told.to(trainer.device)) / world_size()).tolist()
            if stop:
                trainer.stopping = self._reason() or "a signal to another process"
            self._asked, self._asked_at = total, time.monotonic()
            self._next = total + max(1, min(self.every, int(1 / max(step, 1e-9))))

    def close(self, trainer: Trainer) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _reason(self) -> str | None:
        if self._signal is not None:
            return signal.Signals(self._signal).name
        return "the end of its launcher" if world_size() > 1 and os.getppid() != self._launcher else None

    def _remember(self, number: int, frame: object) -> None:
        if number == signal.SIGINT and self._signal is not None:
            raise KeyboardInterrupt
        self._signal = number
