"""Games: methods with @updates are turns, and say who learns from them. This one adds a term to the game of two."""

from typing import Annotated, Any

from annotated_types import Ge
from torch import Tensor

from gangen import AdversarialGame, Part, all_mean


class Matching(AdversarialGame):
    """The game of two, where fakes are also to have the mean of real rows, by ``weight``. ``loss`` is that of the game.

    A mean over rows is one over the batch of all processes, so it is gathered.
    """

    def __init__(
        self,
        spec,
        *,
        loss: Annotated[Any, Part("losses")] = "non_saturating",
        weight: Annotated[float, Ge(0)] = 1.0,
    ) -> None:
        super().__init__(spec, loss=loss)
        self.weight = weight

    def fool(self, players, batch, fake: Tensor, condition) -> Tensor:
        apart = all_mean(fake.mean(0)) - all_mean(self.real(batch).mean(0))
        return super().fool(players, batch, fake, condition) + self.weight * apart.square().sum()
