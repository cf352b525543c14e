"""A look at all that is to be saved, before it is: what is not finite is a fault."""

import math
from collections.abc import Iterable, Iterator

import torch
from torch import Tensor

from gangen.collectives import all_sum
from gangen.components.registry import name_of
from gangen.console import Console
from gangen.contracts import Callback
from gangen.networks import soundness
from gangen.run_directory import RunDirectory
from gangen.training.callbacks.record import due, note, stamp
from gangen.training.faults import NotFinite
from gangen.training.players import Player
from gangen.training.sharding import rows_of
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
    """In words, what of all that would be saved is not finite; empty where all of it is, on every process."""
    for name, value in trainer.meter.means().items():
        if not math.isfinite(value):
            return f"{name} became {value}"
    looked_at = [it for player in trainer.players.values() for it in _soundness_of(player)]
    if trainer.objective is not None:
        game = name_of(trainer.objective)
        looked_at += [(f"'{name}' of {game} is nan", sound) for name, sound in soundness(trainer.objective).items()]
    if not looked_at:
        return ""
    faults, sound = zip(*looked_at, strict=True)
    broken = all_sum(1.0 - torch.stack([it.to(trainer.device) for it in sound]).float()).tolist()
    return next((fault for fault, count in zip(faults, broken, strict=True) if count), "")


def _soundness_of(player: Player) -> Iterator[tuple[str, Tensor]]:
    """What a fault of it would be in words, and whether there is none, of every tensor that is saved of a player."""
    if not player.changes:
        return
    with player.whole():
        for kind, net in {"weights": player.net, "averages": player.average}.items():
            for sound in soundness(net).values() if net is not None else ():
                yield f"{kind} of player {player.name} are not finite", sound
    if player.trainable:  # a square that overflowed would keep a weight as it is, and all figures finite
        for weight, kept in player.optimizer.state.items():
            for name, value in kept.items():
                if isinstance(value, Tensor) and value.shape == weight.shape:
                    yield (
                        f"{name} of the optimizer of player {player.name} is not finite",
                        rows_of(value).isfinite().all(),
                    )


def not_finite(trainer: Trainer, what: str) -> NotFinite:
    total = trainer.state.total
    return NotFinite(f"{what} by step {total}, in phase {stamp(trainer)['phase']}", since=total)
