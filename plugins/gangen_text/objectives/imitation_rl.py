"""Imitation by reinforcement: texts are rewarded that pass for the real ones, and real ones are mixed in."""

from typing import Annotated, Any

import torch
from annotated_types import Interval

from gangen import Batch, Part, Players, evaluating, noise, one_each
from gangen_text.objectives.clipped import Answers, ClippedPolicyGame
from gangen_text.objectives.turns import moments
from gangen_text.spec import TextSpec


class ImitationRL(ClippedPolicyGame):
    """TextGAIL (Wu et al., 2021): PPO against a contrastive discriminator, with demonstrations mixed in.

    The discriminator sees a real text and one of the generator to the same prompt, and says which is real, by a softmax
    of both scores; the reward of the latter is the probability that it is taken for the real one. Of the rows that are
    learned from the share ``demonstrations`` are real texts, whose reward is the constant ``reward``. Advantages are
    rewards, less their mean and in units of their deviation over the batch of all processes.

    ``loss`` is the discriminator's; that of the paper is the default. ``clip`` bounds ratios of probabilities where
    the same texts are learned from several times, by ``policy: 2``. ``kl`` weighs the divergence from a ``reference``,
    and ``kl_form`` is the form of its estimate: see ``objectives.clipped``. Turns are as in
    ``text/adversarial_distillation``.
    """

    def __init__(
        self,
        spec: TextSpec,
        *,
        loss: Annotated[Any, Part("losses")] = "relativistic_paired",
        demonstrations: Annotated[float, Interval(ge=0, lt=1)] = 0.3,
        reward: float = 1.0,
        **options: Any,
    ) -> None:
        super().__init__(spec, loss, **options)
        self.demonstrations = demonstrations
        self.reward = reward

    def answers(self, players: Players, batch: Batch) -> Answers:
        """One text for each row of the batch, its own or the real one."""
        real, count = batch["tokens"], len(batch["tokens"])
        with torch.no_grad():
            own = players.generator.sample(count, batch)
        with evaluating(players.discriminator):
            said_real, said_own = map(one_each, self.verdicts(players, batch, real, own))
        passed = (said_own - said_real).sigmoid()
        shown = noise.uniform(count, device=passed.device, dtype=passed.dtype) < self.demonstrations
        rewards = torch.where(shown, self.reward, passed)[:, None]
        mean, deviation = moments(rewards, torch.ones_like(rewards, dtype=torch.bool))
        advantages = ((rewards - mean) / deviation.clamp(min=1e-4)).squeeze(1)
        rows = {**batch, "tokens": torch.where(shown[:, None], real, own)}
        length = self.spec.mask(own).sum(1).to(passed.dtype).mean()
        return Answers(rows, advantages, {"reward": passed.mean(), "length": length})
