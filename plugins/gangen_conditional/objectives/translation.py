"""Translation: an encoder-decoder, first by imitation, then against a discriminator that sees source and target."""

from typing import Annotated, Any

import torch
from annotated_types import Interval
from torch import Tensor

from gangen import Batch, Players
from gangen_conditional.objectives.matching import MatchingGame
from gangen_conditional.spec import TextFromSpec
from gangen_text import References

LONGEST = 4


class Translation(MatchingGame):
    """Wu et al. (2017): the discriminator tells people's translations of a source from the generator's, which learns
    by policy gradient, with imitation interleaved: ``turns: {imitate: 1, discriminate: 1, policy: 1}``. The estimator
    and all other options are those of SeqGAN.

    With a ``bleu`` above 0 that share of a translation's reward is its sentence-BLEU against the true one, and the
    rest the discriminator's verdict (Yang et al., 2018, equation 8, where it is 1 - lambda). BLEU is that of tokens, up
    to four, smoothed by method 1 of Chen and Cherry (2014).

    The discriminator, that of ``conditional/joint``, is matching-aware: to it the translation of another source is a
    fake too, unless ``matching`` is false, as in these papers; it is slow to learn what belongs together without.
    """

    def __init__(
        self, spec: TextFromSpec, *, bleu: Annotated[float, Interval(ge=0, le=1)] = 0.0, **options: Any
    ) -> None:
        super().__init__(spec, **options)
        self.bleu = bleu

    def rewards(self, players: Players, texts: Tensor, condition: Batch, rows: Tensor) -> Tensor:
        """See SeqGAN."""
        if self.bleu == 1:
            return self.sentence_bleu(texts, condition["tokens"], rows)
        verdicts = super().rewards(players, texts, condition, rows)
        if not self.bleu:
            return verdicts
        return (1 - self.bleu) * verdicts + self.bleu * self.sentence_bleu(texts, condition["tokens"], rows)

    def sentence_bleu(self, texts: Tensor, truths: Tensor, rows: Tensor) -> Tensor:
        """BLEU-4 from 0 to 1, float ``[n]``, of texts int64 ``[n, L]`` against the truth at each one's row."""
        references = [References([truth], longest=LONGEST) for truth in self._words(truths)]
        scores = [references[row].bleu(text)[-1] for row, text in zip(rows.tolist(), self._words(texts), strict=True)]
        return torch.tensor(scores, device=texts.device)

    def _words(self, tokens: Tensor) -> list[list[int]]:
        """The tokens of each row, before its end."""
        return [row[kept].tolist() for row, kept in zip(tokens.cpu(), self.spec.text(tokens).cpu(), strict=True)]
