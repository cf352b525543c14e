"""Counts of n-grams, hashed into a few numbers: what metrics see with where nothing is to be learned."""

from hashlib import sha256
from typing import Annotated

import torch
from annotated_types import Ge
from torch import Tensor

from gangen import Data, UsageError
from gangen_text.spec import TextSpec

# Odd, so that a product of 64 bits loses nothing; the last two are those of SplitMix64 (Steele et al., 2014).
BASE = 0x5851F42D4C957F2D
MIX = (0xBF58476D1CE4E5B9 - 2**64, 0x94D049BB133111EB - 2**64)


class HashedNgrams:
    """Counts of all runs of 1 to ``n`` tokens in a text, its end included, as vectors of Euclidean length 1.

    Each run is hashed to one of ``dimensions`` places and to a sign (Weinberger et al., 2009), so that two texts have
    the inner product of their full counts in expectation. Nothing is learned, and the same run has the same place
    everywhere. With ``n`` of 1 the order of words is not seen. Places mix runs at random: a fault must change many of
    them to stand out.
    """

    name = "ngrams"

    def __init__(self, *, n: Annotated[int, Ge(1)] = 2, dimensions: Annotated[int, Ge(1)] = 256) -> None:
        self.n = n
        self.dimensions = dimensions
        self.key = type(self), n, dimensions
        self.blind_to = "the order of words" if n == 1 else None

    def check(self, data: Data) -> None:
        """Raises UsageError for data that are no text."""
        if not isinstance(data.codec.spec, TextSpec):
            raise UsageError("extractor text/ngrams counts the tokens of texts, which these data are not")

    def fit(self, data: Data, device: torch.device) -> None:
        """Take over what tokens mean in ``data``."""
        self._codec = data.codec

    @property
    def digest(self) -> str:
        """Of the options and the tokenizer: the same numbers are other words to another one."""
        return sha256(f"{self.n} {self.dimensions} {self._codec.tokenizer.to_str()}".encode()).hexdigest()

    def features(self, samples: Tensor) -> Tensor:
        """Float32 ``[n, dimensions]`` of rows int64 ``[n, length]``; what stands behind an end is not counted."""
        within = self._codec.spec.mask(samples)
        counts = torch.zeros(len(samples), self.dimensions, dtype=torch.float32, device=samples.device)
        runs = torch.zeros_like(samples)
        for size in range(1, min(self.n, samples.shape[1]) + 1):
            last = slice(size - 1, None)
            runs = runs[:, : samples.shape[1] - size + 1] * BASE + samples[:, last] + 1
            bits = _mixed(runs)
            signs = ((bits & 1) * 2 - 1) * within[:, last]
            counts.scatter_add_(1, (bits >> 1) % self.dimensions, signs.float())
        return torch.nn.functional.normalize(counts)


def _mixed(numbers: Tensor) -> Tensor:
    """SplitMix64's finalizer on int64: each bit of a number changes about half of all bits."""
    for shift, factor in zip((30, 27), MIX, strict=True):
        numbers = (numbers ^ _shifted(numbers, shift)) * factor
    return numbers ^ _shifted(numbers, 31)


def _shifted(numbers: Tensor, by: int) -> Tensor:
    """To the right with zeros coming in, where torch would copy the sign."""
    return (numbers >> by) & (2 ** (64 - by) - 1)
