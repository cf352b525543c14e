"""Networks: the constructor is handed the description of the data, and its keyword-only parameters are options."""

import math
from typing import Annotated

from annotated_types import Ge
from torch import Tensor, nn

from gangen import noise


class Warp(nn.Module):
    """Normal noise of the shape of a row, moved by ``layers`` residual layers of ``hidden_dim`` units each."""

    def __init__(self, spec, *, hidden_dim: Annotated[int, Ge(1)] = 64, layers: Annotated[int, Ge(1)] = 3) -> None:
        super().__init__()
        self.shape = spec.shape
        size = math.prod(spec.shape)
        self.layers = nn.ModuleList(
            nn.Sequential(nn.Linear(size, hidden_dim), nn.SiLU(), nn.Linear(hidden_dim, size)) for _ in range(layers)
        )

    def sample(self, n: int, condition=None, *, truncation: float = 1.0) -> Tensor:
        """``n`` rows; ``truncation`` below 1 keeps noise near 0, for typical rows at the cost of variety."""
        weight = self.layers[0][0].weight
        x = truncation * noise.normal(n, math.prod(self.shape), device=weight.device, dtype=weight.dtype)
        for layer in self.layers:
            x = x + layer(x)
        return x.reshape(n, *self.shape)
