"""Expert iteration: the generator imitates those of its own texts that its discriminator takes for real ones."""

from typing import Annotated, Any, Literal

import torch
from annotated_types import Interval
from torch import Tensor
from torch.nn.functional import one_hot

from gangen import Batch, Clock, Part, Players, Stats, all_mean, needs, noise, updates
from gangen_text.networks.draws import inverse_cdf
from gangen_text.objectives.turns import LogRatioGame
from gangen_text.spec import TextSpec


class Coop(LogRatioGame):
    """The residual model p(x) ~ p_LM(x) exp(s(x)) of Deng et al. (2020), taken back into the generator p_LM.

    The expert of this expert iteration (Anthony et al., 2017) is what sampler text/residual draws. The generator writes
    so many ``candidates`` for each row of the batch, anew in every turn, and s are their logits. ``by`` choice one of
    them is imitated, drawn with probability softmax(s); by weights all, each as much as that probability says: the same
    in the mean over draws, with less noise, for more likelihoods. ``real`` is the share of real texts in the loss.

    The discriminator follows in its own turn: ``{discriminate: 1, cooperate: 1}``. ``loss`` is its loss, and is to
    teach it log-ratios.
    """

    def __init__(
        self,
        spec: TextSpec,
        *,
        loss: Annotated[Any, Part("losses")] = "non_saturating",
        candidates: Annotated[int, Interval(ge=2, le=10_000)] = 8,
        by: Literal["choice", "weights"] = "weights",
        real: Annotated[float, Interval(ge=0, lt=1)] = 0.5,
    ) -> None:
        super().__init__(spec, loss=loss)
        self.candidates = candidates
        self.by = by
        self.share = real

    @updates("generator")
    @needs(generator=("sample", "log_prob"), discriminator="forward")
    def cooperate(self, players: Players, batch: Batch, clock: Clock) -> tuple[Tensor, Stats]:
        """Imitate chosen texts of its own and real ones: minus the mean log-probability of a token of either kind."""
        own = {name: rows.repeat_interleave(self.candidates, dim=0) for name, rows in batch.items()}
        with torch.no_grad():
            own["tokens"] = players.generator.sample(len(own["tokens"]), own)
        logits = self.log_ratios(players, own["tokens"], own).unflatten(0, (-1, self.candidates))
        weights = logits.softmax(1)
        effective = (1 / weights.square().sum(1)).mean() / self.candidates  # as in text/maligan
        figures = {"log_ratio": logits.mean(), "effective": effective}
        if self.by == "choice":
            chosen = inverse_cdf(logits, noise.uniform(len(logits), 1, device=logits.device, dtype=logits.dtype))
            weights = one_hot(chosen.squeeze(1), self.candidates).to(weights.dtype)
        weights = weights.flatten()
        taken = weights.nonzero().squeeze(1)  # of one that is not imitated the likelihood is not asked
        own = {name: rows[taken] for name, rows in own.items()}
        loss = (1 - self.share) * self._imitated(players, own, weights[taken])
        if self.share:
            loss = loss + self.share * self.imitate(players, batch, clock)[0].value
        return loss, figures

    def _imitated(self, players: Players, batch: Batch, weights: Tensor) -> Tensor:
        """Minus the mean log-probability of a token of texts with ``weights``, over the tokens of all processes."""
        log_prob, mask = players.generator.log_prob(batch["tokens"], batch), self.spec.mask(batch["tokens"])
        return -(weights @ log_prob).sum() / all_mean((weights @ mask.to(weights.dtype)).sum())
