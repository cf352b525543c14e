"""By which figure the best model of a run is told, and which way is better."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from gangen.components.messages import Finding, raise_findings, show
from gangen.components.options import Section


@dataclass(frozen=True, kw_only=True)
class KeepBest(Section):
    """The figure that decides, and which way is better: ``{lowest: nll}`` or ``{highest: label_accuracy}``."""

    title: ClassVar = "keep_best"

    lowest: str | None = None
    highest: str | None = None

    @classmethod
    def read(cls, value: Any, registry: Any = None) -> Self:
        if isinstance(value, str):
            choice = f"{{lowest: {value}}} or {{highest: {value}}}"
            raise_findings([Finding((), f"keep_best does not know which way is better: write {choice}")])
        return super().read(value, registry)

    def check(self) -> Iterable[Finding]:
        if (self.lowest is None) == (self.highest is None):
            both = f"got {show(self.lowest)} and {show(self.highest)}"
            yield Finding((), f"keep_best needs one figure, either lowest or highest; {both}")

    @property
    def figure(self) -> str:
        return self.lowest or self.highest

    def prefers(self, value: float, best: float | None) -> bool:
        """Whether ``value`` is finite and better than ``best``; of equals the first is kept."""
        if not math.isfinite(value) or best is None:
            return math.isfinite(value)
        return value < best if self.lowest else value > best
