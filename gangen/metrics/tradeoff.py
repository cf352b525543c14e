"""Two figures that are bought with each other, as quality and diversity are."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Row = Mapping[str, float]


@dataclass(frozen=True)
class Axis:
    """A figure by its name, and which end of it is good."""

    figure: str
    good: Literal["high", "low"]

    def score(self, value: float) -> float:
        """``value``, turned so that more is better."""
        return value if self.good == "high" else -value


@dataclass(frozen=True)
class Tradeoff:
    """Two figures that are bought with each other. The metric that reports ``quality`` has it as ``tradeoff``.

    ``setting`` is that of sampling which trades them: it is swept over ``values``, where a sampler has it.
    """

    quality: Axis
    diversity: Axis
    setting: str = "temperature"
    # Close together, since curves are bent and compared along straight lines between their points.
    values: tuple[float, ...] = (0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.2)
