"""From texts to splits: held out without leakage, tokenized, fitted to the rows' length."""

import logging
import random
from collections.abc import Sequence
from typing import Annotated, Any, Literal, NamedTuple, Self

import torch
from annotated_types import Ge, Interval
from torch import Tensor

from gangen import DataError, TensorSplit, numbered
from gangen_text.codec import TextCodec
from gangen_text.data.tokenization import KINDS, UNKNOWN, open_tokenizer, special_tokens, train
from gangen_text.spec import TextSpec

log = logging.getLogger(__name__)

# Beyond this share of unknown tokens a larger vocabulary is worth a hint.
UNKNOWN_SHARE = 0.01


class Texts(NamedTuple):
    """Texts and, where the data is labelled, the label of each."""

    texts: list[str]
    labels: list[str] | None

    def take(self, rows: Sequence[int]) -> Self:
        """The texts at ``rows``."""
        labels = None if self.labels is None else [self.labels[row] for row in rows]
        return self._replace(texts=[self.texts[row] for row in rows], labels=labels)


class Corpus:
    """What data of texts have in common, with the options for it.

    ``tokenizer`` is trained on the training texts with at most ``vocab_size`` tokens, or is the name of a saved one: a
    tokenizer.json, a folder, a name on the hub. ``lowercase`` and ``drop_spaces`` (for characters with spaces between
    them) act on what is trained here. ``max_length`` counts tokens with the end token; longer texts are left out, or
    cut (``too_long``), and counted in the log. Without texts to hold out, these are the share ``heldout`` of the
    distinct texts, by ``seed``. Held-out rows whose tokens occur in training are left out, and counted in the log.

    Raises:
        DataError: there are no texts, or none fits; the message says what to change.
    """

    codec_class = TextCodec

    def __init__(
        self,
        name: str,
        texts: Texts,
        labels: Sequence[str],
        held: tuple[str, Texts] | None = None,
        *,
        tokenizer: Literal["byte_bpe", "bpe", "words", "characters"] | str = "byte_bpe",
        vocab_size: Annotated[int, Ge(1)] = 4000,
        lowercase: bool = False,
        drop_spaces: bool = False,
        max_length: Annotated[int, Ge(2)] = 32,
        too_long: Literal["drop", "cut"] = "drop",
        heldout: Annotated[float, Interval(gt=0, lt=1)] = 0.05,
        seed: int = 0,
    ) -> None:
        if held is None:
            texts, others = hold_out(texts, heldout, seed)
            held = f"{name}, held out", others
        training = {"vocab_size": vocab_size, "lowercase": lowercase, "drop_spaces": drop_spaces}
        self.codec = make_codec(texts.texts, labels, tokenizer=tokenizer, max_length=max_length, **training)
        self.seed = seed
        self.too_long = too_long
        self.train = to_rows(self.codec, texts, too_long, name)
        self.heldout = without(to_rows(self.codec, held[1], too_long, held[0]), self.train, name)


def hold_out(texts: Texts, share: float, seed: int) -> tuple[Texts, Texts]:
    """(train, held out): ``share`` of the distinct texts, by ``seed``; all copies of a text stay on one side.

    Raises:
        DataError: fewer than two distinct texts.
    """
    distinct = list(dict.fromkeys(texts.texts))
    if len(distinct) < 2:
        raise DataError("the data has fewer than two different texts: none can be held out")
    count = min(max(round(share * len(distinct)), 1), len(distinct) - 1)
    chosen = set(random.Random(seed).sample(distinct, count))
    sides = ([], [])
    for row, text in enumerate(texts.texts):
        sides[text in chosen].append(row)
    return texts.take(sides[0]), texts.take(sides[1])


def make_codec(
    texts: Sequence[str], labels: Sequence[str], *, tokenizer: str, max_length: int, **training: Any
) -> TextCodec:
    """A codec whose tokenizer is trained on ``texts``, or opened where ``tokenizer`` is no kind but a name.

    ``training`` are the options of ``tokenization.train``.

    Raises:
        DataError: no such tokenizer, or a ``vocab_size`` that is too small for it.
    """
    trained = tokenizer in KINDS
    if trained:
        made = train(tokenizer, texts, **training)
        special = special_tokens(made)
    else:
        made, special = open_tokenizer(tokenizer)
    size = max(made.get_vocab(with_added_tokens=True).values()) + 1
    spec = TextSpec(size, max_length, special.start, special.end, special.pad, tuple(labels))
    return TextCodec(made, spec, word_by_word=trained)


def to_rows(codec: TextCodec, texts: Texts, too_long: Literal["drop", "cut"], name: str) -> TensorSplit:
    """Rows of ``texts``: "tokens" int64 ``[n, max_length]`` and, where they are labelled, "label" int64 ``[n]``.

    Texts with more than ``max_length - 1`` tokens are left out, or cut there. How many that were is logged, and how
    many tokens are ``<unk>``.

    Raises:
        DataError: nothing is left, or a label that the codec does not know.
    """
    tokens, length = codec.tokenize(texts.texts), codec.spec.max_length
    columns = fit(codec, texts, tokens, too_long, name)
    over = sum(len(row) >= length for row in tokens)
    if not len(columns["tokens"]) and over:
        least = min(len(row) for row in tokens if row)
        raise DataError(
            f"{name}: every text is longer than max_length={length}; the shortest has {least} tokens and the end token"
            "\nraise max_length, or set too_long: cut"
        )
    if not len(columns["tokens"]):
        raise DataError(f"{name}: no tokens are left of the texts")
    if over:
        did = "cut" if too_long == "cut" else "left out"
        log.warning("%s: %d of %d texts %s, longer than max_length=%d", name, over, len(tokens), did, length)
    unknown = codec.tokenizer.token_to_id(UNKNOWN)
    share = sum(row.count(unknown) for row in tokens) / sum(map(len, tokens))
    if share > UNKNOWN_SHARE:
        log.warning("%s: %.0f %% of the tokens are %s; a larger vocab_size has fewer", name, 100 * share, UNKNOWN)
    return TensorSplit(**columns)


def fit(
    codec: TextCodec, texts: Texts, tokens: Sequence[Sequence[int]], too_long: Literal["drop", "cut"], name: str
) -> dict[str, Tensor]:
    """The tensors of ``to_rows``, possibly with no rows, for the tokens of ``texts``."""
    longest = codec.spec.max_length - 1
    kept = [row for row, text in enumerate(tokens) if text and (too_long == "cut" or len(text) <= longest)]
    columns = {"tokens": codec.pack([tokens[row][:longest] for row in kept])}
    if texts.labels is not None:
        columns["label"] = numbered(texts.labels, codec.spec.labels, name)[kept]
    return columns


def without(heldout: TensorSplit, train: TensorSplit, name: str) -> TensorSplit:
    """``heldout`` less the rows whose tokens are in ``train`` too: different texts can become the same row.

    Raises:
        DataError: nothing is left.
    """
    seen = {row.tobytes() for row in train.rows()["tokens"].numpy()}
    kept = torch.tensor([row.tobytes() not in seen for row in heldout.rows()["tokens"].numpy()])
    repeated = len(heldout) - int(kept.sum())
    if not repeated:
        return heldout
    if repeated == len(heldout):
        raise DataError(f"{name}: every held-out text is in the training texts too")
    log.warning(
        "%s: %d of %d held-out texts left out, they are in the training texts too", name, repeated, len(heldout)
    )
    return TensorSplit(**{column: tensor[kept] for column, tensor in heldout.rows().items()})
