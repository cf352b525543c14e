"""From texts to splits: held out without leakage, tokenized, fitted to the rows' length."""

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any, Literal, NamedTuple, Self

import torch
from annotated_types import Ge, Interval
from torch import Tensor

from gangen import Account, DataError, Seed, TensorSplit, held_out, numbered, with_rows
from gangen_text.codec import TextCodec
from gangen_text.data.tokenization import KINDS, is_full, open_tokenizer, special_tokens, train
from gangen_text.data.unknown import of_texts, unknown_token
from gangen_text.spec import TextSpec

# Texts that are shown as tokens.
SHOWN = 3
# What becomes of a text.
KEPT, EMPTY, UNKNOWN, LONG = "kept", "empty", "unknown", "long"


class Texts(NamedTuple):
    """Texts and, where the data is labelled, the label of each."""

    texts: list[str]
    labels: list[str] | None

    def take(self, rows: Sequence[int]) -> Self:
        """The texts at ``rows``."""
        labels = None if self.labels is None else [self.labels[row] for row in rows]
        return self._replace(texts=[self.texts[row] for row in rows], labels=labels)


class Fitting(NamedTuple):
    """What becomes of texts that do not fit: of those that are ``too_long``, and of those with ``unknown`` tokens."""

    too_long: Literal["drop", "cut"] = "drop"
    unknown: Literal["keep", "drop"] = "keep"


class Corpus:
    """What data of texts have in common, with the options for it.

    ``tokenizer`` is trained on the training texts with at most ``vocab_size`` tokens, or is the name of a saved one: a
    tokenizer.json, a folder, a name on the hub. ``lowercase`` and ``drop_spaces`` (for characters with spaces between
    them) act on what is trained here. ``max_length`` counts tokens with the end token; longer texts are left out, or
    cut (``too_long``), and texts with a token ``<unk>`` are kept or left out (``unknown``): a generator that has seen
    none writes none. Without texts to hold out, these are the share ``heldout`` of the distinct texts, by ``seed``.
    Held-out rows whose tokens occur in training are left out, and labels that have no text to train on. All that is
    left out is counted in ``accounts``; more than the share ``max_left_out`` is an error.

    Raises:
        DataError: there are no texts, or too few fit; the message says what to change.
    """

    codec_class = TextCodec

    def __init__(
        self,
        texts: Texts,
        labels: Sequence[str],
        account: Account,
        held: tuple[Texts, Account] | None = None,
        *,
        tokenizer: Literal["byte_bpe", "bpe", "words", "characters"] | str = "byte_bpe",
        vocab_size: Annotated[int, Ge(1)] = 4000,
        lowercase: bool = False,
        drop_spaces: bool = False,
        max_length: Annotated[int, Ge(2)] = 32,
        too_long: Literal["drop", "cut"] = "drop",
        unknown: Literal["keep", "drop"] = "keep",
        max_left_out: Annotated[float, Interval(ge=0, le=1)] = 1.0,
        heldout: Annotated[float, Interval(gt=0, lt=1)] = 0.05,
        seed: Seed = 0,
    ) -> None:
        if held is None:
            texts, others = hold_out(texts, heldout, seed, account)
            held = others, account
        training = {"vocab_size": vocab_size, "lowercase": lowercase, "drop_spaces": drop_spaces}
        self.codec = make_codec(texts.texts, labels, tokenizer=tokenizer, max_length=max_length, **training)
        self.accounts = list(dict.fromkeys([account, held[1]]))
        if tokenizer not in KINDS and (idle := [name for name in ("lowercase", "drop_spaces") if training[name]]):
            account.warnings.append(
                f"{account.source}: no effect of {' and '.join(idle)} on {tokenizer!r}, which reads as it was saved to"
            )
        self.seed = seed
        self.fitting = Fitting(too_long, unknown)
        full = is_full(tokenizer, self.codec.tokenizer, vocab_size)
        train = to_rows(self.codec, texts, self.fitting, account, "to train on", full)
        others = without(to_rows(self.codec, held[0], self.fitting, held[1], "held out", full), train, held[1])
        if labels:
            names, train, others = with_rows(labels, train, others, self.accounts)
            self.codec.spec = replace(self.codec.spec, labels=names)
        account.use("to train on", len(train["tokens"]))
        held[1].use("held out", len(others["tokens"]))
        for each in self.accounts:
            if each.left_out > max_left_out * each.given:
                longer = "raise max_length, set too_long: cut, or " * ("max_length" in str(each))
                known = ("raise vocab_size, " * full + "set unknown: keep, or ") * ("unknown to" in str(each))
                raise DataError(f"{each}\n{longer}{known}allow it with max_left_out ({max_left_out})")
        self.train, self.heldout = TensorSplit(**train), TensorSplit(**others)
        self._shown = train["tokens"][:SHOWN]
        self._lengths = self.codec.spec.mask(train["tokens"]).sum(1)

    def describe(self) -> list[str]:
        """How long texts are, and the first of them as tokens."""
        lengths, spec = self._lengths.sort().values.tolist(), self.codec.spec
        texts = ([[token] for token in row[spec.text(row[None])[0]].tolist()] for row in self._shown)
        return [
            f"lengths: {lengths[0]} to {lengths[-1]} tokens, half of them up to {lengths[len(lengths) // 2]}, with "
            f"the end token; rows have {spec.max_length}",
            f"vocabulary: {spec.vocab_size:,} tokens; the first texts in these:",
            *("  " + "|".join(self.codec.tokenizer.decode_batch(text, skip_special_tokens=False)) for text in texts),
        ]


def hold_out(texts: Texts, share: float, seed: int, account: Account) -> tuple[Texts, Texts]:
    """(train, held out): ``share`` of the distinct texts, by ``seed``, as ``chosen`` chooses them."""
    held = chosen(texts.texts, texts.labels, share, seed, account)
    sides = ([], [])
    for row, side in enumerate(held):
        sides[side].append(row)
    return texts.take(sides[0]), texts.take(sides[1])


def chosen(texts: Sequence[str], labels: Sequence[str] | None, share: float, seed: int, account: Account) -> list[bool]:
    """Which to hold out: ``share`` of the distinct texts, by ``seed``; all copies of a text stay on one side.

    Each label keeps a text to train on.

    Raises:
        DataError: fewer than two distinct texts, or no label with as many.
    """
    distinct = list(dict.fromkeys(texts))
    if len(distinct) < 2:
        raise DataError("the data has fewer than two different texts: none can be held out")
    count = min(max(round(share * len(distinct)), 1), len(distinct) - 1)
    held = held_out(texts, labels or [""] * len(texts), random.Random(seed).sample(distinct, count))
    if not any(held):
        raise DataError("no label has two different texts: none can be held out; name texts with heldout_path")
    if sum(held) * len(distinct) > 2 * count * len(held):  # far more rows than texts
        account.warnings.append(
            f"{account.source}: {sum(held):,} of {len(held):,} texts are held out, since copies of a text stay together"
        )
    return held


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


def to_rows(
    codec: TextCodec, texts: Texts, fitting: Fitting, account: Account, purpose: str, full: bool
) -> dict[str, Tensor]:
    """Rows of ``texts``: "tokens" int64 ``[n, max_length]`` and, where they are labelled, "label" int64 ``[n]``.

    Texts with more than ``max_length - 1`` tokens, or with unknown ones, are treated by ``fitting``. The ``account`` is
    told; and of what is unknown, with what would help: a larger vocabulary where it is ``full``.

    Raises:
        DataError: nothing is left, or a label that the codec does not know.
    """
    tokens, length = codec.tokenize(texts.texts), codec.spec.max_length
    fates = _fates(codec, tokens, fitting)
    lost = Counter(fates)
    if not lost[KEPT] and lost[UNKNOWN]:
        or_long = f", or is longer than max_length={length}" * bool(lost[LONG])
        larger = "raise vocab_size, or " * full
        raise DataError(
            f"{account.source}: every text {purpose} has unknown tokens{or_long}\n{larger}set unknown: keep"
        )
    if not lost[KEPT] and lost[LONG]:
        least = min(len(text) for text in tokens if text)
        raise DataError(
            f"{account.source}: every text {purpose} is longer than max_length={length}; the shortest has {least} "
            "tokens and the end token\nraise max_length, or set too_long: cut"
        )
    if not lost[KEPT]:
        raise DataError(f"{account.source}: no tokens are left of the texts")
    account.leave_out(f"with tokens unknown to a vocabulary of {codec.spec.vocab_size:,}", [], lost[UNKNOWN])
    account.leave_out(f"longer than {length} tokens (data.max_length)", [], lost[LONG])
    account.leave_out("without a token", [], lost[EMPTY])
    if fitting.too_long == "cut" and (over := sum(len(text) >= length for text in tokens)):
        account.warnings.append(f"{account.source}: {over:,} texts are cut, longer than max_length={length}")
    unknown = of_texts(codec.tokenizer, texts.texts, tokens, trained=codec.word_by_word, full=full)
    if unknown and fitting.unknown == "keep":
        account.warnings.append(f"{account.source}, {purpose}: {unknown}")
    return _columns(codec, texts, tokens, fates, account.source)


def fit(
    codec: TextCodec, texts: Texts, tokens: Sequence[Sequence[int]], fitting: Fitting, name: str
) -> dict[str, Tensor]:
    """The tensors of ``to_rows``, possibly with no rows, for the tokens of ``texts``."""
    return _columns(codec, texts, tokens, _fates(codec, tokens, fitting), name)


def _fates(codec: TextCodec, tokens: Sequence[Sequence[int]], fitting: Fitting) -> list[str]:
    """Of each text whether it is KEPT, and why not."""
    longest = codec.spec.max_length - 1
    unknown = unknown_token(codec.tokenizer) if fitting.unknown == "drop" else None
    fates = []
    for text in tokens:
        row = text[:longest] if fitting.too_long == "cut" else text
        fates.append(EMPTY if not row else UNKNOWN if unknown in row else LONG if len(row) > longest else KEPT)
    return fates


def _columns(
    codec: TextCodec, texts: Texts, tokens: Sequence[Sequence[int]], fates: Sequence[str], name: str
) -> dict[str, Tensor]:
    kept = [row for row, fate in enumerate(fates) if fate == KEPT]
    columns = {"tokens": codec.pack([tokens[row][: codec.spec.max_length - 1] for row in kept])}
    if texts.labels is not None:
        columns["label"] = numbered(texts.labels, codec.spec.labels, name)[kept]
    return columns


def without(
    heldout: dict[str, Tensor], train: dict[str, Tensor], account: Account, column: str = "tokens"
) -> dict[str, Tensor]:
    """``heldout`` less the rows whose tokens are in ``train`` too: different texts can become the same row.

    ``column`` is that of the tokens to go by.

    Raises:
        DataError: nothing is left.
    """
    seen = {row.tobytes() for row in train[column].numpy()}
    kept = torch.tensor([row.tobytes() not in seen for row in heldout[column].numpy()])
    repeated = len(kept) - int(kept.sum())
    if repeated == len(kept):
        raise DataError(f"{account.source}: every held-out text is in the training texts too")
    account.leave_out("held-out texts that are in the training texts too", [], repeated)
    return {name: tensor[kept] for name, tensor in heldout.items()}
