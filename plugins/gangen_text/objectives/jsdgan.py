"""JSD-GAN: the discriminator is known in closed form, and so is the gradient of the divergence."""

import math
from typing import Annotated

from annotated_types import Ge
from torch.nn.functional import softplus

from gangen import Batch, Clock, Mean, NonSaturating, Players, Stats, all_mean, evaluating, needs, updates
from gangen_text.objectives.turns import TextGame, normalised, token_mean
from gangen_text.spec import TextSpec


class JSDGAN(TextGame):
    """Li et al. (2019): the Jensen-Shannon divergence of training texts and generator, without a discriminator network.

    Each of so many training ``texts`` (of a label, where there are labels) has the probability 1 / texts, and the
    generator says its own p(x); so the best discriminator is D(x) = 1 / (1 + texts p(x)). All other texts have D = 0,
    and as probabilities sum to 1, the gradient of the divergence is one of likelihood on the training texts alone:
    ``E_real[w grad log p]`` / 2 with w = -(1 - D) / D log(1 - D), from 0 to 1.

    The likelier a text is already, the larger is its weight: this seeks modes. As weights are tiny, they are divided by
    their mean over the rows of all processes; the longer texts are, the fewer of a batch have nearly all the weight.
    Figure ``effective`` says how large a share.
    """

    discriminate = None  # no turn
    log_ratio = False

    def __init__(self, spec: TextSpec, *, texts: Annotated[int, Ge(1)]) -> None:
        super().__init__(spec, loss=NonSaturating())
        self.texts = texts

    @updates("generator")
    @needs(generator="log_prob")
    def generate(self, players: Players, batch: Batch, clock: Clock) -> tuple[Mean, Stats]:
        """Imitate real texts by weight: ``-E[w log p(token)]`` over tokens."""
        tokens = batch["tokens"]
        with evaluating(players.generator):
            # r = D / (1 - D), the odds that a text is real, of which w = log(1 + r) / r.
            log_odds = -math.log(self.texts) - players.generator.log_prob(tokens, batch).sum(1)
        weights = normalised(softplus(log_odds).log() - log_odds)
        log_prob = players.generator.log_prob(tokens, batch)
        loss = token_mean(-weights.unsqueeze(1) * log_prob, self.spec.mask(tokens))
        return loss, {"log_odds": log_odds.mean(), "effective": 1 / all_mean(weights.square().mean())}
