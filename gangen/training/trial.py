"""A turn on trial: what it left behind is taken back where its figures or gradients are not finite."""

from collections.abc import Collection, Mapping

import torch
from torch import nn

from gangen.collectives import all_gather
from gangen.training.meter import Meter
from gangen.training.phases import Turn
from gangen.training.players import Player


class Trial:
    """Begun before a turn is played: keeps what a turn changes beside gradients, which are buffers and figures.

    Buffers are those of networks and of the objective. What an objective that is no module remembers stays.
    """

    def __init__(self, players: Mapping[str, Player], objective: nn.Module | None, meter: Meter) -> None:
        self.meter = meter
        self.modules = [player.net for player in players.values()] + ([objective] if objective is not None else [])
        self.buffers = [{name: it.clone() for name, it in module.named_buffers()} for module in self.modules]
        self.figures = meter.copy()

    def failures(self, turn: Turn, learners: Collection[Player], *, gradients: bool = True) -> list[int]:
        """The numbers of the processes on which the turn's figures, or the gradients of ``learners``, are not finite.

        All processes ask together, before they share gradients.
        """
        found = [figure for name, figures in self.meter.newest.items() if turn.reports(name) for figure in figures]
        if gradients:
            found += [it.grad for player in learners for it in player.trainable if it.grad is not None]
        sound = torch.stack([it.isfinite().all().to(self.meter.device) for it in found]).all() if found else None
        failed = torch.zeros((), device=self.meter.device) if sound is None else (~sound).float()
        return all_gather(failed).nonzero().flatten().tolist()

    @torch.no_grad()
    def take_back(self) -> None:
        """Put buffers and figures back; weights, averages and optimizers were not reached yet."""
        for module, before in zip(self.modules, self.buffers, strict=True):
            for name, buffer in module.named_buffers():
                buffer.copy_(before[name])
        self.meter.set(self.figures)
