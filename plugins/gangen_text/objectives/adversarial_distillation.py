"""Generative adversarial distillation: the student is rewarded by a discriminator that knows it from its teacher."""

from typing import Annotated, Any

import torch
from annotated_types import Ge
from torch import Tensor

from gangen import Batch, Part, Players, evaluating, one_each
from gangen_text.objectives.clipped import Answers, ClippedPolicyGame
from gangen_text.objectives.estimators import group_advantages
from gangen_text.spec import TextSpec


class AdversarialDistillation(ClippedPolicyGame):
    """GAD (Ye et al., 2025, arXiv 2511.10643): black-box distillation against a discriminator that learns along.

    The discriminator learns by ``loss`` to score a teacher's answer above the student's to the same prompt (by default
    the Bradley-Terry loss of the paper). The student writes a ``group`` of answers to each prompt, whose scores are
    rewards; an answer's advantage is how much better it is than its group (GRPO, Shao et al., 2024), ``scaled`` by the
    group's deviation. ``clip`` bounds ratios of probabilities where the same answers are learned from several times,
    by ``policy: 2``. ``kl`` weighs the divergence from a ``reference``, and ``kl_form`` is the form of its estimate:
    see ``objectives.clipped``.

    The paper warms up both: a first phase has the turns ``{imitate: 1, discriminate: 1}``, and the second has
    ``{discriminate: 1, policy: 1}``.
    """

    def __init__(
        self,
        spec: TextSpec,
        *,
        loss: Annotated[Any, Part("losses")] = "relativistic_paired",
        group: Annotated[int, Ge(2)] = 8,
        scaled: bool = True,
        **options: Any,
    ) -> None:
        super().__init__(spec, loss, **options)
        self.group = group
        self.scaled = scaled

    def answers(self, players: Players, batch: Batch) -> Answers:
        """A group of answers to each prompt, next to each other."""
        rows = {name: column.repeat_interleave(self.group, dim=0) for name, column in batch.items()}
        with torch.no_grad():
            rows["tokens"] = players.generator.sample(len(rows["tokens"]), rows)
        rewards = self.rewards(players, rows["tokens"], rows).unflatten(0, (-1, self.group))
        advantages = group_advantages(rewards, scaled=self.scaled).flatten()
        length = self.spec.mask(rows["tokens"]).sum(1).to(rewards.dtype).mean()
        return Answers(rows, advantages, {"reward": rewards.mean(), "length": length})

    def rewards(self, players: Players, texts: Tensor, condition: Batch) -> Tensor:
        """What the discriminator says of whole texts, float ``[n]``, without a graph."""
        with evaluating(players.discriminator):
            return one_each(self.judge(players, condition)(texts))
