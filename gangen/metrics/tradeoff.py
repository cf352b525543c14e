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
    """Two figures that are bought with each other. The metric that reports ``quality`` has it as ``tradeoff``."""

    quality: Axis
    diversity: Axis
