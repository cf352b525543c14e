"""SeqGAN: the discriminator's verdict on whole texts becomes a reward for every token, by policy gradient."""

from typing import Annotated, Any, Literal

import torch
from annotated_types import Ge
from torch import Tensor

from gangen import Batch, Clock, Part, Players, Stats, evaluating, needs, updates
from gangen_text.objectives.turns import TextGame, moments, token_mean
from gangen_text.spec import TextSpec


class SeqGAN(TextGame):
    """Yu et al. (2017): REINFORCE with the action value of a token estimated by Monte-Carlo rollouts (equations 4, 7).

    The value of token t is the mean reward of ``rollouts`` texts that keep tokens 1..t and go on by themselves; that of
    the last token is the reward of the text itself. The reward of a text is the discriminator's ``probability`` that it
    is real, as in the paper, or its ``logit``. With a ``stride`` above 1 only every stride-th prefix is rolled out, and
    tokens between two of them share the value of the next; with one of the texts' length or more there are no rollouts,
    and the value of every token is the reward of its text (Williams, 1992).

    ``baseline`` is subtracted from the values: their mean at the same ``position``, or the value of the ``prefix``
    before the token (so that a token is credited with what it changed). ``whiten`` then makes their mean zero and their
    deviation one. Both run over the batches of all processes. ``rollout_with: average`` lets the moving average of the
    generator roll out.

    ``loss`` is the discriminator's; the generator learns from rewards. ``reward`` is the probability or the logit.
    """

    def __init__(
        self,
        spec: TextSpec,
        *,
        loss: Annotated[Any, Part("losses")] = "non_saturating",
        rollouts: Annotated[int, Ge(1)] = 16,
        stride: Annotated[int, Ge(1)] = 1,
        reward: Literal["probability", "logit"] = "probability",
        baseline: Literal["none", "position", "prefix"] = "position",
        whiten: bool = True,
        rollout_with: Literal["current", "average"] = "current",
    ) -> None:
        super().__init__(spec, loss=loss)
        self.rollouts = rollouts
        self.stride = stride
        self.reward = reward
        self.baseline = baseline
        self.whiten = whiten
        self.rollout_with = rollout_with

    @updates("generator")
    @needs(generator=("sample", "log_prob", "rollout"))
    def policy(self, players: Players, batch: Batch, clock: Clock) -> tuple[Tensor, Stats]:
        """Make tokens whose values are above the baseline more likely: ``-E[advantage * log p(token)]`` over tokens."""
        with torch.no_grad():
            tokens = players.generator.sample(len(batch["tokens"]), batch)
            mask = self.spec.mask(tokens)
            values = self.values(players, tokens, batch)
            advantages = self.advantages(values, mask)
        log_prob = players.generator.log_prob(tokens, batch)
        return -token_mean(advantages * log_prob, mask), {
            "reward": values[:, -1].mean(),
            "length": mask.sum(1).float().mean(),
        }

    def values(self, players: Players, tokens: Tensor, condition: Batch) -> Tensor:
        """Action values, float ``[B, L]``: column t is the value of choosing token t after the tokens before it."""
        roller = players.averaged("generator") if self.rollout_with == "average" else players.generator
        ways = list(roller.rollout(tokens, condition, count=self.rollouts, stride=self.stride))
        prefixes, rolled = [t for t, _ in ways], [texts for _, texts in ways]
        # One call for all: a discriminator that makes tables of what tokens contribute makes them once.
        texts, rows = torch.cat([*rolled, tokens]), torch.arange(len(tokens), device=tokens.device)
        rows = torch.cat([*[rows.repeat_interleave(self.rollouts)] * len(rolled), rows])
        rewards = self.rewards(players, texts, condition, rows)
        of_rollouts, of_texts = rewards.split([len(texts) - len(tokens), len(tokens)])
        of_prefixes = of_rollouts.reshape(len(rolled), len(tokens), self.rollouts).mean(dim=2)
        shares = torch.tensor([t - before for before, t in zip((0, *prefixes), prefixes, strict=False)])
        columns = of_prefixes.repeat_interleave(shares.long().to(tokens.device), dim=0).t()
        last = of_texts.unsqueeze(1).expand(-1, tokens.shape[1] - columns.shape[1])
        return torch.cat([columns, last], dim=1)

    def rewards(self, players: Players, texts: Tensor, condition: Batch, rows: Tensor) -> Tensor:
        """What whole texts earn, float ``[n]``, as the discriminator has it; see ``logits_of``."""
        with evaluating(players.discriminator):
            logits = self.logits_of(players, texts, condition, rows)
        return logits.sigmoid() if self.reward == "probability" else logits

    def logits_of(self, players: Players, texts: Tensor, condition: Batch, rows: Tensor) -> Tensor:
        """The discriminator's, float ``[n]``, of texts int64 ``[n, L]`` of which each has the condition of the row that
        ``rows``, int64 ``[n]``, says: many texts have that of the same.
        """
        return players.discriminator(texts, {name: column[rows] for name, column in condition.items()})

    def advantages(self, values: Tensor, mask: Tensor) -> Tensor:
        """``values`` less the baseline, whitened where asked; float ``[B, L]``, meaningful where ``mask``."""
        if self.baseline == "position":
            values = values - moments(values, mask, dim=0)[0]
        elif self.baseline == "prefix":
            before = torch.cat([moments(values[:, :1], mask[:, :1])[0].expand(len(values), 1), values[:, :-1]], dim=1)
            values = values - before
        if self.whiten:
            mean, deviation = moments(values, mask)
            values = (values - mean) / deviation.clamp(min=1e-8)
        return values
