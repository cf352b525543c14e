"""Phases: how often each turn of the objective is played, for how many steps."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from inspect import unwrap
from numbers import Real
from typing import Any

from torch import Tensor

from gangen.components.registry import name_of
from gangen.contracts import Batch, Clock, Stats
from gangen.errors import PluginError
from gangen.networks import Players
from gangen.objectives import Mean
from gangen.optimizers import Learning
from gangen.recipe.balance import Balance


@dataclass(frozen=True)
class Turn:
    """One turn of the objective: ``times`` repeats in every ``every``-th step of the phase."""

    name: str
    play: Callable[[Players, Batch, Clock], tuple]
    updates: tuple[str, ...]
    times: int = 1
    every: int = 1

    @cached_property
    def title(self) -> str:
        """What errors call it."""
        return f"turn '{self.name}' of {name_of(getattr(self.play, '__self__', self.play))}"

    def times_at(self, step: int) -> int:
        return self.times if step % self.every == 0 else 0

    def reports(self, figure: str) -> bool:
        """Whether a figure of this name is one of this turn."""
        return figure.startswith(f"{self.name}/")

    def loss(self, players: Players, batch: Batch, clock: Clock) -> tuple[Tensor | Mean | None, Stats]:
        """The loss, None where the turn teaches nobody and has none, and the figures to log with it.

        Raises PluginError for anything else.
        """
        returned = self.play(players, batch, clock)
        if not (isinstance(returned, tuple) and len(returned) == 2 and isinstance(returned[1], Mapping)):
            raise self.complaint(
                f"it must return a loss and a dictionary of figures, got {_show(returned)}\n"
                "where there is nothing to log: return loss, {}"
            )
        loss, stats = returned
        for name, figure in stats.items():
            if not isinstance(figure, (Tensor, Real)) or (isinstance(figure, Tensor) and figure.ndim):
                raise self.complaint(f"its figure '{name}' must be a number or a scalar tensor, got {_show(figure)}")
        if loss is None and not self.updates:
            return None, stats
        figure = loss.value if isinstance(loss, Mean) else loss
        if not isinstance(figure, Tensor) or figure.ndim:
            raise self.complaint(f"its loss must be a scalar tensor, such as a mean, got {_show(figure)}")
        return loss, {"loss": figure, **stats}

    def complaint(self, what: str) -> PluginError:
        """The error about a turn that does not keep to the contract, with the place where it is written."""
        code = unwrap(self.play).__code__
        return PluginError(f"{self.title}: {what}\nit is written at {code.co_filename}:{code.co_firstlineno}")


@dataclass(frozen=True)
class Phase:
    """A stretch of the run: its turns in playing order, its global batch, and who starts it with a fresh optimizer.

    ``balance`` leaves turns out while a player is too weak or too strong.
    """

    name: str
    steps: int
    turns: tuple[Turn, ...]
    batch_size: int
    optimizers: Mapping[str, Learning] = field(default_factory=dict)
    balance: Balance | None = None

    def allows(self, turn: Turn, mean: float | None) -> bool:
        """Whether ``turn`` is played where the figure that balances this phase has the moving mean ``mean``."""
        return self.balance is None or not turn.updates or self.balance.allows(turn.updates, mean)

    def watches(self, turn: Turn) -> bool:
        """Whether the figure that balances this phase is that of ``turn``."""
        return self.balance is not None and turn.name == self.balance.turn


def _show(value: Any) -> str:
    if isinstance(value, Tensor):
        return f"a tensor of shape {list(value.shape)}"
    return repr(value) if isinstance(value, str | Real | None) else f"a {type(value).__name__}"
