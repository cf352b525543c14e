"""Sentences to translate, "input", and their translations, "tokens"."""

from typing import Annotated, Literal, NamedTuple

from annotated_types import Ge, Interval
from torch import Tensor

from gangen import Account, DataError, Seed, SheetRow, TensorSplit
from gangen_conditional.codecs.output import TextFromCodec
from gangen_conditional.data import grammar
from gangen_text import (
    Fitting,
    SentenceRows,
    Sentences,
    TextCodec,
    TextInput,
    Texts,
    chosen,
    is_full,
    make_codec,
    sheet_of,
    to_rows,
    without,
)

# Of so many the shortest stands as an example for what the model takes.
SHOWN = 100

Tokenizer = Literal["byte_bpe", "bpe", "words", "characters"] | str


class Parallel:
    """Sentence pairs from ``path``: a table (csv, tsv, json, jsonl, parquet; .gz too), a glob, a folder of such files,
    a folder saved by ``datasets``, or a name on the hub. Where it has splits, or files called so, "train" is read.

    ``source_column`` holds sentences, ``target_column`` the translation of each; "translation.en" is what stands under
    "en" in the column "translation". Rows with an empty cell are left out. ``encoding`` is that of text files.

    Without a ``path``, ``size`` sentences of a built-in grammar, by ``seed``: English, with the one right translation
    into Latin of each; see ``gangen_conditional.data.grammar``.

    Each language has a tokenizer of its own, trained on the training sentences with at most ``vocab_size`` tokens, or
    the name of a saved one; ``lowercase`` acts on what is trained. Pairs are left out with a side of more than
    ``max_length`` tokens, which counts the end token.

    ``heldout_path`` has the pairs that are held out, or is the name of a split, such as "test"; null holds out the
    share ``heldout`` of the distinct sources, by ``seed``. Held-out pairs whose source occurs in training are left out.
    More pairs left out than the share ``max_left_out`` are an error.

    ``source_tokenizer`` and ``target_tokenizer`` are kinds of ``text/lines``, or names of saved ones.

    Raises:
        DataError: there are no pairs, or none fits; the message says what to change.
    """

    codec_class = TextFromCodec

    def __init__(
        self,
        *,
        path: str | None = None,
        source_column: str = "source",
        target_column: str = "target",
        encoding: str = "utf-8",
        size: Annotated[int, Interval(ge=2, le=1_000_000)] = 10_000,
        source_tokenizer: Tokenizer = "words",
        target_tokenizer: Tokenizer = "words",
        vocab_size: Annotated[int, Ge(1)] = 8000,
        lowercase: bool = False,
        max_length: Annotated[int, Ge(2)] = 32,
        heldout_path: str | None = None,
        heldout: Annotated[float, Interval(gt=0, lt=1)] = 0.05,
        max_left_out: Annotated[float, Interval(ge=0, le=1)] = 0.5,
        seed: Seed = 0,
    ) -> None:
        if path is None and heldout_path is not None:
            raise DataError("heldout_path goes with a path; of the built-in grammar the share heldout is held out")
        if path is None:
            account = Account("conditional/parallel", "sentences")
            pairs = Sentences(*map(list, zip(*grammar.sentences(size, seed), strict=True)))
        else:
            account = Account(path, "sentences")
            source = SentenceRows(path, encoding=encoding, source_column=source_column, target_column=target_column)
            pairs = source.read(account)
        if heldout_path is None:
            held = chosen(pairs.sources, None, heldout, seed, account)
            pairs, others = pairs.where([not it for it in held]), pairs.where(held)
            account_of_others = account
        else:
            account_of_others = Account(f"{path}, held out ({heldout_path})", "sentences")
            others = source.other(heldout_path).read(account_of_others)
        self.accounts = list(dict.fromkeys([account, account_of_others]))
        training = {"vocab_size": vocab_size, "lowercase": lowercase, "drop_spaces": False}
        reads, writes = (
            Side(make_codec(texts, [], tokenizer=kind, max_length=max_length, **training), kind, vocab_size)
            for texts, kind in zip(pairs, (source_tokenizer, target_tokenizer), strict=True)
        )
        example = min(pairs.sources[:SHOWN], key=len)
        self.codec = TextFromCodec(writes.codec, TextInput(reads.codec, takes=f"a sentence, as {example!r}"))
        train = _rows(pairs, reads, writes, account, "to train on")
        others = _rows(others, reads, writes, account_of_others, "held out")
        others = without(others, train, account_of_others, column="input")
        account.use("to train on", len(train["tokens"]))
        account_of_others.use("held out", len(others["tokens"]))
        for each in self.accounts:
            if each.left_out > max_left_out * each.given:
                raise DataError(
                    f"{each}\nmend the data, raise max_length, or allow it with max_left_out ({max_left_out})"
                )
        self.train, self.heldout = TensorSplit(**train), TensorSplit(**others)

    def sheet(self) -> list[SheetRow]:
        """Sentences that are held out: translations, and the truth."""
        return sheet_of(self.codec, self.heldout)

    def describe(self) -> list[str]:
        """How large vocabularies are, and how long sentences."""
        lines = []
        for name, spec, column in (("source", self.codec.spec.input, "input"), ("target", self.codec.spec, "tokens")):
            lengths = spec.mask(self.train.rows()[column]).sum(1)
            longest = f"up to {lengths.max():,} tokens with the end token, {lengths.float().mean():.1f} in the mean"
            lines.append(f"{name}: a vocabulary of {spec.vocab_size:,}; {longest}; rows have {spec.max_length:,}")
        return lines


class Side(NamedTuple):
    """How one of the two languages is read, and by which ``tokenizer`` of how many tokens at most."""

    codec: TextCodec
    tokenizer: str
    vocab_size: int

    def rows(self, texts: list[str], account: Account, purpose: str) -> Tensor:
        """Rows int64 ``[n, max_length]`` of texts that fit; the account is told of unknown words."""
        full = is_full(self.tokenizer, self.codec.tokenizer, self.vocab_size)
        return to_rows(self.codec, Texts(texts, None), Fitting(), account, purpose, full)["tokens"]


def _rows(pairs: Sentences, reads: Side, writes: Side, account: Account, purpose: str) -> dict[str, Tensor]:
    """Rows of those pairs of which both sides fit; what does not is told to the account."""
    length = reads.codec.spec.max_length
    tokens = zip(reads.codec.tokenize(pairs.sources), writes.codec.tokenize(pairs.targets), strict=True)
    counts = [sorted((len(source), len(target))) for source, target in tokens]
    kept = pairs.where([shorter > 0 and longer < length for shorter, longer in counts])
    if not kept.sources:
        raise DataError(
            f"{account.source}: no pair {purpose} has 1 to {length - 1} tokens and the end token on both sides; the "
            f"shortest has {min(longer for _, longer in counts)} on its longer one\nraise max_length"
        )
    account.leave_out("without a token", [], sum(shorter == 0 for shorter, _ in counts))
    too_long = sum(shorter > 0 and longer >= length for shorter, longer in counts)
    account.leave_out(f"longer than {length} tokens on one side (data.max_length)", [], too_long)
    return {
        "tokens": writes.rows(kept.targets, account, f"{purpose}, targets"),
        "input": reads.rows(kept.sources, account, f"{purpose}, sources"),
    }
