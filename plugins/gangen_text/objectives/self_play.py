"""Self-play fine-tuning: the generator learns to prefer real texts to those of what it was."""

from typing import Annotated

import torch
from annotated_types import Gt
from torch import Tensor
from torch.nn.functional import softplus

from gangen import Batch, Clock, Players, Stats, needs, updates
from gangen_text.objectives.reference import LikelihoodRatioGame
from gangen_text.objectives.turns import idle
from gangen_text.spec import TextSpec


class SelfPlay(LikelihoodRatioGame):
    """SPIN (Chen et al., 2024, equation 4.7): ``-log sigmoid(s(real) - s(own))``, where the text of its own is one that
    the reference writes to the same prompt, and s is ``beta`` times the log-ratio of generator and reference.

    That is the loss of DPO (Rafailov et al., 2023) with real texts preferred. ``reference: {kind: generators, copy_of:
    {player: generator, every: 200}}`` is the generator of the round before; a copy that is never taken anew makes it
    SODA's static snapshot. ``discriminate`` teaches nobody, so that recipes of others play this.
    """

    discriminate = idle

    def __init__(self, spec: TextSpec, *, beta: Annotated[float, Gt(0)] = 0.1) -> None:
        super().__init__(spec, beta=beta)

    @updates("generator")
    @needs(generator="log_prob", reference=("sample", "log_prob"))
    def policy(self, players: Players, batch: Batch, clock: Clock) -> tuple[Tensor, Stats]:
        """Gain more likelihood for real texts than for as many of the reference."""
        with torch.no_grad():
            own = players.reference.sample(len(batch["tokens"]), batch)
        real, fake = (self.logits(players, tokens, batch) for tokens in (batch["tokens"], own))
        figures = self.figures(real, fake) | {"accuracy": (real > fake).float().mean()}
        return softplus(fake - real).mean(), figures
