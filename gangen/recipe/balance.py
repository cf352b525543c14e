"""Balance: who may learn, while one player is too weak or too strong for the others."""

from collections.abc import Collection, Iterable
from typing import Annotated

from annotated_types import Interval

from gangen.components.messages import Keys
from gangen.recipe.strict import Section


class Balance(Section, title="a balance"):
    """Keeps a player about as strong as its opponents.

    ``figure``, written turn/figure, tells how strong ``player`` is: the higher, the stronger. The moving mean of its
    values, one a step, decides who plays in the next step: below ``low`` only turns that update ``player``, above
    ``high`` only the others, in between all. ``decay`` is the share of the mean that outlasts one more value.
    """

    player: str
    figure: str
    low: float
    high: float
    decay: Annotated[float, Interval(ge=0, lt=1)] = 0.9

    def check(self) -> Iterable[tuple[Keys, str]]:
        if self.low >= self.high:
            yield ("low",), f"low must be less than high, got {self.low} and {self.high}"
        if self.figure.count("/") > 1:  # as turn/player/gradient_norm, which a turn that is left out does not have
            yield ("figure",), f"sizes of steps are measured now and then, and cannot balance: {self.figure!r}"

    @property
    def turn(self) -> str:
        """The turn that reports the figure."""
        return self.figure.partition("/")[0]

    def allows(self, updates: Collection[str], mean: float | None) -> bool:
        """Whether a turn that updates these players is played; ``mean`` is None before the figure is known."""
        if mean is None or self.low <= mean <= self.high:
            return True
        return (self.player in updates) == (mean < self.low)

    def follow(self, mean: float | None, value: float) -> float:
        """The moving mean after one more value of the figure."""
        return value if mean is None else self.decay * mean + (1 - self.decay) * value
