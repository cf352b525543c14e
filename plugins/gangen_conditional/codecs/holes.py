"""Texts with holes as prompts: "the film was [...] and too long"."""

import re
from pathlib import Path
from typing import Any, Self

import torch.nn.functional as F
from tokenizers import AddedToken, Tokenizer
from torch import Tensor

from gangen import UsageError
from gangen_conditional.spec import HolesSpec
from gangen_text import TextCodec, refuse_unknown, unknown_token

HOLE = "[...]"
# As people and their keyboards write it; several in a row are one.
HOLES = re.compile(r"\[ ?(?:\.\.\.|…) ?\](?:\s*\[ ?(?:\.\.\.|…) ?\])*")


class HolesInput:
    """Texts with ``[...]`` where words are missing, as rows that ``HolesSpec`` describes.

    ``codec`` is that of the whole texts, whose tokens are words; a hole stands for one to ``longest`` of them.
    """

    takes = f"a text with {HOLE} where words are missing"
    prompt_types = (str,)

    def __init__(self, codec: TextCodec, longest: int) -> None:
        self.codec = codec
        self.options = {"longest": longest}
        spec = codec.spec
        self.spec = HolesSpec(
            spec.vocab_size + 1,
            spec.max_length,
            spec.start,
            spec.end,
            spec.pad,
            hole=spec.vocab_size,
            longest=longest,
            unknown=unknown_token(codec.tokenizer),
        )
        self._tokenizer = Tokenizer.from_str(codec.tokenizer.to_str())
        self._tokenizer.add_tokens([AddedToken(HOLE, normalized=False)])
        # A word in the place of a hole: marks beside it are read as beside a word.
        vocabulary = codec.tokenizer.get_vocab()
        self._word = min(filter(str.isalpha, vocabulary), key=vocabulary.__getitem__, default="a")

    def read(self, prompt: str | None) -> Tensor:
        """The row of a text. Raises UsageError for one without a hole or without a word, or with unknown words, or too
        long.
        """
        text = " ".join((prompt or "").split())
        if not text:
            raise UsageError(f"there is nothing to start from: this model takes {self.takes}")
        if not HOLES.search(text):
            raise UsageError(f"there is nothing to fill in {text!r}: write {HOLE} where words are missing")
        if not HOLES.sub("", text).strip():
            raise UsageError(f"there are only holes in {text!r}: this model takes {self.takes}, and words around it")
        spec, longest = self.spec, self.spec.longest
        row = [token for each in self._tokens(text) for token in [each] * (longest if each == spec.hole else 1)]
        if len(row) >= spec.max_length:
            raise UsageError(
                f"{text!r} takes {len(row)} tokens, {longest} for each hole; this model writes "
                f"{spec.max_length - 1} at most"
            )
        return self.codec.pack([row])[0]

    def _tokens(self, text: str) -> list[int]:
        """The tokens of a text, one for each hole."""
        with_words, places = "", []
        for part in re.split(f"({HOLES.pattern})", text):
            if HOLES.fullmatch(part):
                places.append((len(with_words), len(with_words) + len(self._word)))
                part = self._word
            with_words += part
        encoding = self.codec.tokenizer.encode(with_words, add_special_tokens=False)
        if not set(places) <= set(encoding.offsets):
            raise UsageError(f"{HOLE} stands for whole words: put spaces around it in {text!r}")
        refuse_unknown(self.codec, with_words, self.takes)
        pairs = zip(encoding.ids, encoding.offsets, strict=True)
        return [self.spec.hole if at in places else token for token, at in pairs]

    def decode(self, rows: Tensor) -> list[str]:
        """Texts of rows int64 ``[n, max_length]``, with ``[...]`` for each hole."""
        rows, spec, hole = rows.cpu(), self.spec, self._tokenizer.token_to_id(HOLE)
        again = F.pad(spec.holes(rows), (1, 0))[:, :-1]
        rows, kept = rows.masked_fill(spec.holes(rows), hole), spec.text(rows) & ~(spec.holes(rows) & again)
        texts = [row[shown].tolist() for row, shown in zip(rows, kept, strict=True)]
        return self._tokenizer.decode_batch(texts, skip_special_tokens=False)

    def save(self, folder: Path) -> None:
        """Write the codec's files."""
        self.codec.save(folder)

    @classmethod
    def load(cls, folder: Path, **options: Any) -> Self:
        """See Input."""
        return cls(TextCodec.load(folder), **options)
