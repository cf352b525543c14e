"""The bench that metrics work at: players, data and samples that all metrics share."""

import math
from collections.abc import Callable, Hashable, Mapping
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from gangen import noise
from gangen.contracts import Batch, Data, Extractor, Metric
from gangen.players import Players, evaluating


class Evaluation:
    """What a metric may look at. The generator is its moving average where the recipe keeps one.

    Samples and conditions are functions of ``seed`` alone, so that figures of different steps compare. ``settings``
    are keyword arguments of the generator's ``sample``, such as a temperature.
    """

    def __init__(
        self,
        players: Players,
        data: Data,
        *,
        device: torch.device,
        seed: int = 0,
        batch_size: int = 500,
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        self.players = players
        self.data = data
        self.device = device
        self.seed = seed
        self.batch_size = batch_size
        self.settings = dict(settings or {})
        self.warnings: list[str] = []
        self._samples: list[Tensor] = []
        self._extractors: dict[Hashable, Extractor] = {}
        self._made: dict[Hashable, Any] = {}

    @cached_property
    def generator(self) -> nn.Module:
        return self.players.averaged("generator")

    def conditions(self, n: int) -> Batch:
        """The held-out rows that ``samples(n)`` are conditioned on, row by row."""
        batches = [self._condition(counter) for counter in range(math.ceil(n / self.batch_size))]
        return {name: torch.cat([batch[name] for batch in batches])[:n] for name in batches[0]}

    def samples(self, n: int) -> Tensor:
        """``n`` generated samples, first dimension the batch, conditioned as held-out rows are."""
        with evaluating(self.generator):
            while len(self._samples) * self.batch_size < n:
                counter = len(self._samples)
                with noise.shared(self.seed + counter):
                    condition = self._condition(counter)
                    self._samples.append(self.generator.sample(self.batch_size, condition, **self.settings))
        return torch.cat(self._samples)[:n]

    def fitted(self, extractor: Extractor) -> Extractor:
        """``extractor``, ready for the data, or an equal one that another metric asked for before.

        Metrics live as long as a run and are asked in the same order each time, so each extractor is fitted once a run.
        """
        first = self._extractors.setdefault(extractor.key, extractor)
        threads = torch.get_num_threads()
        torch.set_num_threads(1)  # sums in another order are other weights: another extractor, to the bit
        try:
            first.fit(self.data, self.device)
        finally:
            torch.set_num_threads(threads)
        return first

    @property
    def extractors(self) -> dict[str, str]:
        """Digests of the extractors that were asked for, by name."""
        return {extractor.name: extractor.digest for extractor in self._extractors.values()}

    def warn(self, message: str) -> None:
        """Say, once, what makes a figure doubtful, such as too few samples, and what would mend it."""
        if message not in self.warnings:
            self.warnings.append(message)

    def once(self, key: Hashable, make: Callable[[], Any]) -> Any:
        """What ``make`` returns, made for the first metric that asks with ``key`` and handed to all others.

        So metrics share what they work on, such as features of samples.
        """
        if key not in self._made:
            self._made[key] = make()
        return self._made[key]

    def _condition(self, counter: int) -> Batch:
        size = self.batch_size
        return self.data.heldout.batch(counter, range(size), size, seed=self.seed, device=self.device)


def evaluate(metrics: list[Metric], evaluation: Evaluation) -> dict[str, float]:
    """Figures of all metrics by name; of one that is not finite the evaluation warns."""
    figures: dict[str, float] = {}
    for metric in metrics:
        figures |= metric(evaluation)
    for name, value in figures.items():
        if not math.isfinite(value):
            evaluation.warn(f"{name} is {value}: it says nothing of these samples")
    return figures
