"""MaliGAN: own texts are imitated, each as much as the discriminator holds it likelier among real texts."""

from typing import Annotated, Any

import torch
from annotated_types import Interval

from gangen import Batch, Clock, Mean, Part, Players, Schedule, Stats, all_mean, needs, updates
from gangen_text.objectives.turns import LogRatioGame, normalised, token_mean
from gangen_text.spec import TextSpec


class MaliGAN(LogRatioGame):
    """Che et al. (2017): maximum likelihood on the generator's own texts, weighted as if they were drawn from the data.

    With s the logit of the best discriminator, exp(s) = D / (1 - D) is p(real) / p(generated), so the weights
    w = n exp(s) / sum exp(s) of the n texts of all processes make its own texts real ones, and
    ``policy`` follows ``E[(w - b) grad log p(text)]``. As weights are 1 in the mean, so is the ``baseline`` b of small
    variance; with 0, from which the paper raises it, this is imitation of what the weights choose.

    ``loss`` is the discriminator's, and is to teach it log-ratios.
    """

    def __init__(
        self,
        spec: TextSpec,
        *,
        loss: Annotated[Any, Part("losses")] = "non_saturating",
        baseline: Annotated[Schedule, Interval(ge=0, le=1)] = 1.0,
    ) -> None:
        super().__init__(spec, loss=loss)
        self.baseline = Schedule.of(baseline)

    @updates("generator")
    @needs(generator=("sample", "log_prob"), discriminator="forward")
    def policy(self, players: Players, batch: Batch, clock: Clock) -> tuple[Mean, Stats]:
        """Make texts whose weights are above the baseline more likely: ``-E[(w - b) log p(token)]`` over tokens."""
        with torch.no_grad():
            texts = players.generator.sample(len(batch["tokens"]), batch)
        log_ratios = self.log_ratios(players, texts, batch)
        weights = normalised(log_ratios)
        advantages = (weights - self.baseline(clock)).unsqueeze(1)
        loss = token_mean(-advantages * players.generator.log_prob(texts, batch), self.spec.mask(texts))
        # Kish's effective sample size, as a share: near 0 a few texts have all the weight.
        return loss, {"log_ratio": log_ratios.mean(), "effective": 1 / all_mean(weights.square().mean())}
