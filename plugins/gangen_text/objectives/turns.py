"""What every text game shares: imitation (maximum likelihood), and how a discriminator sees tokens."""

from collections.abc import Collection
from typing import Any

import torch
from torch import Tensor

from gangen import (
    AdversarialGame,
    Batch,
    Clock,
    Mean,
    Players,
    Stats,
    UsageError,
    all_gather,
    all_mean,
    all_sum,
    evaluating,
    name_of,
    needs,
    one_each,
    updates,
)
from gangen_text.spec import TextSpec


@updates()
def idle(self: Any, players: Players, batch: Batch, clock: Clock) -> tuple[None, Stats]:
    """A turn that teaches nobody: what others do in it this game does elsewhere, or not at all."""
    return None, {}


class TextGame(AdversarialGame):
    """Base of text objectives. Real rows are tokens int64 ``[B, L]``; fakes are such too, or float ``[B, L, V]``."""

    penalize = generate = None  # no turns: tokens have no gradient
    leaks = False  # whether turns hand the discriminator's features over to a generator that reads them

    def check(self, players: Players, turns: Collection[str]) -> None:
        """Raises UsageError for a player that reads features which this game does not hand over by ``take_leak``.

        For maximum likelihood alone too: what is learned to be read then are the features of random weights.
        """
        super().check(players, turns)
        for name, network in players.items():
            if hasattr(network, "take_leak") and not self.leaks:
                raise UsageError(
                    f"player '{name}' has a Manager that reads the discriminator's features, and this game hands none "
                    "over, so they would be those of random weights to the end; play text/leakgan, or take another "
                    f"network as {name}, such as text/lstm"
                )

    @updates("generator")
    @needs(generator="log_prob")
    def imitate(self, players: Players, batch: Batch, clock: Clock) -> tuple[Mean, Stats]:
        """Maximum likelihood: minus the mean log-probability of a true token, over the tokens of the batch."""
        tokens = batch["tokens"]
        log_prob = players.generator.log_prob(tokens, batch)
        return token_mean(-log_prob, self.spec.mask(tokens)), {}

    def verdicts(self, players: Players, batch: Batch, real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
        if fake.is_floating_point():
            return super().verdicts(players, batch, real, fake)
        # In one call, which is cheaper; neighbours stay neighbours, so that noise belongs to the batch's rows.
        both = torch.stack([real, fake], dim=1).flatten(0, 1)
        twice = {name: rows.repeat_interleave(2, dim=0) for name, rows in batch.items()}
        return self.judge(players, twice)(both).unflatten(0, (-1, 2)).unbind(1)


class LogRatioGame(TextGame):
    """Base of games that weigh texts by exp(logit), the odds that a discriminator gives them to be real.

    Raises:
        UsageError: a loss whose best discriminator says something else.
    """

    def __init__(self, spec: TextSpec, *, loss: Any) -> None:
        super().__init__(spec, loss=loss)
        if not self.log_ratio:
            raise UsageError(
                "logits are taken for log-ratios of real to generated texts, which a discriminator does not learn by "
                f"{name_of(loss)}; losses non_saturating and minimax teach them"
            )

    def log_ratios(self, players: Players, texts: Tensor, condition: Batch) -> Tensor:
        """log p(real) - log p(generated) of whole texts, as the discriminator has it: float ``[n]``, without graph."""
        with evaluating(players.discriminator):
            return one_each(self.judge(players, condition)(texts))


def token_mean(values: Tensor, mask: Tensor) -> Mean:
    """The mean of ``values`` ``[B, L]`` over the tokens of the batch where ``mask``."""
    return Mean((values * mask).sum(), mask.sum().to(values.dtype))


def moments(values: Tensor, mask: Tensor, dim: int | None = None) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation where ``mask``, over the rows of all processes; per column with ``dim=0``."""
    weights = mask.to(values.dtype)
    axes = (0, 1) if dim is None else (dim,)
    count = all_sum(weights.sum(axes)).clamp(min=1)
    mean = all_sum((values * weights).sum(axes)) / count
    variance = all_sum(((values - mean).square() * weights).sum(axes)) / count
    return mean, variance.sqrt()


def normalised(logs: Tensor) -> Tensor:
    """Weights exp(logs), float ``[n]``, divided by their mean over the rows of all processes."""
    weights = (logs - all_gather(logs.max()).max()).exp()
    return weights / all_mean(weights.mean())
