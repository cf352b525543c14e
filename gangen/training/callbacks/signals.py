"""Signals stop a run after the step that is being played, and so does the end of its launcher."""

import os
import signal
import threading
import time
from typing import Any

import torch

from gangen.collectives import all_gather, launched, rank, world_size
from gangen.contracts import Callback
from gangen.training.trainer import Trainer

# That of a scheduler that takes the machine back, Ctrl-C, that of a terminal that is closed, and what SLURM may send.
SIGNALS = [getattr(signal, name) for name in ("SIGTERM", "SIGINT", "SIGHUP", "SIGUSR1") if hasattr(signal, name)]


class StopOnSignal(Callback):
    """Turn ``SIGNALS`` into a stop after the current step, agreed between processes; a Ctrl-C after one interrupts.

    A process that a launcher started, one of several or alone, stops when it is gone, too: nobody would stop it
    otherwise. Several ask each other about once a second and at least every ``every`` steps, because asking costs a
    reduction.
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
            cause = self._cause()
            trainer.stopping = _word(cause) if cause else trainer.stopping
        elif total >= self._next:
            seconds = time.monotonic() - self._asked_at
            told = torch.tensor([self._cause(), seconds / (total - self._asked)], device=trainer.device)
            causes, steps = all_gather(told).T.tolist()
            # What was told, and no more: a signal that came just now is not known to the others.
            told_by = [(process != rank(), process) for process, cause in enumerate(causes) if cause]
            if told_by:
                another, process = min(told_by)
                trainer.stopping = _word(int(causes[process])) + f", of process {process}" * another
            self._asked, self._asked_at = total, time.monotonic()
            self._next = total + max(1, min(self.every, int(world_size() / max(sum(steps), 1e-9))))

    def close(self, trainer: Trainer) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _cause(self) -> int:
        """The number of the signal that came, a number beyond all for the end of the launcher, or 0 for no cause."""
        if self._signal is not None:
            return self._signal
        return signal.NSIG if launched() and os.getppid() != self._launcher else 0

    def _remember(self, number: int, frame: object) -> None:
        if number == signal.SIGINT and self._signal is not None:
            raise KeyboardInterrupt
        self._signal = number


def _word(cause: int) -> str:
    return "the end of its launcher" if cause == signal.NSIG else signal.Signals(cause).name
