"""BLEU against references and against each other, exact and linear in the number of words."""

import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from typing import Annotated, Any

from annotated_types import Ge

from gangen import Axis, Figure, MetricContext, Tradeoff, UsageError, once_a_run
from gangen_text.metrics.decoding import SWEEPS
from gangen_text.metrics.words import OfWords, Text, available, read, real, unit_in_words

LONGEST = 5
# What method 1 of Chen and Cherry (2014) puts in place of no match at all.
EPSILON = 0.1
ABSENT = (0, None, 0)
SMOOTHING = "method 1 of Chen and Cherry (2014)"


class References:
    """Texts to compare others with by BLEU (Papineni et al., 2002), for n-grams of up to ``longest`` words.

    A hypothesis may have an n-gram as often as the one reference that has it most often. So of each n-gram only that
    largest count is kept, with the number of the reference that has it; and the second largest, which is the largest
    once that reference is left out. Memory is that of the distinct n-grams.

    Raises:
        UsageError: there are no references.
    """

    def __init__(self, texts: Sequence[Text], *, longest: int = LONGEST) -> None:
        if not texts:
            raise UsageError("BLEU needs at least one reference")
        self._lengths = sorted(map(len, texts))
        self._tables: list[dict[tuple, tuple[int, int | None, int]]] = [{} for _ in range(longest)]
        for n, table in enumerate(self._tables, start=1):
            for number, text in enumerate(texts):
                for gram, count in _counts(text, n).items():
                    largest, owner, second = table.get(gram, ABSENT)
                    if count > largest:
                        table[gram] = count, number, largest
                    elif count > second:
                        table[gram] = largest, owner, count

    def bleu(self, hypothesis: Text, *, without: int | None = None) -> list[float]:
        """BLEU-1 to BLEU-``longest`` of one text, each with equal weights of 1/n, smoothed.

        As ``sentence_bleu`` of nltk with ``SmoothingFunction().method1`` has it: an order without a match counts as
        0.1 matches, also where the text is shorter than n, which then has one n-gram; a text without a single known
        word has 0, and so has an empty one. Of two closest reference lengths the shorter counts.

        ``without``: the number of a reference to leave out, which must be the hypothesis itself.
        """
        scores, logarithms = [], 0.0
        penalty = self._brevity(len(hypothesis), without is not None) if hypothesis else 0.0
        for n, table in enumerate(self._tables, start=1):
            matches = 0
            for gram, count in _counts(hypothesis, n).items():
                largest, owner, second = table.get(gram, ABSENT)
                limit = second if owner == without else largest
                matches += count if count < limit else limit
            if n == 1 and not matches:
                return [0.0] * len(self._tables)
            logarithms += math.log((matches or EPSILON) / max(1, len(hypothesis) - n + 1))
            scores.append(penalty * math.exp(logarithms / n))
        return scores

    def mean(self, hypotheses: Sequence[Text]) -> list[float]:
        """Means of ``bleu`` over ``hypotheses``. Raises UsageError where there are none."""
        if not hypotheses:
            raise UsageError("BLEU needs at least one text")
        return _means([self.bleu(hypothesis) for hypothesis in hypotheses])

    def _brevity(self, length: int, left_out: bool) -> float:
        """Penalty for a text of ``length`` words; where it is left out, one reference of its own length is."""
        at = bisect_left(self._lengths, length)
        neighbours = self._lengths[max(at - 1, 0) : at] + self._lengths[at + left_out :][:1]
        closest = min(neighbours, key=lambda other: (abs(other - length), other))
        return 1.0 if length > closest else math.exp(1 - closest / length)


def self_bleu(texts: Sequence[Text], *, longest: int = LONGEST) -> list[float]:
    """Self-BLEU-1 to -``longest`` (Zhu et al., 2018): mean BLEU of each text against all the others.

    Raises:
        UsageError: fewer than two texts.
    """
    if len(texts) < 2:
        raise UsageError(f"Self-BLEU compares texts with each other: it needs at least two, not {len(texts)}")
    references = References(texts, longest=longest)
    return _means([references.bleu(text, without=number) for number, text in enumerate(texts)])


class Bleu(OfWords):
    """``bleu_2`` to ``bleu_5``: mean BLEU of ``samples`` texts, each against all ``references``.

    References are held-out texts, that many by the seed, or all. BLEU is that of Papineni et al. (2002) for single
    texts, uniform weights, smoothed by method 1 of Chen and Cherry (2014): equal to nltk's ``sentence_bleu``. It rises
    with the number of references, so figures compare only at the same ones. Beside them stand those of as many training
    texts. Safe, short, repeated texts score above real ones: look at Self-BLEU beside it.

    ``unit`` is "words" and punctuation marks in lower case, or "tokens" of the data's tokenizer.
    """

    tradeoff = Tradeoff(Axis("bleu_4", "high"), Axis("self_bleu_4", "low"), SWEEPS)

    def __init__(self, *, references: Annotated[int, Ge(1)] | None = None, **options: Any) -> None:
        super().__init__(**options)
        self.references = references

    def __call__(self, context: MetricContext) -> dict[str, Figure]:
        references, floor = self._real(context)
        texts = read(context.samples(self.samples), context.data.codec, self.unit)
        return _figures("bleu", references.mean(texts), floor)

    @once_a_run
    def _real(self, context: MetricContext) -> tuple[References, list[float]]:
        """The references, and what training texts score against them."""
        references = References(real(context, context.data.heldout, self.references, self.unit))
        return references, references.mean(real(context, context.training, self.samples, self.unit))

    def protocol(self, context: MetricContext) -> dict[str, object]:
        """Counts, tokenization, reference set and smoothing."""
        counts = {"samples": self.samples, "held-out rows": available(context.data.heldout, self.references)}
        words = {"unit": unit_in_words(self.unit), "smoothing": SMOOTHING}
        return counts | {"references": "the held-out rows"} | words


class SelfBleu(OfWords):
    """``self_bleu_2`` to ``self_bleu_5`` (Zhu et al., 2018): BLEU of each text against all others.

    BLEU as in text/bleu, on n texts: n is ``samples``, or the number of held-out texts where they are fewer.
    Beside them stand those of n held-out texts. Both rise with n, so figures compare only at the
    same one. Nonsense is diverse, too: look at BLEU beside it.

    ``unit`` is "words" and punctuation marks in lower case, or "tokens" of the data's tokenizer.

    Raises:
        UsageError: there is but one held-out text.
    """

    def __init__(self, *, samples: Annotated[int, Ge(2)] = 1000, **options: Any) -> None:
        super().__init__(samples=samples, **options)

    def check(self, context: MetricContext) -> None:
        super().check(context)
        if len(context.data.heldout) < 2:
            raise UsageError("metric text/self_bleu needs more than one held-out text; raise heldout of the data")

    def __call__(self, context: MetricContext) -> dict[str, Figure]:
        samples = context.samples(available(context.data.heldout, self.samples))
        texts = read(samples, context.data.codec, self.unit)
        return _figures("self_bleu", self_bleu(texts), self._real(context))

    @once_a_run
    def _real(self, context: MetricContext) -> list[float]:
        return self_bleu(real(context, context.data.heldout, self.samples, self.unit))

    def protocol(self, context: MetricContext) -> dict[str, object]:
        """Counts, tokenization, reference set and smoothing."""
        n = available(context.data.heldout, self.samples)
        words = {"unit": unit_in_words(self.unit), "smoothing": SMOOTHING}
        return {"samples": n, "references": "all other samples"} | words


def _counts(text: Text, n: int) -> Counter[tuple]:
    return Counter(zip(*(text[start:] for start in range(n)), strict=False))


def _means(scores: list[list[float]]) -> list[float]:
    return [math.fsum(column) / len(scores) for column in zip(*scores, strict=True)]


def _figures(name: str, means: list[float], real: list[float]) -> dict[str, Figure]:
    # BLEU-1 knows nothing of order and is not reported.
    pairs = enumerate(zip(means, real, strict=True), start=1)
    return {f"{name}_{n}": Figure(*pair, "real") for n, pair in pairs if n > 1}
