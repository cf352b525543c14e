"""What games share that look at a generator beside what it was: a frozen copy, and the ratio of both likelihoods."""

from collections.abc import Collection
from typing import Annotated

from annotated_types import Gt
from torch import Tensor

from gangen import Batch, NonSaturating, Players, UsageError, evaluating
from gangen_text.objectives.turns import TextGame
from gangen_text.spec import TextSpec


class LikelihoodRatioGame(TextGame):
    """Base of games that weigh texts by s(x) = ``beta`` (log p(x) - log p_reference(x)), with p the generator.

    The reference is a player, a frozen copy: ``reference: {kind: generators, copy_of: generator}``, taken as a phase
    begins; ``copy_of: {player: generator, every: 200}`` takes it anew. Ratios are computed without dropout; the
    gradient has the generator's.
    """

    log_ratio = False  # the generator's own ratio, not that of a player that samplers could choose by

    def __init__(self, spec: TextSpec, *, beta: Annotated[float, Gt(0)] = 1.0) -> None:
        super().__init__(spec, loss=NonSaturating())
        self.beta = beta

    def check(self, players: Players, turns: Collection[str]) -> None:
        """Raises UsageError for a reference that is no frozen copy."""
        super().check(players, turns)
        if "reference" in players:
            refuse_learning(players)

    def logits(self, players: Players, tokens: Tensor, condition: Batch) -> Tensor:
        """The scaled log-ratio of texts, float ``[B]``."""
        with evaluating(players.generator, players.reference):
            exact = players.generator.log_prob(tokens, condition).sum(1)
            before = players.reference.log_prob(tokens, condition).sum(1)
        learned = players.generator.log_prob(tokens, condition).sum(1)
        return self.beta * (exact + (learned - learned.detach()) - before)


def refuse_learning(players: Players) -> None:
    """Raises UsageError for a game whose reference is not there, or learns."""
    if "reference" not in players or any(it.requires_grad for it in players.reference.parameters()):
        raise UsageError(
            "the reference is to be the generator as it was, and stay that; give the recipe "
            "players.reference={kind: generators, copy_of: generator}"
        )
