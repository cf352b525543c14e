"""Tokenizers: trained on the data, or opened from a file, a folder or the hub."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from gangen import DataError, did_you_mean, pretrained_source, read_bytes

# Their numbers are 0 to 3 in every tokenizer that is trained here.
PAD, START, END, UNKNOWN = SPECIAL_TOKENS = ("<pad>", "<start>", "<end>", "<unk>")

# The largest that are published, of 256,000 tokens, have 35 million.
MOST_BYTES = 2**27

Kind = Literal["byte_bpe", "bpe", "words", "characters"]
KINDS = get_args(Kind)

# What parts words. Other spaces (no-break, thin, ideographic) are marks, or French and Chinese would lose theirs.
SPACE = r"[ \t-\r]"

# A text cut so that each space belongs to what follows it: no token of words reaches across a cut.
WORD_WITH_SPACES = re.compile(r" *[^ ]+| +")

# A word keeps its inner apostrophes and hyphens, a number its inner points, commas and colons, and both their soft
# hyphens and (non-)joiners; of the rest, all that is one character to a reader (a mark, a flag) is a token.
LETTERS = r"[\w\x{AD}\x{200C}\x{200D}]+"
INNER = r"(?:['\x{2019}\x{B7}\x{5F3}\x{5F4}\x{2010}\x{2011}-]|(?<=\d)[.,:](?=\d))"
TOKEN = rf"(?>{LETTERS}(?:{INNER}{LETTERS})*|(?!{SPACE})\X)"

# Closing marks touch what stands before them, opening ones what follows; all other marks stand between spaces. A mark
# that is written otherwise carries a joiner on that side, as in OpenNMT's tokenizer: "f(x) = $5" is f ￭( x ) = $￭ 5.
CLOSING = r"[,.;:!?%\p{Pe}\p{Pf}]"
OPENING = r"[\p{Ps}\p{Pi}]"
JOINER = "\N{HALFWIDTH BLACK SQUARE}"
JOINED = (
    (JOINER, "\N{BLACK SQUARE}"),
    (rf"(?:\G|(?<={SPACE})){TOKEN}\K(?!{SPACE}|\z)", JOINER),  # between all tokens without a space,
    (rf"(?<={OPENING}){JOINER}|{JOINER}(?={CLOSING})", ""),  # but where there usually is none,
)
# On a space where there usually is none.
PARTED = (rf"(?<={OPENING})(?={SPACE}|\z)|(?<={SPACE})(?={CLOSING})", JOINER)
JOINED_TOKEN = rf"{JOINER}?(?!{JOINER}){TOKEN}(?:{JOINER}(?=\w|{SPACE}|\z))?"

# From tokens between spaces back to text.
CLOSED_UP = (
    rf" (?={CLOSING})|(?<={OPENING}) ",
    rf"{JOINER}(?={CLOSING})|(?<={OPENING}){JOINER}",
    rf" ?{JOINER} ?",
)
# In texts that have spaces around all marks: "they 're" and "they ' re".
CONTRACTED = (
    rf"(?<=\w) (?=['\x{{2019}}]{JOINER}? ?(?:s|re|ve|ll|d|m|t)\b)",
    r"(?<=\w['\x{2019}]) (?=(?:s|re|ve|ll|d|m|t)\b)",
)

# Byte pairs are learnt from pieces of words that are longer (a genome, base64): the time grows with a word's square.
LONGEST_WORD = 1000


class SpecialTokens(NamedTuple):
    """Numbers of the tokens that frame a text; ``pad`` may be ``end``, and ``start`` may be too."""

    start: int
    end: int
    pad: int


def train(
    kind: Kind, texts: Sequence[str], *, vocab_size: int, lowercase: bool = False, drop_spaces: bool = False
) -> Tokenizer:
    """A tokenizer with at most ``vocab_size`` tokens for ``texts``; the same texts always give the same one.

    byte_bpe     byte pairs over bytes (Sennrich et al., 2016; Radford et al., 2019): any text, loses nothing
    bpe          byte pairs over characters, within words; punctuation stands alone
    words        the most frequent words; marks stand alone, and where they touch a word they do again when decoded
    characters   the most frequent characters, one token each

    All but ``byte_bpe`` compose accents (NFC) and read what they never saw as ``<unk>``.

    Raises:
        DataError: ``vocab_size`` leaves no room for the special tokens and, in ``byte_bpe``, the 256 bytes; or words
            without spaces are asked for.
    """
    smallest = len(SPECIAL_TOKENS) + (256 if kind == "byte_bpe" else 1)
    if vocab_size < smallest:
        raise DataError(f"vocab_size is {vocab_size}, but a {kind!r} tokenizer needs at least {smallest}")
    if kind == "words" and drop_spaces:
        raise DataError("drop_spaces takes out what words are told apart by; it is for tokenizer: characters")
    normalizer = _normalizer(kind, lowercase, drop_spaces)
    if kind == "characters":
        return _characters(texts, vocab_size, normalizer)
    shared = {"vocab_size": vocab_size, "special_tokens": list(SPECIAL_TOKENS), "show_progress": False}
    if kind == "byte_bpe":
        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()), **shared)
    elif kind == "bpe":
        tokenizer = Tokenizer(models.BPE(unk_token=UNKNOWN))
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Metaspace(), pre_tokenizers.Punctuation()])
        tokenizer.decoder = decoders.Metaspace()
        # Texts in a thousand scripts must not fill the vocabulary with characters alone.
        trainer = trainers.BpeTrainer(limit_alphabet=max(1, vocab_size // 2), **shared)
    else:
        return _words(texts, vocab_size, normalizer)
    tokenizer.normalizer = normalizer
    splitter = tokenizer.pre_tokenizer
    pieces = pre_tokenizers.Split(Regex(f"(?m:.{{{LONGEST_WORD}}})"), "isolated")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([splitter, pieces])
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.pre_tokenizer = splitter
    return tokenizer


def _normalizer(kind: Kind, lowercase: bool, drop_spaces: bool) -> normalizers.Normalizer:
    steps = [normalizers.NFC()] if kind != "byte_bpe" else []
    steps += [normalizers.Lowercase()] if lowercase else []
    steps += [normalizers.Replace(Regex(r"\s+"), "")] if drop_spaces else []
    return normalizers.Sequence(steps)


def _words(texts: Sequence[str], vocab_size: int, normalizer: normalizers.Normalizer) -> Tokenizer:
    marks = sum(text.count(",") + text.count(".") for text in texts)
    # In corpora that were tokenized before, spaces around marks say nothing.
    spaced = 2 * sum(text.count(" ,") + text.count(" .") for text in texts) > marks
    steps, patterns = (JOINED, CONTRACTED + CLOSED_UP) if spaced else ((*JOINED, PARTED), CLOSED_UP)
    joined = [normalizers.Replace(Regex(pattern), mark) for pattern, mark in steps]
    normalizer = normalizers.Sequence([normalizer, *joined])
    splitter = pre_tokenizers.Split(Regex(JOINED_TOKEN), "removed", invert=True)
    counts = Counter()
    # Of what stands between spaces there is less than of texts, and the patterns take their time.
    for part, times in Counter(chain.from_iterable(map(WORD_WITH_SPACES.findall, texts))).items():
        for token, _ in splitter.pre_tokenize_str(normalizer.normalize_str(part)):
            counts[token] += times
    tokenizer = Tokenizer(models.WordLevel(_most_frequent(counts, vocab_size), unk_token=UNKNOWN))
    tokenizer.add_special_tokens(list(SPECIAL_TOKENS))
    tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = splitter
    # The word-piece decoder puts spaces between tokens: none starts with two "#", which are tokens of their own.
    closed_up = [decoders.Replace(Regex(pattern), "") for pattern in patterns]
    tokenizer.decoder = decoders.Sequence([decoders.WordPiece(cleanup=False), decoders.Fuse(), *closed_up])
    return tokenizer


def _characters(texts: Sequence[str], vocab_size: int, normalizer: normalizers.Normalizer) -> Tokenizer:
    counts = Counter()
    for text in texts:
        counts.update(normalizer.normalize_str(text))
    # Byte pairs without a single merge: five times faster than splitting into words of one character.
    tokenizer = Tokenizer(models.BPE(_most_frequent(counts, vocab_size), [], unk_token=UNKNOWN))
    tokenizer.add_special_tokens(list(SPECIAL_TOKENS))
    tokenizer.decoder = decoders.Fuse()
    tokenizer.normalizer = normalizer
    return tokenizer


def _most_frequent(counts: Counter[str], vocab_size: int) -> dict[str, int]:
    by_frequency = sorted(counts, key=lambda token: (-counts[token], token))
    return {token: number for number, token in enumerate([*SPECIAL_TOKENS, *by_frequency][:vocab_size])}


def is_full(kind: Kind | str, tokenizer: Tokenizer, vocab_size: int) -> bool:
    """Whether ``train`` left out words or characters of the texts, so that a larger ``vocab_size`` knows more.

    ``kind`` may also be the name of a saved tokenizer, which was not trained here.
    """
    if kind not in KINDS:
        return False
    vocabulary = tokenizer.get_vocab()
    if kind == "bpe":  # which fills the rest with pairs
        return sum(len(token) == 1 for token in vocabulary) >= max(1, vocab_size // 2)
    return len(vocabulary) >= vocab_size


def special_tokens(tokenizer: Tokenizer) -> SpecialTokens:
    """The special tokens of a tokenizer from ``train``; those it lacks are added."""
    tokenizer.add_special_tokens([token for token in (PAD, START, END) if tokenizer.token_to_id(token) is None])
    return SpecialTokens(*(tokenizer.token_to_id(token) for token in (START, END, PAD)))


def open_tokenizer(name: str) -> tuple[Tokenizer, SpecialTokens]:
    """A ``tokenizer.json``, a folder that holds a saved tokenizer, or a name on the hub.

    Its own special tokens are used. A tokenizer without a start token starts with the end token, one without
    padding pads with it, as GPT-2 does; so no token is added to the vocabulary of a pretrained model.
    No code from the folder or the hub is run.

    Raises:
        DataError: nothing can be opened by that name.
    """
    if name.endswith(".json"):
        if not Path(name).is_file():
            raise DataError(f"no tokenizer file {name}")
        tokenizer = read_tokenizer(Path(name))
        return tokenizer, special_tokens(tokenizer)
    try:
        pretrained = pretrained_tokenizer(name)
    except (OSError, ValueError, KeyError, TypeError, ImportError) as error:
        reason = " ".join(str(error).split()).partition(". ")[0]
        if "couldn't connect" in reason.lower():
            reason = (
                "it does not answer, and this one was not fetched before\n"
                f"where there is a network: hf download {name} --local-dir FOLDER; then name that folder"
            )
        raise DataError(
            f"no tokenizer {name!r}{did_you_mean(name, KINDS)}\nit is none of {', '.join(KINDS)}, no tokenizer.json "
            f"and no folder of a saved tokenizer, and the hub gave none: {reason}"
        ) from None
    tokenizer = getattr(pretrained, "backend_tokenizer", None)
    if tokenizer is None:
        raise DataError(f"tokenizer {name!r} cannot be written as a tokenizer.json; use one that has a fast version")
    tokenizer.no_truncation()
    tokenizer.no_padding()
    end = _first(pretrained.eos_token_id, pretrained.sep_token_id)
    if end is None:
        return tokenizer, special_tokens(tokenizer)
    start = _first(pretrained.bos_token_id, pretrained.cls_token_id, end)
    return tokenizer, SpecialTokens(start, end, _first(pretrained.pad_token_id, end))


def pretrained_tokenizer(name: str) -> Any:
    """A tokenizer of transformers, with which a folder or a name on the hub says how texts are read.

    Raises:
        ValueError: there is none; and what else the library raises where it cannot open one.
    """
    from transformers import AutoTokenizer  # a second of imports that only those pay who read with it

    tokenizer = AutoTokenizer.from_pretrained(**pretrained_source(name))
    # Without its files the library makes one that reads every word as unknown.
    if len(tokenizer.get_vocab().keys() - set(tokenizer.all_special_tokens)) < 2:
        raise ValueError("there are no files of a tokenizer, such as tokenizer.json")
    return tokenizer


def read_tokenizer(path: Path) -> Tokenizer:
    """The tokenizer in a ``tokenizer.json``. Raises DataError for a file that is none."""
    with refusing(DataError, f"{path} is no tokenizer"):
        tokenizer = Tokenizer.from_buffer(read_bytes(path, MOST_BYTES))
        tokenizer.no_truncation()
        tokenizer.no_padding()
        return tokenizer


@contextmanager
def refusing(kind: type[Exception], what: str) -> Iterator[None]:
    """Errors of the library, which raises nothing narrower than Exception, and whose panics are no Exception."""
    try:
        yield
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:
        raise kind(f"{what}: {error}") from None


def numbers(size: int) -> Tokenizer:
    """A tokenizer for rows of numbers below ``size``: each is a token, written as itself between spaces."""
    tokenizer = Tokenizer(models.WordLevel({str(number): number for number in range(size)}, unk_token=""))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return tokenizer


def _first(*candidates: int | None) -> int | None:
    return next((candidate for candidate in candidates if candidate is not None), None)
