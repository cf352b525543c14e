"""One translator of several kinds of images."""

from collections.abc import Mapping

import torch
from torch import Tensor

from gangen import Players, UsageError, label_number, listed


class ToDomain:
    """Images of the condition, "input", as those that have the label ``to``; without it, the condition's "label"."""

    networks = ("generator",)

    def __init__(self, players: Players) -> None:
        self.generator = players.generator

    def sample(self, n: int, condition: Mapping[str, Tensor] | None = None, *, to: str | None = None) -> Tensor:
        """Images float ``[n, channels, size, size]``. Raises UsageError for a label that there is not, or none."""
        condition = dict(condition or {})
        if to is not None:
            number = label_number(to, self.generator.labels)
            condition["label"] = torch.full((n,), number, device=condition["input"].device)
        elif "label" not in condition:
            raise UsageError(
                f"say what is to be made of the image by the setting to, as in to={self.generator.labels[0]}\n"
                f"labels: {listed(self.generator.labels)}"
            )
        return self.generator.sample(n, condition)
