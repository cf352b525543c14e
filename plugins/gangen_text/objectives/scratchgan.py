"""ScratchGAN: every token is rewarded by a discriminator that reads along, and no likelihood is taught before."""

from collections.abc import Callable
from typing import Annotated

import torch
from annotated_types import Interval
from torch import Tensor
from torch.nn.functional import softplus

from gangen import (
    Batch,
    Clock,
    Mean,
    NonSaturating,
    Players,
    Stats,
    all_sum,
    at_least_float32,
    evaluating,
    needs,
    updates,
)
from gangen_text.objectives.turns import TextGame, token_mean
from gangen_text.spec import TextSpec


class ScratchGAN(TextGame):
    """De Masson d'Autume et al. (2019): REINFORCE with a reward for each token.

    The discriminator judges each prefix, p_t the probability that x_1..x_t begins a real text (their equation 2); the
    loss is the mean cross-entropy over prefixes. Token t earns r_t = 2 p_t - 1, and its value is the discounted sum
    R_t = r_t + ``discount`` R_(t+1) (section 3). The generator's loss is ``-E[(R_t - b) log p(x_t | x_1..x_(t-1))]``
    over tokens, where b is a moving average, with ``decay``, of the mean value in earlier plays, part of a checkpoint.

    Without ``imitate`` it learns from nothing but the game, which takes batches of 512 or more.
    """

    baseline: Tensor
    earned: Tensor

    def __init__(
        self,
        spec: TextSpec,
        *,
        discount: Annotated[float, Interval(ge=0, le=1)] = 0.23,
        decay: Annotated[float, Interval(ge=0, lt=1)] = 0.08,
    ) -> None:
        super().__init__(spec, loss=NonSaturating())
        self.needs = {"discriminator": ("prefixes",)}
        self.discount = discount
        self.decay = decay
        self.register_buffer("baseline", torch.zeros(()))
        # The sum and number of values of the play before: micro-batches of one play have the same baseline.
        self.register_buffer("earned", torch.zeros(2))

    def judge(self, players: Players, condition: Batch) -> Callable[[Tensor], Tensor]:
        """What maps rows to logits of all their prefixes, float ``[B, L]``."""
        return lambda rows: at_least_float32(players.discriminator.prefixes(rows, condition))

    def tell_apart(
        self, players: Players, batch: Batch, real: Tensor, fake: Tensor, clock: Clock
    ) -> tuple[Mean, Stats]:
        said_real, said_fake = self.verdicts(players, batch, real, fake)
        of_real, of_fake = self.spec.mask(real), self.spec.mask(fake)
        # Over the prefixes of both: a mean of each would take every prefix for one of the side with shorter texts.
        loss = token_mean(torch.cat([softplus(-said_real), softplus(said_fake)]) * 2, torch.cat([of_real, of_fake]))
        right = (
            token_mean((said_real > 0).double(), of_real).value + token_mean((said_fake < 0).double(), of_fake).value
        )
        means = token_mean(said_real, of_real).value, token_mean(said_fake, of_fake).value
        return loss, {"accuracy": right / 2, "real": means[0], "fake": means[1]}

    @updates("generator")
    @needs(generator=("sample", "log_prob"))
    def policy(self, players: Players, batch: Batch, clock: Clock) -> tuple[Mean, Stats]:
        """Make tokens whose value is above the moving average more likely."""
        with torch.no_grad():
            tokens = players.generator.sample(len(batch["tokens"]), batch)
            mask = self.spec.mask(tokens)
            with evaluating(players.discriminator):
                rewards = (self.judge(players, batch)(tokens) / 2).tanh()  # = 2 sigmoid - 1
            values = self.returns(rewards * mask)
            if not clock.micro and self.earned[1]:
                self.baseline.lerp_(self.earned[0] / self.earned[1], 1 - self.decay)
                self.earned.zero_()
            self.earned += all_sum(torch.stack([(values * mask).sum(), mask.sum()]))
            advantages = values - self.baseline
        log_prob = players.generator.log_prob(tokens, batch)
        return token_mean(-advantages * log_prob, mask), {
            "reward": token_mean(rewards, mask).value,
            "length": mask.sum(1).float().mean(),
        }

    def returns(self, rewards: Tensor) -> Tensor:
        """Discounted sums of what follows, float ``[B, L]`` as ``rewards``, which are 0 behind the end."""
        values = torch.zeros_like(rewards)
        after = torch.zeros_like(rewards[:, 0])
        for t in reversed(range(rewards.shape[1])):
            values[:, t] = after = rewards[:, t] + self.discount * after
        return values
