"""Text GAN by the Gumbel-softmax relaxation: the discriminator's gradient reaches the generator through soft tokens."""

from collections.abc import Collection, Sequence
from typing import Annotated, Any

import torch
import torch.nn.functional as F
from torch import Tensor

from gangen import AdversarialGame, Batch, Clock, Part, Players, Schedule, Stats, UsageError, needs, updates
from gangen_text.objectives.turns import TextGame
from gangen_text.spec import TextSpec


class Gumbel(TextGame):
    """Kusner and Hernandez-Lobato (2016), with the relaxation of Jang et al. (2017) and Maddison et al. (2017).

    ``temperature`` belongs to the relaxation and follows its schedule over the phase; low is closer to real tokens,
    with a gradient of larger variance. With ``straight_through`` the discriminator sees hard one-hot tokens and the
    gradient is that of the soft ones. Fakes for the discriminator are relaxed in the same way.

    ``loss`` makes losses of the logits of both sides. ``penalties`` and ``lazy_penalties`` are those of the game of two
    (``gangen.AdversarialGame``); with any, real rows are one-hot, so that there is a gradient for them.

    RelGAN (Nie et al., 2019) is this game with ``loss: relativistic_paired``, a temperature that falls exponentially
    from 1 to 1/100, generator text/relational_memory, and text/cnn with 64 representations of ``embedding_dim: 1``. On
    data with labels it is the game of CatGAN (Liu et al., 2020) but for its evolution of generators: real and generated
    texts of one category are compared, as rows of a batch have the same label.
    """

    penalize = AdversarialGame.penalize

    def __init__(
        self,
        spec: TextSpec,
        *,
        loss: Annotated[Any, Part("losses")] = "relativistic_average",
        temperature: Schedule = 1.0,
        straight_through: bool = False,
        penalties: Sequence[Annotated[Any, Part("penalties")]] = (),
        lazy_penalties: Sequence[Annotated[Any, Part("penalties")]] = (),
    ) -> None:
        super().__init__(spec, loss=loss, penalties=penalties, lazy_penalties=lazy_penalties)
        self.temperature = Schedule.of(temperature)
        self.straight_through = straight_through

    def check(self, players: Players, turns: Collection[str]) -> None:
        """Raises UsageError where turns relax tokens and the discriminator says by ``reads_relaxed`` that it cannot."""
        super().check(players, turns)
        shown = [turn for turn in ("discriminate", "penalize", "relax") if turn in turns]
        if shown and not getattr(players.get("discriminator"), "reads_relaxed", True):
            raise UsageError(
                f"turn '{shown[0]}' relaxes tokens, and the discriminator reads words: play text/seqgan, or take "
                "another one, such as text/cnn"
            )

    @property
    def log_ratio(self) -> bool:
        """Of soft tokens a discriminator says how soft they are."""
        return self.straight_through and super().log_ratio

    def real(self, batch: Batch) -> Tensor:
        tokens = super().real(batch)
        if not (self.penalties or self.lazy_penalties):
            return tokens
        return F.one_hot(tokens, self.spec.vocab_size).to(torch.get_default_dtype())

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
