"""Cooperative training: a mediator learns the mixture of real and generated text, and the generator follows it."""

import torch
from torch import Tensor

from gangen import Batch, Clock, Mean, NonSaturating, Players, Stats, all_mean, evaluating, needs, updates
from gangen_text.objectives.turns import TextGame, token_mean
from gangen_text.spec import TextSpec


class CoT(TextGame):
    """Cooperative training (Lu et al., 2019): less Jensen-Shannon divergence from real text, by likelihoods alone.

    ``mediate`` teaches the ``mediator``, a network of the generator's kind, the mixture M of real and
    generated texts by maximum likelihood. ``cooperate`` brings the generator G nearer to it: the divergence KL(G || M)
    of the next token, summed over the vocabulary, at all places of texts that G wrote. So the gradient has none of the
    variance of drawn tokens; what the choice of one does to later places is left out, as in the paper.

    Nobody is fooled and there is no discriminator. The mediator may begin as the generator: ``{init: generator}``.
    """

    discriminate = None  # no turn
    log_ratio = False

    def __init__(self, spec: TextSpec) -> None:
        super().__init__(spec, loss=NonSaturating())

    @updates("mediator")
    @needs(generator="sample", mediator="log_prob")
    def mediate(self, players: Players, batch: Batch, clock: Clock) -> tuple[Mean, Stats]:
        """Learn the mixture: minus the mean log-probability of a token, of real texts and of as many generated."""
        with torch.no_grad():
            fake = players.generator.sample(len(batch["tokens"]), batch)
        masks = [self.spec.mask(tokens) for tokens in (batch["tokens"], fake)]
        said = [-players.mediator.log_prob(tokens, batch) for tokens in (batch["tokens"], fake)]
        # Over the tokens of both: a mean of each would count texts for more the shorter they are on their side.
        loss = token_mean(torch.cat(said), torch.cat(masks))
        real, generated = (token_mean(*side).value for side in zip(said, masks, strict=True))
        return loss, {"real": real, "fake": generated}

    @updates("generator")
    @needs(generator=("sample", "log_distributions"), mediator="log_distributions")
    def cooperate(self, players: Players, batch: Batch, clock: Clock) -> tuple[Tensor, Stats]:
        """Follow the mediator: KL(G || M) of the next token, mean over the places of the generator's own texts."""
        with torch.no_grad():
            texts = players.generator.sample(len(batch["tokens"]), batch)
        with evaluating(players.mediator):
            mixture = players.mediator.log_distributions(texts, batch)
        own = players.generator.log_distributions(texts, batch)
        # Tokens that are no text have probability 0 under both, and no part in the sum.
        differences = (own - mixture).masked_fill(own.isneginf(), 0.0)
        return (own.exp() * differences).sum() / all_mean(own.new_tensor(len(own))), {}
