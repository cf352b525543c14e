"""An n-gram language model with Kneser-Ney smoothing: exact counts, and nothing that is impossible."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from gangen import UsageError
from gangen_text.spec import TextSpec


class KneserNey:
    """Interpolated Kneser-Ney (Kneser and Ney, 1995; Chen and Goodman, 1999) of rows int64 ``[n, length]``.

    The probability of a token w after a context h of ``order`` - 1 tokens is

        p(w | h) = (c(h w) - D) / c(h)  +  D t(h) / c(h)  p(w | h'),

    the first term being 0 for an n-gram that was never seen. c(h w) is the count of an n-gram and c(h) the sum over all
    w; t(h) is how many different tokens follow h, and h' is h without its first token. In all orders but the highest,
    c(h w) is not how often h w stands in the text, but how many different tokens stand before it. Below a single token
    is the uniform distribution over the vocabulary. After a context that was never seen p(w | h) is p(w | h').

    The discount D of an order is (n1 + 1) / (n1 + 2 n2 + 2), where n1 and n2 of its n-grams have a count of 1 and of 2.
    It is the n1 / (n1 + 2 n2) of the papers, but for the 1 and the 2: they keep it between 0 and 1 where there are few
    such n-grams or none, as in texts that are repeated, so that every token has a probability above 0.

    A text's end is a token like others; what is behind it is not looked at. Before a text stand as many marks of its
    beginning as the context is long. They are never predicted, and differ from all tokens. Memory and time of fitting
    are those of a few sorts of all tokens.

    Raises:
        UsageError: there are no rows.
    """

    def __init__(self, rows: Tensor, spec: TextSpec, *, order: int = 3) -> None:
        if not rows.numel():
            raise UsageError("a language model needs at least one text to learn from")
        self.spec = spec
        self.order = order
        # Pairs of numbers become one: pair (a, b) is a * base + b. Tokens are below the mark of a text's beginning.
        self._mark, self._base = spec.vocab_size, spec.vocab_size + 1

        tokens, before = self._read(rows)
        contexts, context = np.zeros(1, dtype=np.int64), np.zeros_like(tokens)
        keys: list[tuple[np.ndarray, np.ndarray]] = []
        counted: list[np.ndarray] = []
        for length in range(order):
            if length:
                contexts, context = np.unique(context * self._base + before[length - 1], return_inverse=True)
            grams, counts = np.unique(context * self._base + tokens, return_counts=True)
            if length:
                # Each n-gram is one more token that stands before the shorter one at its end.
                shorter = contexts[grams // self._base] // self._base * self._base + grams % self._base
                counted.append(np.bincount(np.searchsorted(keys[-1][1], shorter)))
            keys.append((contexts, grams))
        counted.append(counts)
        self._levels = [_level(*each, counts, self._base) for each, counts in zip(keys, counted, strict=True)]

    def log_prob(self, rows: Tensor) -> Tensor:
        """Log-probability in nats of each token of ``rows``, int64 ``[n, length]``, float64 of that shape on the CPU.

        It is that of the token after the text before it, and 0 behind the end.
        """
        tokens, before = self._read(rows)
        probability = np.full(len(tokens), 1 / self.spec.vocab_size)
        context = np.zeros_like(tokens)
        for length, level in enumerate(self._levels):
            if length:
                context = _find(level.contexts, context * self._base + before[length - 1])
            gram = _find(level.grams, context * self._base + tokens)
            seen = np.where(gram < 0, 0.0, level.seen[gram])
            probability = seen + np.where(context < 0, 1.0, level.rest[context]) * probability
        within = self.spec.mask(rows.cpu())
        logarithms = torch.zeros(within.shape, dtype=torch.float64)
        logarithms[within] = torch.from_numpy(np.log(probability))
        return logarithms

    def nll(self, rows: Tensor) -> float:
        """Negative log-likelihood in nats per token of ``rows``, int64 ``[n, length]``; the end is a token too."""
        return -self.log_prob(rows).sum().item() / self.spec.mask(rows).sum().item()

    def _read(self, rows: Tensor) -> tuple[np.ndarray, list[np.ndarray]]:
        """All tokens of all texts, and for each the token one, two ... ``order`` - 1 places before it."""
        rows = rows.cpu()
        within = self.spec.mask(rows).numpy()
        padded = np.pad(rows.numpy(), ((0, 0), (self.order - 1, 0)), constant_values=self._mark)
        shifted = [padded[:, start : start + rows.shape[1]][within] for start in range(self.order)]
        return shifted[-1], shifted[-2::-1]


class _Level(NamedTuple):
    """One order of the model: keys in ascending order, whose places are their numbers, and what belongs to them."""

    contexts: np.ndarray
    """Pairs (number of the context without its first token, first token)."""
    grams: np.ndarray
    """Pairs (number of the context, token)."""
    seen: np.ndarray
    """Of each n-gram, (c(h w) - D) / c(h)."""
    rest: np.ndarray
    """Of each context, D t(h) / c(h)."""


def _level(contexts: np.ndarray, grams: np.ndarray, counts: np.ndarray, base: int) -> _Level:
    context = grams // base
    ones, twos = np.count_nonzero(counts == 1), np.count_nonzero(counts == 2)
    discount = (ones + 1) / (ones + 2 * twos + 2)
    total = np.bincount(context, weights=counts)
    return _Level(contexts, grams, (counts - discount) / total[context], discount * np.bincount(context) / total)


def _find(keys: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Where each of ``wanted`` is in ``keys``, which are sorted; -1 where it is not.

    Nothing longer is found then, either: a pair whose first number is -1 is below 0, as no key is.
    """
    at = np.searchsorted(keys, wanted).clip(max=len(keys) - 1)
    return np.where(keys[at] == wanted, at, -1)
