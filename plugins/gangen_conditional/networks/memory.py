"""What encoders make of inputs, and how others look at it."""

import math
from typing import NamedTuple, Protocol

import torch
from torch import Tensor


class Memory(NamedTuple):
    """Inputs as an encoder sees them: ``states`` float ``[n, m, dim]``, which count where ``mask``, bool ``[n, m]``."""

    states: Tensor
    mask: Tensor

    def select(self, index: Tensor) -> "Memory":
        """The memory of the rows at ``index``, int64 ``[k]``, repeats allowed."""
        return Memory(self.states[index], self.mask[index])

    def mean(self) -> Tensor:
        """The mean state of each row, float ``[n, dim]``."""
        weights = self.mask.to(self.states.dtype).unsqueeze(2)
        return (self.states * weights).sum(1) / weights.sum(1)


class Encoder(Protocol):
    """A network that reads the "input" of rows; built for ``spec``, whose ``input`` describes it."""

    dim: int

    def __call__(self, rows: Tensor) -> Memory:
        """Of pixels uint8 ``[n, channels, size, size]``, a state for each place; of tokens int64 ``[n, length]``, one
        for each token up to the end.
        """


def attend(queries: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None = None) -> Tensor:
    """What each query sees: the mean of ``values`` float ``[n, m, v]``, weighed by how its key float ``[n, m, d]`` is
    like the query, float ``[n, q, d]`` (Vaswani et al. 2017, equation 1), where ``mask``, bool ``[n, m]``.

    Plain products and a softmax, since torch's own kernel has no second derivative, which gradient penalties need.
    """
    scores = queries @ keys.transpose(1, 2) / math.sqrt(keys.shape[2])
    if mask is not None:
        scores = scores.masked_fill(~mask.unsqueeze(1), -torch.inf)
    return scores.softmax(-1) @ values
