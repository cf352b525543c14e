"""What games share that reward whole texts: the value of each token by rollouts, and a policy gradient."""

from abc import abstractmethod
from typing import Annotated, Any, Literal

import torch
from annotated_types import Ge
from torch import Tensor, nn

from gangen import Batch, Clock, Mean, Players, Stats, needs, updates
from gangen_text.objectives.turns import TextGame, moments, token_mean
from gangen_text.spec import TextSpec


class RolloutGame(TextGame):
    """Base of games that estimate what a token is worth by Monte-Carlo rollouts (Yu et al. 2017, equation 4).

    The value of token t is the mean reward of ``rollouts`` texts that keep tokens 1..t and go on by themselves; that of
    the last token is the reward of the text itself. With a ``stride`` above 1 only every stride-th prefix is rolled
    out, and tokens between two of them share the value of the next; with one of the texts' length or more there are no
    rollouts, and the value of every token is the reward of its text (Williams, 1992). ``rollout_with: average`` lets
    the moving average of the generator roll out.
    """

    def __init__(
        self,
        spec: TextSpec,
        loss: Any,
        *,
        rollouts: Annotated[int, Ge(1)] = 16,
        stride: Annotated[int, Ge(1)] = 1,
        rollout_with: Literal["current", "average"] = "current",
    ) -> None:
        super().__init__(spec, loss=loss)
        self.rollouts = rollouts
        self.stride = stride
        self.rollout_with = rollout_with

    @abstractmethod
    def rewards(self, players: Players, texts: Tensor, condition: Batch, rows: Tensor) -> Tensor:
        """What whole texts int64 ``[n, L]`` earn, float ``[n]``, without gradient.

        Each has the condition of the row that ``rows``, int64 ``[n]``, says: many texts have that of the same.
        """

    def roller(self, players: Players) -> nn.Module:
        """The network that rolls out."""
        return players.averaged("generator") if self.rollout_with == "average" else players.generator

    def values(self, players: Players, tokens: Tensor, condition: Batch) -> Tensor:
        """Action values, float ``[B, L]``: column t is the value of choosing token t after the tokens before it."""
        ways = list(self.roller(players).rollout(tokens, condition, count=self.rollouts, stride=self.stride))
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


class PolicyGradient(RolloutGame):
    """Base of games that learn by REINFORCE with the values of tokens (Williams, 1992; Yu et al. 2017, equation 7).

    ``baseline`` is subtracted from the values: their mean at the same ``position``, or the value of the ``prefix``
    before the token (so that a token is credited with what it changed). ``whiten`` then makes their mean zero and their
    deviation one. Both run over the batches of all processes.
    """

    def __init__(
        self,
        spec: TextSpec,
        loss: Any,
        *,
        baseline: Literal["none", "position", "prefix"] = "position",
        whiten: bool = True,
        **options: Any,
    ) -> None:
        super().__init__(spec, loss, **options)
        self.baseline = baseline
        self.whiten = whiten

    @updates("generator")
    @needs(generator=("sample", "log_prob", "rollout"))
    def policy(self, players: Players, batch: Batch, clock: Clock) -> tuple[Mean, Stats]:
        """Make tokens whose values are above the baseline more likely: ``-E[advantage * log p(token)]`` over tokens."""
        with torch.no_grad():
            tokens = players.generator.sample(len(batch["tokens"]), batch)
            mask = self.spec.mask(tokens)
            values = self.values(players, tokens, batch)
            advantages = self.advantages(values, mask)
        log_prob = players.generator.log_prob(tokens, batch)
        return token_mean(-advantages * log_prob, mask), {
            "reward": values[:, -1].mean(),
            "length": mask.sum(1).float().mean(),
        }

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
