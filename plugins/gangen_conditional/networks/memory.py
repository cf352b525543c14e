"""What encoders make of inputs, and how others look at it."""

import math
from typing import NamedTuple, Protocol

import torch
from torch import Tensor


class Memory(NamedTuple):
    """Inputs as an encoder sees them, at the places that count: where ``mask``, bool ``[n, m]``.

    ``states`` float ``[n, m, dim]`` have seen the other places too, ``alone`` float ``[n, m, alone_dim]`` have not: a
    word's embedding. What is made of these puts parts together that never came together where it was learned.
    """

    states: Tensor
    mask: Tensor
    alone: Tensor

    def select(self, index: Tensor) -> "Memory":
        """The memory of the rows at ``index``, int64 ``[k]``, repeats allowed."""
        return Memory(self.states[index], self.mask[index], self.alone[index])

    def mean(self, of: Tensor) -> Tensor:
        """The mean of a row over the places that count, float ``[n, d]``, of float ``[n, m, d]``."""
        weights = self.mask.to(of.dtype).unsqueeze(2)
        return (of * weights).sum(1) / weights.sum(1)


class Encoder(Protocol):
    """A network that reads the "input" of rows; built for ``spec``, whose ``input`` describes it."""

    dim: int
    alone_dim: int

    def __call__(self, rows: Tensor) -> Memory:
        """Of pixels uint8 ``[n, channels, size, size]``, a state for each place; of tokens int64 ``[n, length]``, one
        for each token up to the end.
        """


def attend(queries: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None = None, heads: int = 1) -> Tensor:
    """What each query sees: the mean of ``values`` float ``[n, m, v]``, weighed by how its key float ``[n, m, d]`` is
    like the query, float ``[n, q, d]`` (Vaswani et al. 2017, equation 1), where ``mask``, bool ``[n, m]``.

    With several ``heads`` each looks for itself, by its share of the numbers of queries, keys and values.

    Plain products and a softmax, since torch's own kernel has no second derivative, which gradient penalties need.
    """
    if heads > 1:
        shares = (it.unflatten(2, (heads, -1)).transpose(1, 2).flatten(0, 1) for it in (queries, keys, values))
        seen = attend(*shares, None if mask is None else mask.repeat_interleave(heads, 0))
        return seen.unflatten(0, (-1, heads)).transpose(1, 2).flatten(2)
    scores = queries @ keys.transpose(1, 2) / math.sqrt(keys.shape[2])
    if mask is not None:
        scores = scores.masked_fill(~mask.unsqueeze(1), -torch.inf)
    return scores.softmax(-1) @ values
