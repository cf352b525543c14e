"""Two figures that are bought with each other, as quality and diversity are."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Row = Mapping[str, float]


@dataclass(frozen=True)
class Axis:
    """A figure by its name, and which end of it is good."""

    figure: str
    good: Literal["high", "low"]

    def score(self, value: float) -> float:
        """``value``, turned so that more is better; a score turned once more is the value."""
        return value if self.good == "high" else -value


def _temperatures() -> dict[str, tuple[float, ...]]:
    # Close together, since curves are bent and compared along straight lines between their points.
    return {"temperature": (0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.2)}


@dataclass(frozen=True)
class Tradeoff:
    """Two figures that are bought with each other. The metric that reports ``quality`` has it as ``tradeoff``.

    ``sweeps`` are the settings of sampling that trade them, each with values in order: a sampler is swept over one
    after the other of those that it has, and its frontier is the best that any of them reaches at each diversity.
    """

    quality: Axis
    diversity: Axis
    sweeps: Mapping[str, tuple[float, ...]] = field(default_factory=_temperatures)

    @property
    def figures(self) -> tuple[str, str]:
        """The names of quality and diversity."""
        return self.quality.figure, self.diversity.figure
