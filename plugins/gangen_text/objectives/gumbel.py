"""Text GAN by the Gumbel-softmax relaxation: the discriminator's gradient reaches the generator through soft tokens."""

from collections.abc import Collection
from typing import Annotated, Any

from torch import Tensor

from gangen import Batch, Clock, Part, Players, Schedule, Stats, UsageError, needs, updates
from gangen_text.objectives.turns import TextGame
from gangen_text.spec import TextSpec


class Gumbel(TextGame):
    """Kusner and Hernandez-Lobato (2016), with the relaxation of Jang et al. (2017) and Maddison et al. (2017).

    ``temperature`` belongs to the relaxation and follows its schedule over the phase; low is closer to real tokens,
    with a gradient of larger variance. With ``straight_through`` the discriminator sees hard one-hot tokens and the
    gradient is that of the soft ones. Fakes for the discriminator are relaxed in the same way.

    ``loss`` makes losses of the logits of both sides.
    """

    def __init__(
        self,
        spec: TextSpec,
        *,
        loss: Annotated[Any, Part("losses")] = "relativistic_average",
        temperature: Schedule = 1.0,
        straight_through: bool = False,
    ) -> None:
        super().__init__(spec, loss=loss)
        self.temperature = Schedule.of(temperature)
        self.straight_through = straight_through

    def check(self, players: Players, turns: Collection[str]) -> None:
        """Raises UsageError where turns relax tokens and the discriminator says by ``reads_relaxed`` that it cannot."""
        super().check(players, turns)
        shown = [turn for turn in ("discriminate", "relax") if turn in turns]
        if shown and not getattr(players.get("discriminator"), "reads_relaxed", True):
            raise UsageError(
                f"turn '{shown[0]}' relaxes tokens, and the discriminator reads words: play text/seqgan, or take "
                "another one, such as text/cnn"
            )

    @property
    def log_ratio(self) -> bool:
        """Of soft tokens a discriminator says how soft they are."""
        return self.straight_through and super().log_ratio

    def fakes(self, players: Players, batch: Batch, clock: Clock) -> Tensor:
        return players.generator.relaxed(
            len(batch["tokens"]),
            batch,
            temperature=self.temperature(clock),
            straight_through=self.straight_through,
        )

    @updates("generator")
    @needs(generator="relaxed")
    def relax(self, players: Players, batch: Batch, clock: Clock) -> tuple[Tensor, Stats]:
        """Fool the discriminator with relaxed text, by backpropagation."""
        return self.fool(players, batch, self.fakes(players, batch, clock), batch), {}
