"""A sign of life of a run that trains, and the last one of a run that ended."""

import math
import os
import platform
import sys
import time
from contextlib import suppress

import torch

from gangen.collectives import world_size
from gangen.contracts import Callback
from gangen.failures import summary
from gangen.files import to_json, write_atomically
from gangen.networks import count_parameters
from gangen.printing import visible
from gangen.run_directory import RunDirectory
from gangen.runs import Beat, read_beat
from gangen.training.callbacks.record import stamp
from gangen.training.plan import memory_taken
from gangen.training.trainer import Trainer

# Seconds between two of them: writing one takes milliseconds.
_EVERY = 5.0


class Heartbeat(Callback):
    """Writes ``heartbeat.json``, on the main process: after the first step, every few seconds, and how the run ends.

    Where it cannot be written, training goes on without.
    """

    def __init__(self, run: RunDirectory) -> None:
        self.run = run
        self._beaten: float | None = None
        self._ended = False
        self._begun = time.monotonic() - _trained_for(run)

    def after_step(self, trainer: Trainer) -> None:
        if self._beaten is None or time.monotonic() - self._beaten >= _EVERY:
            self._beat(trainer, "training")

    def meanwhile(self, trainer: Trainer, words: str) -> None:
        if words:
            self._beat(trainer, "training", words)
        else:
            self._beaten = -math.inf  # what was said is over, and the next step says so

    def finish(self, trainer: Trainer) -> None:
        self._ended = True
        if self._beaten is None:  # nothing was left to play
            return
        if trainer.state.phase < len(trainer.phases):
            self._beat(trainer, "stopped", f"by {trainer.stopping}")
        else:
            self._beat(trainer, "finished")

    def close(self, trainer: Trainer) -> None:
        error = sys.exception()
        if not self._ended and error is not None:
            self._beat(trainer, "error", visible(summary(error)))

    def _beat(self, trainer: Trainer, state: str, reason: str = "") -> None:
        self._beaten = time.monotonic()
        beat = Beat(
            **stamp(trainer),
            steps=sum(phase.steps for phase in trainer.phases),
            time=time.time(),
            steps_per_second=trainer.pace.steps_per_second or None,
            memory=memory_taken(trainer.device),
            state=state,
            reason=reason,
            seconds=time.monotonic() - self._begun,
            machine=_machine(trainer.device),
            parameters={name: count_parameters(player.net) for name, player in trainer.players.items()},
        )
        with suppress(OSError):
            write_atomically(self.run.heartbeat, to_json(beat))


def _trained_for(run: RunDirectory) -> float:
    """Seconds, before this start."""
    with suppress(OSError, ValueError):
        if beat := read_beat(run):
            return beat.seconds
    return 0.0


def _machine(device: torch.device) -> str:
    """Processes, and what each computes on."""
    if device.type == "cuda":
        name = torch.cuda.get_device_name(device)
    else:
        name = f"{device.type.upper()} ({platform.machine()}, {os.cpu_count()} cores)"
    return f"{world_size()} processes on {name}" if world_size() > 1 else name
