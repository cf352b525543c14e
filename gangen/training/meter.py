"""Means of what turns report."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from gangen.collectives import all_gather, all_mean, rank, world_size
from gangen.contracts import Stats
from gangen.errors import PluginError, UsageError, did_you_mean
from gangen.noise import mix
from gangen.training.phases import Turn


@dataclass
class Meter:
    """Means of what turns report since the last reading; keeps tensors, so that nothing waits for the device.

    ``newest`` are the values of this step.
    """

    device: torch.device
    sums: dict[str, Tensor] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    newest: dict[str, list[Tensor]] = field(default_factory=dict)

    def begin_step(self) -> None:
        self.newest = {}

    def copy(self) -> "Meter":
        """What it holds now; figures that are added later are not in it."""
        newest = {name: list(figures) for name, figures in self.newest.items()}
        return Meter(self.device, dict(self.sums), dict(self.counts), newest)

    def set(self, other: "Meter") -> None:
        """Hold what ``other`` holds."""
        self.sums, self.counts, self.newest = other.sums, other.counts, other.newest

    def add(self, turn: Turn, stats: Stats) -> None:
        for name, value in stats.items():
            # Detached, since a graph would be kept alive with it.
            figure = value.detach() if isinstance(value, Tensor) else torch.tensor(float(value), device=self.device)
            name = f"{turn.name}/{name}"
            self.newest.setdefault(name, []).append(figure)
            self.sums[name] = self.sums.get(name, 0.0) + figure.float().to(self.device)
            self.counts[name] = self.counts.get(name, 0) + 1

    def heard(self, turn: Turn) -> bool:
        """Whether a turn has reported a figure in this step."""
        return any(turn.reports(name) for name in self.newest)

    def lacks(self, turn: Turn, name: str) -> bool:
        """Whether a turn has not reported a figure since the last reading."""
        return f"{turn.name}/{name}" not in self.counts

    def mean_of_step(self, name: str) -> Tensor:
        """The mean over processes of a figure's values in this step; raises UsageError where it has none."""
        if name not in self.newest:
            hint = did_you_mean(name, self.newest)
            raise UsageError(
                f"a balance needs {name!r}, which no turn reports{hint}\nthere are: {', '.join(self.newest)}"
            )
        return all_mean(torch.stack(self.newest[name]).float().mean())

    def everywhere(self) -> Tensor:
        """The sums of all processes, float32 ``[processes, figures]``, in one message.

        Raises PluginError where processes do not have the same figures, which cannot be added up.
        """
        names = torch.tensor(mix(*self.counts, *self.counts.values()), device=self.device)
        if not (all_gather(names) == names).all():
            raise PluginError(
                f"turns must report the same figures on all processes, as often as each other; here they reported: "
                f"{', '.join(f'{name} ({count})' for name, count in self.counts.items())}"
            )
        return all_gather(torch.stack(list(self.sums.values()))) if self.sums else torch.empty(world_size(), 0)

    def means(self) -> dict[str, float]:
        """The mean over time and processes of every figure."""
        means = self.everywhere().mean(0) / torch.tensor(list(self.counts.values()), device=self.device)
        return dict(zip(self.counts, means.tolist(), strict=True))

    def read(self) -> dict[str, float]:
        """``means``; starts over."""
        means = self.means()
        self.sums, self.counts = {}, {}
        return means

    def state_dict(self) -> dict[str, dict]:
        """By name how many values a figure has, and their sum on each process; all processes ask together."""
        sums = self.everywhere().T.tolist()
        return {name: {"count": count, "sums": it} for (name, count), it in zip(self.counts.items(), sums, strict=True)}

    def load_state_dict(self, saved: Mapping) -> None:
        """Put back what ``state_dict`` gave, on as many processes or others, but for what is not finite."""
        self.sums, self.counts = {}, {}
        for name, figure in saved.items():
            if isinstance(figure, list):  # format 2 of checkpoints, which kept every value
                figure = {"count": len(figure), "sums": [sum(figure)]}
            sums = figure["sums"]
            own = sums[rank()] if len(sums) == world_size() else sum(sums) / len(sums)
            if math.isfinite(own):
                self.sums[name] = torch.tensor(own, device=self.device)
                self.counts[name] = figure["count"]
