"""Generative adversarial distillation: the student is rewarded by a discriminator that knows it from its teacher."""

from collections.abc import Collection
from typing import Annotated, Any, NamedTuple

import torch
from annotated_types import Ge, Interval
from torch import Tensor

from gangen import Batch, Clock, Part, Players, Stats, UsageError, evaluating, needs, one_each, updates
from gangen_text.objectives.estimators import KL, clipped_gain, group_advantages, kl_estimate
from gangen_text.objectives.reference import refuse_learning
from gangen_text.objectives.turns import TextGame, token_mean
from gangen_text.spec import TextSpec


class Answers(NamedTuple):
    """What a turn is played with: rows with "tokens" that were sampled, their advantages float ``[n]``, and figures."""

    rows: Batch
    advantages: Tensor
    figures: Stats


class AdversarialDistillation(TextGame):
    """GAD (Ye et al., 2025, arXiv 2511.10643): black-box distillation against a discriminator that learns along.

    The discriminator learns by ``loss`` to score a teacher's answer above the student's to the same prompt (by default
    the Bradley-Terry loss of the paper). The student writes a ``group`` of answers to each prompt, whose scores are
    rewards; an answer's advantage is how much better it is than its group (GRPO, Shao et al., 2024), ``scaled`` by the
    group's deviation. ``clip`` bounds ratios of probabilities where the same answers are learned from several times:
    ``policy: 2`` plays the turn twice in a step, the second time with the answers of the first. ``kl`` weighs the
    divergence from a ``reference``, a player that is a frozen copy, as ``{kind: generators, copy_of: generator}``; its
    estimate is of the form ``kl_form``, see ``objectives.estimators``.

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
        clip: Annotated[float, Interval(gt=0, lt=1)] = 0.2,
        kl: Annotated[float, Ge(0)] = 0.001,
        kl_form: KL = "k3",
    ) -> None:
        super().__init__(spec, loss=loss)
        self.group = group
        self.scaled = scaled
        self.clip = clip
        self.kl = kl
        self.kl_form = kl_form
        self.needs = {"reference": ["log_prob"] if kl else []}
        self._answers: dict[int, tuple[Answers, Tensor]] = {}  # of this step, and how likely, by micro-batch

    def check(self, players: Players, turns: Collection[str]) -> None:
        """Raises UsageError for a divergence from a reference that is no frozen copy."""
        super().check(players, turns)
        if self.kl and "policy" in turns:
            try:
                refuse_learning(players)
            except UsageError as error:
                raise UsageError(f"{error}; or set objective.kl=0") from None

    @updates("generator")
    @needs(generator=("sample", "log_prob"), discriminator="forward")
    def policy(self, players: Players, batch: Batch, clock: Clock) -> tuple[Tensor, Stats]:
        """Make answers likelier that are better than others to their prompt: minus the clipped gain of a token, and
        the divergence from the reference.
        """
        if clock.repeat == 0:
            answers, before = self.answers(players, batch), None
        else:
            answers, before = self._answers[clock.micro]
        rows, advantages, figures = answers
        tokens, mask = rows["tokens"], self.spec.mask(rows["tokens"])
        log_prob = players.generator.log_prob(tokens, rows)
        if before is None:
            before = log_prob.detach()
            self._answers[clock.micro] = answers, before
        loss = -token_mean(clipped_gain(log_prob, before, advantages[:, None], self.clip), mask)
        beyond = ((log_prob - before).exp() - 1).abs() > self.clip
        stats = figures | {"clipped": token_mean(beyond.to(log_prob.dtype), mask).detach()}
        if self.kl:
            with evaluating(players.reference):
                reference = players.reference.log_prob(tokens, rows)
            divergence = token_mean(kl_estimate(log_prob, reference, self.kl_form), mask)
            loss, stats = loss + self.kl * divergence, stats | {"kl": divergence.detach()}
        return loss, stats

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
