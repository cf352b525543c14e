"""Texts as prompts: rows of tokens that samples are made from."""

from pathlib import Path
from typing import Any, Self

from torch import Tensor

from gangen import UsageError, did_you_mean, few
from gangen_text.codec import TextCodec
from gangen_text.data.unknown import unknown_parts


class TextInput:
    """Texts as tokens int64 ``[max_length]``: those of the text, its end, padding."""

    prompt_types = (str,)

    def __init__(self, codec: TextCodec, takes: str = "a text") -> None:
        self.codec = codec
        self.spec = codec.spec
        self.takes = takes
        self.options = {"takes": takes}

    def read(self, prompt: str | None) -> Tensor:
        """The tokens of a text. Raises UsageError for one that is empty, too long, or has unknown words."""
        text = (prompt or "").strip()
        if not text:
            raise UsageError(f"there is nothing to start from: this model takes {self.takes}")
        refuse_unknown(self.codec, text, self.takes)
        (tokens,) = self.codec.tokenize([text])
        if len(tokens) >= self.spec.max_length:
            raise UsageError(f"{text!r} has {len(tokens)} tokens; this model reads {self.spec.max_length - 1} at most")
        return self.codec.pack([tokens])[0]

    def decode(self, rows: Tensor) -> list[str]:
        """Texts of rows int64 ``[n, max_length]``."""
        return self.codec.decode(rows)

    def save(self, folder: Path) -> None:
        """Write the codec's files."""
        self.codec.save(folder)

    @classmethod
    def load(cls, folder: Path, **options: Any) -> Self:
        """See Input."""
        return cls(TextCodec.load(folder), **options)


def refuse_unknown(codec: TextCodec, text: str, takes: str) -> None:
    """Raises UsageError where a model that ``takes`` texts does not know words of this one."""
    if unknown := unknown_parts(codec.tokenizer, text):
        vocabulary = codec.tokenizer.get_vocab()
        hints = [
            " with these spaces beside it" if word in vocabulary else did_you_mean(word, list(vocabulary))
            for word in unknown
        ]
        words = [f"{word!r}{hint}" for word, hint in zip(unknown, hints, strict=True)]
        raise UsageError(f"this model does not know {few(words)}\nit takes {takes}")
