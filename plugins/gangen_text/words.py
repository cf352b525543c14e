"""Rows of tokens as lists of words: the form in which metrics compare texts."""

import re
from collections.abc import Hashable, Sequence
from typing import Literal

from torch import Tensor

from gangen.contracts import Split
from gangen.evaluation import Evaluation
from gangen_text.codec import TextCodec
from gangen_text.tokenization import UNKNOWN

Text = Sequence[Hashable]

WORD_OR_MARK = re.compile(rf"{re.escape(UNKNOWN)}|\w+|[^\w\s]")


def words(text: str) -> list[str]:
    r"""Runs of letters and digits, and every other mark by itself (``\w+|[^\w\s]``), in lower case.

    ``<unk>``, which a tokenizer may have left in a text, is one word.
    """
    return WORD_OR_MARK.findall(text.lower())


def read(rows: Tensor, codec: TextCodec, unit: Literal["words", "tokens"]) -> list[Text]:
    """The text in each of ``rows``, int64 ``[n, length]``, up to its end: a list of its words, or of its tokens.

    Words are ``words`` of the decoded text, so figures of different tokenizers compare; a row of numbers, as an oracle
    writes, has its numbers for words. Tokens are for scripts without spaces between words.
    """
    if unit == "words":
        return [words(text) for text in codec.decode(rows)]
    rows, within = rows.cpu(), codec.spec.mask(rows.cpu())
    if codec.spec.end is not None:
        within &= rows != codec.spec.end
    return [row[kept].tolist() for row, kept in zip(rows, within, strict=True)]


def real(evaluation: Evaluation, split: Split, n: int, unit: Literal["words", "tokens"]) -> list[Text]:
    """``n`` texts of ``split``, drawn by the evaluation's seed; all of them, if it is known to have fewer."""
    if hasattr(split, "__len__"):
        n = min(n, len(split))
    # The rows of a stream come back in the stream's order, and again from its start where it is shorter.
    batch = split.batch(0, range(n), n, seed=evaluation.seed, device="cpu")
    return read(batch["tokens"], evaluation.data.codec, unit)
