"""Direct discriminative optimisation: the likelihood ratio of the generator to what it was is the discriminator."""

from typing import Annotated

import torch
from annotated_types import Ge, Gt
from torch import Tensor
from torch.nn.functional import softplus

from gangen import Batch, Clock, Players, Stats, needs, updates
from gangen_text.objectives.reference import LikelihoodRatioGame
from gangen_text.objectives.turns import idle
from gangen_text.spec import TextSpec


class DDO(LikelihoodRatioGame):
    """Direct discriminative optimisation (Zheng et al., 2025): a GAN whose discriminator has no network of its own.

    The best logit that tells real texts from those of a ``reference`` is log p(real) - log p(reference). So here it is
    s(x) = ``beta`` (log p(x) - log p_reference(x)), with p the generator, who learns to write real texts by learning to
    tell them: ``-E_real[log D] - alpha E_reference[log(1 - D)]``, D = sigmoid(s), is its loss. ``alpha`` weighs the
    reference's texts, and a ``beta`` below 1 softens the ratios of long ones, which are large.

    The reference is a player, a frozen copy: ``reference: {kind: generators, copy_of: generator}``, taken as a phase
    begins; ``copy_of: {player: generator, every: 200}`` takes it anew, the paper's rounds. Ratios are computed
    without dropout; the gradient has the generator's. ``policy`` teaches nobody, so that recipes of others play this.
    """

    policy = idle

    def __init__(
        self, spec: TextSpec, *, alpha: Annotated[float, Ge(0)] = 1.0, beta: Annotated[float, Gt(0)] = 1.0
    ) -> None:
        super().__init__(spec, beta=beta)
        self.alpha = alpha

    @updates("generator")
    @needs(generator="log_prob", reference=("sample", "log_prob"))
    def discriminate(self, players: Players, batch: Batch, clock: Clock) -> tuple[Tensor, Stats]:
        """Tell real texts from as many of the reference, by being likelier on the real ones."""
        with torch.no_grad():
            fakes = players.reference.sample(len(batch["tokens"]), batch)
        real, fake = (self.logits(players, tokens, batch) for tokens in (batch["tokens"], fakes))
        loss = softplus(-real).mean() + self.alpha * softplus(fake).mean()
        return loss, self.figures(real, fake)
