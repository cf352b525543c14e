"""Rows of tokens as lists of words: the form in which metrics compare texts."""

import re
from collections.abc import Hashable, Sequence
from operator import length_hint
from typing import Annotated, Any, Literal

from annotated_types import Ge
from torch import Tensor

from gangen import MetricContext, Split, UsageError, name_of
from gangen_text.codec import TextCodec
from gangen_text.data.tokenization import UNKNOWN
from gangen_text.spec import TextSpec

Text = Sequence[Hashable]

WORD_OR_MARK = re.compile(rf"{re.escape(UNKNOWN)}|\w+|[^\w\s]")


class OfText:
    """What metrics have in common that look at tokens or words."""

    training: int | None = 0
    """How many training texts are looked at; all, if None."""

    def check(self, context: MetricContext) -> None:
        """Raises UsageError for data that are no text, and for a stream that is to be looked at whole."""
        if not isinstance(context.data.codec.spec, TextSpec):
            raise UsageError(f"{name_of(self)} looks at text, which these data are not; take it out")
        if self.training is None and not hasattr(context.training, "__len__"):
            raise UsageError(
                f"{name_of(self)} cannot look at all texts of a stream; say how many, as in training: 100000"
            )


class OfWords(OfText):
    """What metrics have in common that look at ``samples`` texts as lists of words.

    unit: "words" and punctuation marks in lower case, or "tokens" of the data's tokenizer.
    """

    def __init__(self, *, samples: Annotated[int, Ge(1)] = 1000, unit: Literal["words", "tokens"] = "words") -> None:
        self.samples = samples
        self.unit = unit


class AgainstTraining(OfWords):
    """What metrics have in common that look for what is in ``samples`` texts among training texts.

    training: how many of these to look at, by the seed; null is all.
    """

    def __init__(self, *, training: Annotated[int, Ge(1)] | None = None, **options: Any) -> None:
        super().__init__(**options)
        self.training = training

    def protocol(self, context: MetricContext) -> dict[str, object]:
        """How many texts were on each side, and what they were cut into."""
        return {
            "samples": self.samples,
            "training rows": available(context.training, self.training),
            "held-out rows": available(context.data.heldout, self.samples),
            "unit": unit_in_words(self.unit),
        }


def words(text: str) -> list[str]:
    r"""Runs of letters and digits, and every other mark by itself (``\w+|[^\w\s]``), in lower case.

    ``<unk>``, which a tokenizer may have left in a text, is one word.
    """
    return WORD_OR_MARK.findall(text.lower())


def unit_in_words(unit: Literal["words", "tokens"]) -> str:
    """What texts were cut into, for who wants to do the same."""
    return f"matches of {WORD_OR_MARK.pattern}, in lower case" if unit == "words" else "tokens of the data's tokenizer"


def read(rows: Tensor, codec: TextCodec, unit: Literal["words", "tokens"]) -> list[Text]:
    """The text in each of ``rows``, int64 ``[n, length]``, up to its end: a list of its words, or of its tokens.

    Words are ``words`` of the decoded text, so figures of different tokenizers compare; a row of numbers, as an oracle
    writes, has its numbers for words. Tokens are for scripts without spaces between words.
    """
    if unit == "words":
        return [words(text) for text in codec.decode(rows)]
    rows = rows.cpu()
    return [row[kept].tolist() for row, kept in zip(rows, codec.spec.text(rows), strict=True)]


def real(context: MetricContext, split: Split, n: int | None, unit: Literal["words", "tokens"]) -> list[Text]:
    """``available`` texts of ``split`` by the evaluation's seed, each as ``read`` gives it."""
    return read(real_rows(context, split, n), context.data.codec, unit)


def available(split: Split, n: int | None) -> int:
    """``n``, or the number of rows of ``split`` where ``n`` is None or more than that; a stream never runs out."""
    return len(split) if n is None else min(n, length_hint(split, n))


def real_rows(context: MetricContext, split: Split, n: int | None = None) -> Tensor:
    """``available`` rows of ``split``, int64 ``[n, length]`` on the CPU, by the evaluation's seed."""
    n = available(split, n)
    # The rows of a stream come back in the stream's order, and again from its start where it is shorter.
    return split.batch(0, range(n), n, seed=context.seed, device="cpu")["tokens"]
