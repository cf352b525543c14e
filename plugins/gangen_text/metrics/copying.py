"""How much of the samples stands in the training data."""

from collections.abc import Sequence

import numpy as np

from gangen import Figure, MetricContext, UsageError, once_a_run
from gangen_text.metrics.words import AgainstTraining, Text, read, real


class Originals:
    """Texts that others may be copied from.

    Raises:
        UsageError: there are none.
    """

    def __init__(self, texts: Sequence[Text]) -> None:
        if not texts:
            raise UsageError("there are no texts that samples could be copied from")
        self._whole = {tuple(text) for text in texts}
        self._vocabulary: dict[object, int] = {}
        number = self._vocabulary.setdefault
        self._words = np.array([number(word, len(self._vocabulary)) for text in texts for word in text], dtype=np.int64)
        self._left = _left(texts)

    def __contains__(self, text: Text) -> bool:
        """Whether ``text`` is one of these, word by word from beginning to end; an empty text never is."""
        return bool(text) and tuple(text) in self._whole

    def longest_runs(self, texts: Sequence[Text]) -> np.ndarray:
        """Words in the longest run of each of ``texts`` that stands in one of these texts too, int64 ``[n]``.

        Runs grow at both sides at once: from those of n - 1 words that stand in ``texts`` and here, to those of n.
        Their numbers fall fast with n, so that the time is about that of a few sorts of all words. Each run has a
        number of its own and not a hash, so figures are exact.
        """
        unknown = len(self._vocabulary)
        ours = [self._vocabulary.get(word, unknown) for text in texts for word in text]
        words = np.concatenate([np.array(ours, dtype=np.int64), self._words])
        left = np.concatenate([_left(texts), self._left])
        owner = np.repeat(np.arange(len(texts)), np.array([len(text) for text in texts], dtype=np.int64))

        longest = np.zeros(len(texts), dtype=np.int64)
        position, run, length = np.arange(len(words)), words, 1
        while len(position):
            mine = position < len(ours)
            count = run.max() + 1
            both = (np.bincount(run[mine], minlength=count) > 0) & (np.bincount(run[~mine], minlength=count) > 0)
            kept = both[run]
            longest[owner[position[kept & mine]]] = length
            kept &= left[position] > length
            position = position[kept]
            run = np.unique(run[kept] * (unknown + 1) + words[position + length], return_inverse=True)[1]
            length += 1
        return longest


class Copied(AgainstTraining):
    """How much of ``samples`` texts is copied from the training data.

    ``copied``: share of samples that are a training text, word by word from beginning to end. ``copied_run``: mean of
    the longest run of words (n-gram) that a sample has in common with any one training text, as a share of the sample's
    length; 1 for a sample that is a part of a training text, 0 for one without a known word, and for an empty one.
    Beside them stand those of as many held-out texts: language repeats itself, the more the shorter texts are, and only
    what is above them is copying.

    ``training`` is how many training texts to look at, by the seed; null is all.
    ``unit`` is "words" and punctuation marks in lower case, or "tokens" of the data's tokenizer.

    Raises:
        UsageError: training data is a stream, and ``training`` is None.
    """

    def __call__(self, context: MetricContext) -> dict[str, Figure]:
        originals, floor = self._real(context)
        found = shares(read(context.samples(self.samples), context.data.codec, self.unit), originals)
        pairs = zip(("copied", "copied_run"), found, floor, strict=True)
        return {name: Figure(share, real, "low") for name, share, real in pairs}

    @once_a_run
    def _real(self, context: MetricContext) -> tuple[Originals, tuple[float, float]]:
        """The training texts, and what of held-out ones stands in them."""
        originals = Originals(real(context, context.training, self.training, self.unit))
        return originals, shares(real(context, context.data.heldout, self.samples, self.unit), originals)


def shares(texts: Sequence[Text], originals: Originals) -> tuple[float, float]:
    """(share of ``texts`` that are originals, mean share of the longest common run in a text).

    Raises:
        UsageError: there are no texts.
    """
    if not texts:
        raise UsageError("there is no text to look for in the training data")
    lengths = np.array([max(len(text), 1) for text in texts])
    copied = sum(text in originals for text in texts) / len(texts)
    return copied, float(np.mean(originals.longest_runs(texts) / lengths))


def _left(texts: Sequence[Text]) -> np.ndarray:
    """For each word of each text, how many words there are from it to the end of its text."""
    return np.array([left for text in texts for left in range(len(text), 0, -1)], dtype=np.int64)
