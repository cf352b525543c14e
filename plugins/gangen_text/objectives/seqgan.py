"""SeqGAN: the discriminator's verdict on whole texts becomes a reward for every token, by policy gradient."""

from typing import Annotated, Any, Literal

from annotated_types import Ge
from torch import Tensor

from gangen import Batch, Clock, Part, Players, Stats, evaluating, one_each
from gangen_text.objectives.rollouts import PolicyGradient
from gangen_text.spec import TextSpec


class SeqGAN(PolicyGradient):
    """Yu et al. (2017): REINFORCE with the action value of a token estimated by Monte-Carlo rollouts (equations 4, 7).

    The reward of a text is the discriminator's ``probability`` that it is real, as in the paper, or its ``logit``.

    ``loss`` is the discriminator's; the generator learns from rewards. ``reward`` is the probability or the logit.
    ``l2`` times half the squared norm of its ``output`` layer is added to the discriminator's loss, published with 0.2.
    """

    def __init__(
        self,
        spec: TextSpec,
        *,
        loss: Annotated[Any, Part("losses")] = "non_saturating",
        reward: Literal["probability", "logit"] = "probability",
        l2: Annotated[float, Ge(0)] = 0.0,
        **options: Any,
    ) -> None:
        super().__init__(spec, loss, **options)
        self.reward = reward
        self.l2 = l2
        self.needs = {"discriminator": ["output"] if l2 else []}

    def tell_apart(
        self, players: Players, batch: Batch, real: Tensor, fake: Tensor, clock: Clock
    ) -> tuple[Tensor, Stats]:
        loss, stats = super().tell_apart(players, batch, real, fake, clock)
        if self.l2:
            loss = loss + self.l2 / 2 * sum(it.square().sum() for it in players.discriminator.output.parameters())
        return loss, stats

    def rewards(self, players: Players, texts: Tensor, condition: Batch, rows: Tensor) -> Tensor:
        """See RolloutGame."""
        with evaluating(players.discriminator):
            logits = one_each(self.logits_of(players, texts, condition, rows))
        return logits.sigmoid() if self.reward == "probability" else logits

    def logits_of(self, players: Players, texts: Tensor, condition: Batch, rows: Tensor) -> Tensor:
        """The discriminator's, float ``[n]``, of texts with the conditions of their ``rows``: see RolloutGame."""
        return players.discriminator(texts, {name: column[rows] for name, column in condition.items()})
