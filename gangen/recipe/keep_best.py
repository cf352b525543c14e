"""By which figure the best model of a run is told, and where it is good."""

import math
from collections.abc import Iterable
from dataclasses import replace
from typing import ClassVar

from gangen.components.messages import Keys, show
from gangen.metrics.figures import Figure, Good
from gangen.recipe.strict import Section


class KeepBest(Section, title="keep_best"):
    """The figure that decides.

    ``figure`` is its name, where its metric says where it is good; ``lowest`` or ``highest`` say it themselves.
    """

    shorthand: ClassVar = "figure"

    figure: str | None = None
    lowest: str | None = None
    highest: str | None = None

    def check(self) -> Iterable[tuple[Keys, str]]:
        names = [name for name in (self.figure, self.lowest, self.highest) if name is not None]
        if len(names) != 1:
            got = " and ".join(map(show, names)) or "none"
            yield (), f"keep_best needs one figure: its name, or lowest or highest and its name; got {got}"

    @property
    def name(self) -> str:
        return self.figure or self.lowest or self.highest or ""

    @property
    def good(self) -> Good | None:
        """The end that was asked for; None leaves it to the figure."""
        return "low" if self.lowest else "high" if self.highest else None

    def prefers(self, figure: Figure, best: float | None) -> bool:
        """Whether ``figure`` is finite and better than ``best``; of equals the first is kept."""
        value, good = figure.value, self.good or figure.good
        if not math.isfinite(value) or good is None or best is None:
            return math.isfinite(value) and good is not None
        if good == "real":
            return figure.shortfall < replace(figure, value=best).shortfall
        return value < best if good == "low" else value > best
