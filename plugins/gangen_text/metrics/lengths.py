"""Whether samples are as long as real texts."""

from collections.abc import Sequence

import numpy as np

from gangen import Figure, MetricContext, UsageError, once_a_run
from gangen_text.metrics.words import OfWords, Text, read, real, unit_in_words


class Lengths(OfWords):
    """``length_distance``: how far the lengths of ``samples`` texts are from those of all held-out texts, in words.

    It is the 1-Wasserstein distance of the two histograms: by how many words the texts of one side must be made
    longer or shorter, on average, to have the lengths of the other. Beside it stands its floor, that
    of as many training texts.

    ``unit`` is "words" and punctuation marks, or "tokens" of the data's tokenizer.
    """

    def __call__(self, context: MetricContext) -> dict[str, Figure]:
        heldout, floor = self._real(context)
        texts = read(context.samples(self.samples), context.data.codec, self.unit)
        return {"length_distance": Figure(length_distance(texts, heldout), floor, "low")}

    @once_a_run
    def _real(self, context: MetricContext) -> tuple[list[Text], float]:
        """Held-out texts, and how far training texts are from them."""
        heldout = real(context, context.data.heldout, None, self.unit)
        return heldout, length_distance(real(context, context.training, self.samples, self.unit), heldout)

    def protocol(self, context: MetricContext) -> dict[str, object]:
        """How many texts were on each side, and what they were cut into."""
        rows = len(context.data.heldout)
        return {"samples": self.samples, "held-out rows": rows, "unit": unit_in_words(self.unit)}


def length_distance(first: Sequence[Text], second: Sequence[Text]) -> float:
    """The integral of |F1 - F2| over lengths, F being the shares of texts of at most a length.

    That is the mean absolute difference of the sorted lengths where both sides have equally many texts, and of the
    quantile functions where they have not. An empty text has length 0.

    Raises:
        UsageError: a side has no texts.
    """
    if not first or not second:
        raise UsageError("lengths can only be compared where both sides have a text")
    lengths = [np.array([len(text) for text in texts]) for texts in (first, second)]
    longest = max(side.max() for side in lengths)
    below = [np.bincount(side, minlength=longest + 1).cumsum() / len(side) for side in lengths]
    return float(np.abs(below[0] - below[1]).sum())
