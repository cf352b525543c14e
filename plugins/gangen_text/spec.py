"""What a text network must know of its data: vocabulary, length, special tokens, labels."""

from dataclasses import dataclass, field

import torch
from tokenizers import Tokenizer
from torch import Tensor

from gangen import DataError, UsageError
from gangen_text.data.tokenization import refusing


@dataclass(frozen=True)
class TextSpec:
    """Description of rows of token ids, int64 ``[batch, max_length]``.

    A row holds text tokens, then one ``end`` token, then ``pad`` up to ``max_length`` (which counts the end token).
    ``end`` and ``pad`` are None for data of one fixed length. ``start`` is fed to generators first; it is not in rows.
    ``tokenizer`` is what the codec reads and writes texts with, None where tokens stand for no text; it is no part of
    what makes two descriptions equal.
    """

    vocab_size: int
    max_length: int
    start: int
    end: int | None = None
    pad: int | None = None
    labels: tuple[str, ...] = ()
    tokenizer: Tokenizer | None = field(default=None, compare=False, repr=False)

    def mask(self, tokens: Tensor) -> Tensor:
        """True up to and including the first end token, bool of the shape of ``tokens`` ``[batch, length]``."""
        if self.end is None:
            return torch.ones_like(tokens, dtype=torch.bool)
        ended = (tokens == self.end).cumsum(dim=1)
        return (ended == 0) | ((ended == 1) & (tokens == self.end))

    def text(self, tokens: Tensor) -> Tensor:
        """True before the first end token, bool of the shape of ``tokens`` ``[batch, length]``."""
        return self.mask(tokens) if self.end is None else (tokens == self.end).cumsum(dim=1) == 0

    def texts(self, tokens: Tensor) -> list[str]:
        """What rows say, each up to its first end token. Raises UsageError where tokens stand for no text."""
        if self.tokenizer is None:
            raise UsageError("the tokens of these data stand for no text")
        tokens, within = tokens.cpu(), self.text(tokens.cpu())
        if self.end is not None:
            within &= (tokens != self.pad) & (tokens != self.start)
        rows = [row[kept].tolist() for row, kept in zip(tokens, within, strict=True)]
        # The special tokens are gone by now but for <unk>, which a reader should see.
        with refusing(DataError, "the tokenizer of these data cannot write what its tokens say"):
            return self.tokenizer.decode_batch(rows, skip_special_tokens=False)


@dataclass(frozen=True, kw_only=True)
class PromptedSpec(TextSpec):
    """Description of answers to prompts: rows have "tokens", and "input", the prompt in the same tokens.

    A prompt goes up to its last token that is neither end nor padding, as a chat template may have ends of its own; the
    answer's first token is the next.
    """

    input: TextSpec


def prompt_lengths(rows: Tensor, spec: TextSpec) -> Tensor:
    """How many tokens prompts have, int64 ``[n]``: up to the last that is neither end nor padding, as a chat template
    may have ends of its own.
    """
    within = (rows != spec.end) & (rows != spec.pad)
    return (within * torch.arange(1, rows.shape[1] + 1, device=rows.device)).amax(1)
