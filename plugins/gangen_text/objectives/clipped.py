"""What games share that reward a language model for whole texts: clipped ratios, and a reference that it stays near."""

from abc import abstractmethod
from collections.abc import Collection
from typing import Annotated, Any, NamedTuple

from annotated_types import Ge, Interval
from torch import Tensor

from gangen import Batch, Clock, Mean, Players, Stats, UsageError, evaluating, needs, updates
from gangen_text.objectives.estimators import KL, clipped_gain, kl_estimate
from gangen_text.objectives.reference import refuse_learning
from gangen_text.objectives.turns import TextGame, token_mean
from gangen_text.spec import TextSpec


class Answers(NamedTuple):
    """What a turn is played with: rows with "tokens" to learn from, their advantages float ``[n]``, and figures."""

    rows: Batch
    advantages: Tensor
    figures: Stats


class ClippedPolicyGame(TextGame):
    """Base of games that learn by PPO's clipped ratios without a value network (Schulman et al., 2017).

    ``clip`` bounds ratios of probabilities where the same answers are learned from several times: ``policy: 2`` plays
    the turn twice in a step, the second time with the answers of the first. ``kl`` weighs the divergence from a
    ``reference``, a player that is a frozen copy, as ``{kind: generators, copy_of: generator}``; its estimate is of the
    form ``kl_form``, see ``objectives.estimators``.
    """

    def __init__(
        self,
        spec: TextSpec,
        loss: Any,
        *,
        clip: Annotated[float, Interval(gt=0, lt=1)] = 0.2,
        kl: Annotated[float, Ge(0)] = 0.001,
        kl_form: KL = "k3",
    ) -> None:
        super().__init__(spec, loss=loss)
        self.clip = clip
        self.kl = kl
        self.kl_form = kl_form
        self.needs = {"reference": ["log_prob"] if kl else []}
        self._answers: dict[int, tuple[Answers, Tensor]] = {}  # of this step, and how likely, by micro-batch

    @abstractmethod
    def answers(self, players: Players, batch: Batch) -> Answers:
        """What to learn from, without gradient."""

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
    def policy(self, players: Players, batch: Batch, clock: Clock) -> tuple[Mean, Stats]:
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
        losses = -clipped_gain(log_prob, before, advantages[:, None], self.clip)
        beyond = ((log_prob - before).exp() - 1).abs() > self.clip
        stats = figures | {"clipped": token_mean(beyond.to(log_prob.dtype), mask).value}
        if self.kl:
            with evaluating(players.reference):
                reference = players.reference.log_prob(tokens, rows)
            divergence = kl_estimate(log_prob, reference, self.kl_form)
            losses, stats = losses + self.kl * divergence, stats | {"kl": token_mean(divergence, mask).value}
        return token_mean(losses, mask), stats
