"""Words that samples have and the training data have not."""

from collections.abc import Hashable, Sequence, Set

from gangen import Figure, MetricContext, UsageError, once_a_run
from gangen_text.metrics.words import AgainstTraining, Text, read, real


class Invented(AgainstTraining):
    """Words that a generator made up, as one that writes parts of words does: how many stand in no training text.

    ``invented``: their share of the words of ``samples`` texts; ``invented_texts``: the share of texts that have one.
    Beside them stand those of as many held-out texts, which have names and rare words of their own.

    ``training`` is how many training texts to look at, by the seed; null is all.
    ``unit`` is "words" and punctuation marks in lower case, or "tokens" of the data's tokenizer.

    Raises:
        UsageError: training data is a stream, and ``training`` is None.
    """

    def __call__(self, context: MetricContext) -> dict[str, Figure]:
        known, floor = self._real(context)
        found = invented(read(context.samples(self.samples), context.data.codec, self.unit), known)
        pairs = zip(("invented", "invented_texts"), found, floor, strict=True)
        return {name: Figure(share, real, "low") for name, share, real in pairs}

    @once_a_run
    def _real(self, context: MetricContext) -> tuple[Set[Hashable], tuple[float, float]]:
        """The words of training texts, and what of held-out ones is none of them."""
        texts = real(context, context.training, self.training, self.unit)
        known = {word for text in texts for word in text}
        return known, invented(real(context, context.data.heldout, self.samples, self.unit), known)


def invented(texts: Sequence[Text], known: Set[Hashable]) -> tuple[float, float]:
    """(share of words that are not ``known``, share of ``texts`` with such a word).

    Raises:
        UsageError: there are no words.
    """
    counts = [sum(word not in known for word in text) for text in texts]
    words = sum(map(len, texts))
    if not words:
        raise UsageError("there is no word in these texts that could be looked for")
    return sum(counts) / words, sum(map(bool, counts)) / len(texts)
