"""Captioning: a text about a picture, first by imitation, then against a discriminator that sees both."""

from typing import Any

from torch import Tensor

from gangen import Batch, Clock, Players, Schedule, Stats, evaluating, needs, updates
from gangen_conditional.objectives.matching import MatchingGame
from gangen_conditional.spec import TextFromSpec
from gangen_text import token_mean


class Captioning(MatchingGame):
    """Imitation, then policy gradient (Dai et al. 2017, with the estimator and the options of SeqGAN) or, as the turn
    ``relax``, straight-through Gumbel-softmax of a ``temperature`` that may follow a schedule (Jang et al. 2017).

    The discriminator, that of ``conditional/joint``, is matching-aware: to it a caption of another picture is a fake
    too, unless ``matching`` is false.
    """

    def __init__(self, spec: TextFromSpec, *, temperature: Schedule = 1.0, **options: Any) -> None:
        super().__init__(spec, **options)
        self.temperature = Schedule.of(temperature)

    @updates()
    @needs(discriminator="begin_as")
    def hand_over(self, players: Players, batch: Batch, clock: Clock) -> tuple[None, Stats]:
        """Let the discriminator begin with what the generator has learned to see: from verdicts alone it learns that
        late, and until then takes what is said of things that are not there for real.

        Its figure is how well these are: the negative log-likelihood, as in ``imitate``.
        """
        generator = players.averaged("generator")
        players.discriminator.begin_as(generator)
        with evaluating(generator):
            log_prob = generator.log_prob(batch["tokens"], batch)
        return None, {"nll": token_mean(-log_prob, self.spec.mask(batch["tokens"])).value}

    @updates("generator")
    @needs(generator="relaxed")
    def relax(self, players: Players, batch: Batch, clock: Clock) -> tuple[Tensor, Stats]:
        """Fool the discriminator with texts whose gradient is that of relaxed ones, by backpropagation."""
        temperature = self.temperature(clock)
        texts = players.generator.relaxed(len(batch["tokens"]), batch, temperature=temperature, straight_through=True)
        return self.fool(players, batch, texts, batch), {}
