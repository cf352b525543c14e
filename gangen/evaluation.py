"""The bench that metrics work at: players, data and samples that all metrics share."""

from functools import cached_property

import torch
from torch import Tensor, nn

from gangen import noise
from gangen.contracts import Batch, Data, Metric
from gangen.players import Players, evaluating


class Evaluation:
    """What a metric may look at. The generator is its moving average where the recipe keeps one.

    Samples and conditions are functions of ``seed`` alone, so that figures of different steps compare.
    """

    def __init__(
        self, players: Players, data: Data, *, device: torch.device, seed: int = 0, batch_size: int = 500
    ) -> None:
        self.players = players
        self.data = data
        self.device = device
        self.seed = seed
        self.batch_size = batch_size
        self._samples: list[Tensor] = []

    @cached_property
    def generator(self) -> nn.Module:
        return self.players.averaged("generator")

    def conditions(self, n: int, counter: int = 0) -> Batch:
        """The held-out rows that ``samples`` are conditioned on: batch ``counter`` of ``n`` rows."""
        return self.data.heldout.batch(counter, range(n), n, seed=self.seed, device=self.device)

    def samples(self, n: int) -> Tensor:
        """``n`` generated samples, first dimension the batch, conditioned as held-out rows are."""
        with evaluating(self.generator):
            while len(self._samples) * self.batch_size < n:
                counter = len(self._samples)
                with noise.shared(self.seed + counter):
                    condition = self.conditions(self.batch_size, counter)
                    self._samples.append(self.generator.sample(self.batch_size, condition))
        return torch.cat(self._samples)[:n]


def evaluate(metrics: list[Metric], evaluation: Evaluation) -> dict[str, float]:
    """Figures of all metrics by name."""
    figures: dict[str, float] = {}
    for metric in metrics:
        figures |= metric(evaluation)
    return figures
