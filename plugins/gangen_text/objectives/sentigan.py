"""SentiGAN: texts by label, penalised as far as a discriminator of labels and fakes sees through them."""

from typing import Any

import torch
from torch import Tensor

from gangen import (
    Batch,
    Clock,
    Mean,
    NonSaturating,
    Players,
    Stats,
    UsageError,
    at_least_float32,
    evaluating,
    label_of,
    needs,
    updates,
)
from gangen_text.objectives.rollouts import RolloutGame
from gangen_text.objectives.turns import token_mean
from gangen_text.spec import TextSpec


class SentiGAN(RolloutGame):
    """Wang and Wan (2018), with one generator that is told the label in the place of one for each.

    The discriminator tells k + 1 classes apart, real texts of each of k labels and generated ones: its logits for the
    labels are those of the classes, and that of a generated text is 0. It minimises the mean cross-entropy of real rows
    plus that of fakes. The penalty of a text is 1 - D, D the probability that it is real and of its label; that of a
    token is found by rollouts. The generator minimises ``E[p(token) penalty(token)]`` over tokens of its own: by the
    probability in the place of its logarithm, likely tokens that are seen through lose most, which keeps variety.

    Raises:
        UsageError: the data have no labels.
    """

    log_ratio = False  # of one label against fakes of all

    def __init__(self, spec: TextSpec, **options: Any) -> None:
        super().__init__(spec, NonSaturating(), **options)
        self.needs = {"discriminator": ("of_labels",)}
        if not spec.labels:
            raise UsageError("text/sentigan writes texts by label, and the data have none; text/seqgan plays without")

    def tell_apart(
        self, players: Players, batch: Batch, real: Tensor, fake: Tensor, clock: Clock
    ) -> tuple[Tensor, Stats]:
        # In one call, neighbours staying neighbours: see TextGame.
        said = self.log_classes(players, torch.stack([real, fake], dim=1).flatten(0, 1))
        labels = label_of(batch, self.spec.labels)
        classes = torch.stack([labels, torch.full_like(labels, len(self.spec.labels))], dim=1)
        of_true = said.gather(1, classes.view(-1, 1)).view(-1, 2).mean(0)
        right = (said.argmax(1) == classes.flatten()).double().mean()
        return -of_true.sum(), {"accuracy": right, "real": -of_true[0].detach(), "fake": -of_true[1].detach()}

    @updates("generator")
    @needs(generator=("sample", "log_prob", "rollout"))
    def policy(self, players: Players, batch: Batch, clock: Clock) -> tuple[Mean, Stats]:
        """Make tokens of high penalty less likely: ``E[p(token) penalty(token)]`` over tokens."""
        with torch.no_grad():
            tokens = players.generator.sample(len(batch["tokens"]), batch)
            mask = self.spec.mask(tokens)
            penalties = self.values(players, tokens, batch)
        probabilities = players.generator.log_prob(tokens, batch).exp()
        return token_mean(penalties * probabilities, mask), {
            "penalty": penalties[:, -1].mean(),
            "length": mask.sum(1).float().mean(),
        }

    def rewards(self, players: Players, texts: Tensor, condition: Batch, rows: Tensor) -> Tensor:
        """See RolloutGame; the lower the better."""
        labels = label_of(condition, self.spec.labels)[rows]
        with evaluating(players.discriminator):
            said = self.log_classes(players, texts)
        return 1 - said.gather(1, labels.unsqueeze(1)).squeeze(1).exp()

    def log_classes(self, players: Players, texts: Tensor) -> Tensor:
        """The discriminator's log-probabilities of labels and, last, of generated text: float ``[n, labels + 1]``."""
        logits = at_least_float32(players.discriminator.of_labels(texts))
        return torch.cat([logits, torch.zeros_like(logits[:, :1])], dim=1).log_softmax(1)
