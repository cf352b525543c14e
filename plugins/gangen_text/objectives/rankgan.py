"""RankGAN: texts are ranked beside others by how near they are to real ones, instead of judged one by one."""

import math
from typing import Annotated, Any

import torch
from annotated_types import Gt
from torch import Tensor
from torch.nn.functional import logsigmoid, normalize

from gangen import (
    Batch,
    Clock,
    NonSaturating,
    Players,
    Stats,
    UsageError,
    all_gather,
    at_least_float32,
    evaluating,
    rank,
)
from gangen_text.objectives.rollouts import PolicyGradient
from gangen_text.spec import TextSpec


class RankGAN(PolicyGradient):
    """Lin et al. (2017). The discriminator is a ranker: the relevance of a text to a real one, its reference, is the
    cosine of their ``features``.

    The score of a text is the mean, over references, of its share in the softmax of ``gamma`` times relevance among
    comparisons and itself. References are the other real texts of the batch of all processes; a real text is compared
    with all generated ones, and a generated one with all real ones but the reference. The ranker maximises
    ``E[log score(real)] + E[log(1 - score(generated))]``. The reward of a text is the logarithm of its score, and from
    there on the game is SeqGAN.

    ``gamma`` sharpens the softmax. Labels are not ranked: the ranker sees texts alone.
    """

    log_ratio = False  # the ranker learns features, and no logits

    def __init__(self, spec: TextSpec, *, gamma: Annotated[float, Gt(0)] = 10.0, **options: Any) -> None:
        super().__init__(spec, NonSaturating(), **options)
        self.gamma = gamma
        self.needs = {"discriminator": ("features",)}

    def tell_apart(
        self, players: Players, batch: Batch, real: Tensor, fake: Tensor, clock: Clock
    ) -> tuple[Tensor, Stats]:
        # In one call, neighbours staying neighbours: see TextGame.
        both = self.directions(players, torch.stack([real, fake], dim=1).flatten(0, 1)).unflatten(0, (-1, 2))
        reals, fakes = all_gather(both).flatten(0, 1).unbind(1)
        own = torch.arange(len(real), device=real.device).unsqueeze(1) + rank() * len(real)
        others = own != torch.arange(len(reals), device=real.device)
        of_fake, of_the_rest = self.scores(both[:, 1], reals, self.rivals(reals))
        of_real, _ = self.scores(both[:, 0], reals, self.rivals(reals, fakes), others)
        figures = {"accuracy": (of_real > of_fake).double().mean(), "real": of_real.mean(), "fake": of_fake.mean()}
        return -of_real.mean() - of_the_rest.mean(), {name: figure.detach() for name, figure in figures.items()}

    def rewards(self, players: Players, texts: Tensor, condition: Batch, rows: Tensor) -> Tensor:
        """See RolloutGame: logarithms of scores."""
        with evaluating(players.discriminator):
            reals = all_gather(self.directions(players, condition["tokens"])).flatten(0, 1)
            return self.scores(self.directions(players, texts), reals, self.rivals(reals))[0]

    def directions(self, players: Players, texts: Tensor) -> Tensor:
        """The ranker's features of texts, of unit length: float ``[n, d]``."""
        return normalize(at_least_float32(players.discriminator.features(texts)), dim=1)

    def rivals(self, references: Tensor, comparisons: Tensor | None = None) -> Tensor:
        """log sum exp(gamma relevance) of what is compared with, by default of the other references: float ``[N]``."""
        relevance = self.gamma * references @ (references if comparisons is None else comparisons).t()
        if comparisons is None:
            if len(references) < 2:
                raise UsageError(
                    "text/rankgan compares with other rows: a micro-batch of all processes needs 2; raise batch_size, "
                    "or lower accumulate"
                )
            relevance = relevance.masked_fill(torch.eye(len(relevance), device=relevance.device).bool(), -torch.inf)
        return relevance.logsumexp(1)

    def scores(
        self, texts: Tensor, references: Tensor, rivals: Tensor, which: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """log score and log(1 - score), float ``[n]`` each, by directions float ``[n, d]`` and ``[N, d]``.

        ``which``, bool ``[n, N]``, says what references a text has.
        """
        margin = self.gamma * texts @ references.t() - rivals  # share = exp(r) / (exp(r) + exp(rivals))
        outside = 0.0 if which is None else torch.zeros_like(margin).masked_fill(~which, -torch.inf)
        count = len(references) - (which is not None)
        won, lost = ((logsigmoid(it) + outside).logsumexp(1) - math.log(count) for it in (margin, -margin))
        return won, lost
