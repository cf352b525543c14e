"""What a text network must know of its data: vocabulary, length, special tokens, labels."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class TextSpec:
    """Description of rows of token ids, int64 ``[batch, max_length]``.

    A row holds text tokens, then one ``end`` token, then ``pad`` up to ``max_length`` (which counts the end token).
    ``end`` and ``pad`` are None for data of one fixed length. ``start`` is fed to generators first; it is not in rows.
    """

    vocab_size: int
    max_length: int
    start: int
    end: int | None = None
    pad: int | None = None
    labels: tuple[str, ...] = ()

    def mask(self, tokens: Tensor) -> Tensor:
        """True up to and including the first end token, bool of the shape of ``tokens`` ``[batch, length]``."""
        if self.end is None:
            return torch.ones_like(tokens, dtype=torch.bool)
        ended = (tokens == self.end).cumsum(dim=1)
        return (ended == 0) | ((ended == 1) & (tokens == self.end))

    def text(self, tokens: Tensor) -> Tensor:
        """True before the first end token, bool of the shape of ``tokens`` ``[batch, length]``."""
        return self.mask(tokens) if self.end is None else (tokens == self.end).cumsum(dim=1) == 0
