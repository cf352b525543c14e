"""A look at all that is to be saved, before it is: what is not finite is a fault."""

import math
from collections.abc import Iterable

import torch

from gangen.collectives import all_sum
from gangen.console import Console
from gangen.contracts import Callback
from gangen.networks import soundness
from gangen.run_directory import RunDirectory
from gangen.training.callbacks.record import due, note, stamp
from gangen.training.faults import NotFinite
from gangen.training.trainer import Trainer


class Finiteness(Callback):
    """Raises NotFinite, on all processes at once, before anything of a run is saved that is not finite.

    Something is saved when one of ``saves`` is due, when a phase ends, and when the run stops. Turns that were left out
    for not being finite are written down, by the ``main`` process.
    """

    def __init__(self, run: RunDirectory, saves: Iterable[int], console: Console, *, main: bool) -> None:
        self.run = run
        self.saves = tuple(saves)
        self.console = console
        self.main = main

    def after_step(self, trainer: Trainer) -> None:
        if trainer.left_out and self.main:
            note(self.run, self.console, stamp(trainer), "skip", [f"{it}; it was skipped" for it in trainer.left_out])
        trainer.left_out.clear()
        if trainer.state.step == 0 or any(due(trainer, every) for every in self.saves):
            self.finish(trainer)

    def finish(self, trainer: Trainer) -> None:
        if fault := fault_of(trainer):
            raise not_finite(trainer, fault)


def fault_of(trainer: Trainer) -> str:
    """In words, a figure, a weight or an average that is not finite; empty where all are, on every process."""
    for name, value in trainer.meter.means().items():
        if not math.isfinite(value):
            return f"{name} became {value}"
    flags = []
    for player in trainer.players.values():
        kinds = {"weights": player.net, "averages": player.average}
        with player.whole():
            flags += [
                (f"{kind} of player {player.name} are not finite", sound.to(trainer.device))
                for kind, net in kinds.items()
                if net is not None and player.changes
                for sound in soundness(net).values()
            ]
    if not flags:
        return ""
    faults, sound = zip(*flags, strict=True)
    broken = all_sum(1.0 - torch.stack(sound).float()).tolist()
    return next((fault for fault, count in zip(faults, broken, strict=True) if count), "")


def not_finite(trainer: Trainer, what: str) -> NotFinite:
    total = trainer.state.total
    return NotFinite(f"{what} by step {total}, in phase {stamp(trainer)['phase']}", since=total)
