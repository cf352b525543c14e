"""What a tokenizer does not know: of texts, with what would help; of a prompt."""

import unicodedata
from collections.abc import Sequence
from itertools import chain, islice

from tokenizers import Tokenizer, models

from gangen import few
from gangen_text.data.tokenization import JOINER, UNKNOWN

# Up to this share of unknown tokens there is nothing to say.
LITTLE = 0.01
# So many unknown words are looked at.
LOOKED_AT = 100

# As the names of their letters in Unicode start.
WITHOUT_SPACES = ("CJK", "HIRAGANA", "KATAKANA", "THAI", "LAO", "KHMER", "MYANMAR")
LONG_WORD = 20


def unknown_token(tokenizer: Tokenizer) -> int | None:
    """The token that stands for what ``tokenizer`` does not know; None where there is none."""
    return tokenizer.token_to_id(getattr(tokenizer.model, "unk_token", None) or UNKNOWN)


def unknown_parts(tokenizer: Tokenizer, text: str) -> list[str]:
    """The words or characters of ``text`` that are unknown, or that no token stands for; each once."""
    encoding, unknown = tokenizer.encode(text, add_special_tokens=False), unknown_token(tokenizer)
    parts = [text[slice(*at)] for token, at in zip(encoding.ids, encoding.offsets, strict=True) if token == unknown]
    unread = list(text)
    for start, stop in encoding.offsets:
        unread[start:stop] = " " * (stop - start)
    return list(dict.fromkeys(part.strip() for part in (*parts, *"".join(unread).split()) if part.strip()))


def of_texts(
    tokenizer: Tokenizer, texts: Sequence[str], tokens: Sequence[Sequence[int]], *, trained: bool, full: bool
) -> str | None:
    """How much of ``texts``, with these ``tokens``, is unknown, and what would help; None where it is little.

    ``trained`` says that the tokenizer was trained for this data, ``full`` that its vocabulary left out what is rare.
    """
    unknown = unknown_token(tokenizer)
    rows = [row for row, numbers in enumerate(tokens) if unknown in numbers]
    share = sum(tokens[row].count(unknown) for row in rows) / max(1, sum(map(len, tokens)))
    if share <= LITTLE:
        return None
    found = chain.from_iterable(unknown_parts(tokenizer, texts[row]) for row in rows)
    parts = list(dict.fromkeys(islice(found, LOOKED_AT)))
    if not trained:
        helps = "the saved tokenizer does not know them; tokenizer: byte_bpe is trained here and knows every character"
    elif isinstance(tokenizer.model, models.WordLevel) and _without_spaces(parts):
        helps = "for a script without spaces take tokenizer: characters (or byte_bpe)"
    elif isinstance(tokenizer.model, models.WordLevel) and sum(map(len, parts)) > LONG_WORD * len(parts):
        helps = "most words this long occur once; take tokenizer: characters (or byte_bpe)"
    elif full:
        helps = "a larger vocab_size has fewer"
    else:
        helps = "no training text has them; more texts have fewer, and tokenizer: byte_bpe knows every character"
    return f"{100 * share:.0f} % of the tokens are {UNKNOWN} ({few(list(map(_quoted, parts)))}); {helps}"


def of_prompt(tokenizer: Tokenizer, prompt: str) -> str | None:
    """What of ``prompt`` is unknown, and how it is known if it is in another form; None where all is known."""
    parts = unknown_parts(tokenizer, prompt)
    if not parts:
        return None
    by_number = sorted(tokenizer.get_vocab().items(), key=lambda item: item[1], reverse=True)
    # Without what a token says about the spaces beside it.
    known = {_folded(word): word for word in (token.strip(f"{JOINER}▁") for token, _ in by_number) if word}
    return f"this model does not know {few([_with_form(part, known.get(_folded(part))) for part in parts])}"


def _with_form(part: str, form: str | None) -> str:
    if form is None:
        return _quoted(part)
    return f"{_quoted(part)} {'with these spaces beside it' if form == part else f'(it knows {_quoted(form)})'}"


def _folded(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold()


def _without_spaces(parts: Sequence[str]) -> bool:
    letters = [character for part in parts for character in part if character.isalpha()]
    return 2 * sum(unicodedata.name(letter, "").startswith(WITHOUT_SPACES) for letter in letters) > len(letters)


def _quoted(part: str) -> str:
    return repr(part if len(part) <= 2 * LONG_WORD else f"{part[: 2 * LONG_WORD]}…")
