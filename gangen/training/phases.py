"""Phases: how often each turn of the objective is played, for how many steps."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from gangen.contracts import Batch, Clock, Stats
from gangen.networks import Players
from gangen.recipe.balance import Balance
from gangen.recipe.sections import OptimizerRecipe


@dataclass(frozen=True)
class Turn:
    """One turn of the objective: ``times`` repeats in every ``every``-th step of the phase."""

    name: str
    play: Callable[[Players, Batch, Clock], tuple]
    updates: tuple[str, ...]
    times: int = 1
    every: int = 1

    def times_at(self, step: int) -> int:
        return self.times if step % self.every == 0 else 0

    def loss(self, players: Players, batch: Batch, clock: Clock) -> tuple:
        """The scalar loss, and the figures to log with it."""
        loss, stats = self.play(players, batch, clock)
        figures: Stats = {"loss": loss.detach(), **stats}
        return loss, figures


@dataclass(frozen=True)
class Phase:
    """A stretch of the run: its turns in playing order, its global batch, and who starts it with a fresh optimizer.

    ``balance`` leaves turns out while a player is too weak or too strong.
    """

    name: str
    steps: int
    turns: tuple[Turn, ...]
    batch_size: int
    optimizers: Mapping[str, OptimizerRecipe] = field(default_factory=dict)
    balance: Balance | None = None

    def allows(self, turn: Turn, mean: float | None) -> bool:
        """Whether ``turn`` is played where the figure that balances this phase has the moving mean ``mean``."""
        return self.balance is None or self.balance.allows(turn.updates, mean)
