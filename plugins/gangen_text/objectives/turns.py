"""The turns that every text game shares: imitation (maximum likelihood) and the discriminator's."""

import torch
from torch import Tensor

from gangen import Batch, Clock, Loss, Players, Stats, accuracy, all_mean, all_sum, needs, updates
from gangen_text.spec import TextSpec


class TextGame:
    """Base of text objectives: an adversarial ``loss`` on logits, and how fakes are made."""

    def __init__(self, spec: TextSpec, loss: Loss) -> None:
        self.spec = spec
        self.loss = loss

    def fakes(self, players: Players, batch: Batch, clock: Clock) -> Tensor:
        """What the discriminator learns to tell from real text: tokens int64 ``[B, L]`` or rows float ``[B, L, V]``."""
        return players.generator.sample(len(batch["tokens"]), batch)

    @updates("generator")
    @needs(generator="log_prob")
    def imitate(self, players: Players, batch: Batch, clock: Clock) -> tuple[Tensor, Stats]:
        """Maximum likelihood: minus the mean log-probability of a true token, over the tokens of all processes."""
        tokens = batch["tokens"]
        log_prob = players.generator.log_prob(tokens, batch)
        return -token_mean(log_prob, self.spec.mask(tokens)), {}

    @updates("discriminator")
    @needs(generator="sample")
    def discriminate(self, players: Players, batch: Batch, clock: Clock) -> tuple[Tensor, Stats]:
        """Tell the batch's texts from as many fakes, which carry the same labels."""
        with torch.no_grad():
            fakes = self.fakes(players, batch, clock)
        if fakes.is_floating_point():
            real, fake = players.discriminator(batch["tokens"], batch), players.discriminator(fakes, batch)
        else:  # in one call, which is cheaper; neighbours stay neighbours, so that noise belongs to the batch's rows
            both = torch.stack([batch["tokens"], fakes], dim=1).flatten(0, 1)
            twice = {name: rows.repeat_interleave(2, dim=0) for name, rows in batch.items()}
            real, fake = players.discriminator(both, twice).unflatten(0, (-1, 2)).unbind(1)
        stats = {
            "accuracy": accuracy(self.loss, real, fake),
            "real": real.detach().mean(),
            "fake": fake.detach().mean(),
        }
        return self.loss.discriminator(real, fake), stats


def token_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Mean of ``values`` ``[B, L]`` where ``mask``: once gradients are averaged, that over all processes' tokens."""
    return (values * mask).sum() / all_mean(mask.sum().to(values.dtype))


def moments(values: Tensor, mask: Tensor, dim: int | None = None) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation where ``mask``, over the rows of all processes; per column with ``dim=0``."""
    weights = mask.to(values.dtype)
    axes = (0, 1) if dim is None else (dim,)
    count = all_sum(weights.sum(axes)).clamp(min=1)
    mean = all_sum((values * weights).sum(axes)) / count
    variance = all_sum(((values - mean).square() * weights).sum(axes)) / count
    return mean, variance.sqrt()
