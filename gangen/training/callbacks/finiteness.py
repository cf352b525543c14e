"""A stop before anything is saved that is not finite."""

import math
from collections.abc import Iterable

import torch

from gangen.collectives import all_sum
from gangen.contracts import Callback
from gangen.errors import RunError
from gangen.networks import soundness
from gangen.run_directory import RunDirectory
from gangen.training import checkpoint
from gangen.training.callbacks.record import due, stamp
from gangen.training.trainer import Trainer


class StopUnlessFinite(Callback):
    """Stops a run, on all processes at once, before anything of it is saved that is not finite.

    Something is saved when one of ``saves`` is due, when a phase ends, and when the run stops.
    """

    def __init__(self, run: RunDirectory, saves: Iterable[int]) -> None:
        self.run = run
        self.saves = tuple(saves)

    def after_step(self, trainer: Trainer) -> None:
        if trainer.state.step == 0 or any(due(trainer, every) for every in self.saves):
            self.finish(trainer)

    def finish(self, trainer: Trainer) -> None:
        if fault := fault_of(trainer):
            raise not_finite(trainer, self.run, fault)


def fault_of(trainer: Trainer) -> str:
    """In words, a figure, a weight or an average that is not finite; empty where all are, on every process."""
    for name, value in trainer.meter.means().items():
        if not math.isfinite(value):
            return f"{name} became {value}"
    flags = [
        (f"{kind} of player {player.name} are not finite", sound.to(trainer.device))
        for player in trainer.players.values()
        if player.changes
        for kind, net in (("weights", player.net), ("averages", player.average))
        if net is not None
        for sound in soundness(net).values()
    ]
    if not flags:
        return ""
    faults, sound = zip(*flags, strict=True)
    broken = all_sum(1.0 - torch.stack(sound).float()).tolist()
    return next((fault for fault, count in zip(faults, broken, strict=True) if count), "")


def not_finite(trainer: Trainer, run: RunDirectory, fault: str) -> RunError:
    """The error of a run that cannot go on; what was saved of it before is whole."""
    newest = checkpoint.latest(run.checkpoints)
    way = "try a lower learning rate, or gradient clipping (players.NAME.clip=1.0), in a new run (run=...)"
    if newest:
        way += f"; start_from={run.root} begins it with the networks of this one"
    return RunError(
        f"{fault} by step {trainer.state.total}, in phase {stamp(trainer)['phase']}\n"
        f"nothing of that was saved; the newest checkpoint is {newest or 'still to come'}\n{way}"
    )
