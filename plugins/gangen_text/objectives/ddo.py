"""Direct discriminative optimisation: the likelihood ratio of the generator to what it was is the discriminator."""

from collections.abc import Collection
from typing import Annotated

import torch
from annotated_types import Ge, Gt
from torch import Tensor
from torch.nn.functional import softplus

from gangen import Batch, Clock, NonSaturating, Players, Stats, UsageError, evaluating, needs, updates
from gangen_text.objectives.turns import TextGame
from gangen_text.spec import TextSpec


class DDO(TextGame):
    """Direct discriminative optimisation (Zheng et al., 2025): a GAN whose discriminator has no network of its own.

    The best logit that tells real texts from those of a ``reference`` is log p(real) - log p(reference). So here it is
    s(x) = ``beta`` (log p(x) - log p_reference(x)), with p the generator, who learns to write real texts by learning to
    tell them: ``-E_real[log D] - alpha E_reference[log(1 - D)]``, D = sigmoid(s), is its loss. ``alpha`` weighs the
    reference's texts, and a ``beta`` below 1 softens the ratios of long ones, which are large.

    The reference is a player, a frozen copy: ``reference: {kind: generators, copy_of: generator}``, taken as a phase
    begins; ``copy_of: {player: generator, every: 200}`` takes it anew, the paper's rounds. Ratios are computed
    without dropout; the gradient has the generator's.
    """

    log_ratio = False  # the generator's own ratio, not that of a player that samplers could choose by

    def __init__(
        self, spec: TextSpec, *, alpha: Annotated[float, Ge(0)] = 1.0, beta: Annotated[float, Gt(0)] = 1.0
    ) -> None:
        super().__init__(spec, loss=NonSaturating())
        self.alpha = alpha
        self.beta = beta

    def check(self, players: Players, turns: Collection[str]) -> None:
        """Raises UsageError for a reference that is no frozen copy."""
        super().check(players, turns)
        if "reference" in players and any(it.requires_grad for it in players.reference.parameters()):
            raise UsageError(
                "the reference is to be the generator as it was, and stay that; give the recipe "
                "players.reference={kind: generators, copy_of: generator}"
            )

    @updates("generator")
    @needs(generator="log_prob", reference=("sample", "log_prob"))
    def discriminate(self, players: Players, batch: Batch, clock: Clock) -> tuple[Tensor, Stats]:
        """Tell real texts from as many of the reference, by being likelier on the real ones."""
        with torch.no_grad():
            fakes = players.reference.sample(len(batch["tokens"]), batch)
        real, fake = (self.logits(players, tokens, batch) for tokens in (batch["tokens"], fakes))
        loss = softplus(-real).mean() + self.alpha * softplus(fake).mean()
        return loss, self.figures(real, fake)

    def logits(self, players: Players, tokens: Tensor, condition: Batch) -> Tensor:
        """The scaled log-ratio of texts, float ``[B]``."""
        with evaluating(players.generator, players.reference):
            exact = players.generator.log_prob(tokens, condition).sum(1)
            before = players.reference.log_prob(tokens, condition).sum(1)
        learned = players.generator.log_prob(tokens, condition).sum(1)
        return self.beta * (exact + (learned - learned.detach()) - before)
