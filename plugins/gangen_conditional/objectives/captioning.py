"""Captioning: a text about a picture, first by imitation, then against a discriminator that sees both."""

from typing import Any

from torch import Tensor

from gangen import Batch, Clock, Players, Schedule, Stats, needs, updates
from gangen_conditional.objectives.matching import MatchingGame
from gangen_conditional.spec import TextFromSpec


class Captioning(MatchingGame):
    """Imitation, then policy gradient (Dai et al. 2017, with the estimator and the options of SeqGAN) or, as the turn
    ``relax``, straight-through Gumbel-softmax of a ``temperature`` that may follow a schedule (Jang et al. 2017).

    The discriminator, that of ``conditional/joint``, is matching-aware: to it a caption of another picture is a fake
    too, unless ``matching`` is false.
    """

    def __init__(self, spec: TextFromSpec, *, temperature: Schedule = 1.0, **options: Any) -> None:
        super().__init__(spec, **options)
        self.temperature = Schedule.of(temperature)

    @updates("generator")
    @needs(generator="relaxed")
    def relax(self, players: Players, batch: Batch, clock: Clock) -> tuple[Tensor, Stats]:
        """Fool the discriminator with texts whose gradient is that of relaxed ones, by backpropagation."""
        temperature = self.temperature(clock)
        texts = players.generator.relaxed(len(batch["tokens"]), batch, temperature=temperature, straight_through=True)
        return self.fool(players, batch, texts, batch), {}
