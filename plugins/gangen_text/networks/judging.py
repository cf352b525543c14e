"""What discriminators of text share: a vector for each text, and what a label has to do with it."""

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from gangen import label_of
from gangen_text.networks.generation import Condition
from gangen_text.spec import TextSpec


class TextDiscriminator(nn.Module, ABC):
    """A linear layer on the features of a text, and a projection of its label on them (Miyato and Koyama, 2018, eq. 4).

    A subclass defines ``features`` and calls ``add_head``. Tokens are int64 ``[batch, length]``, or where the network
    can take them, relaxed rows float ``[batch, length, vocabulary]``.

    One whose features generator text/hierarchical may read, of a text that is not finished, has a table ``embedding``
    of tokens and three methods more. ``begin(n)`` is its state before the first token of ``n`` texts, a named tuple
    with ``select`` as ``Autoregressive`` has it; ``advance(state, embedded)`` the state after one token more, whose row
    of the table is float ``[n, e]``; and ``seen(state)`` are the features of texts that end there, float ``[n, d]``,
    without dropout: what ``features`` says of their rows, with padding up to the full length where the data have it.
    """

    output: nn.Linear
    projection: nn.Embedding | None

    def __init__(self, spec: TextSpec) -> None:
        super().__init__()
        self.spec = spec

    def add_head(self, dim: int) -> None:
        """The layers on features of ``dim`` numbers, their projection near unit length."""
        self.output = nn.Linear(dim, 1)
        self.projection = nn.Embedding(len(self.spec.labels), dim) if self.spec.labels else None
        if self.projection is not None:
            nn.init.normal_(self.projection.weight, std=dim**-0.5)

    @abstractmethod
    def features(self, tokens: Tensor) -> Tensor:
        """What a text is judged by, float ``[batch, d]``."""

    def forward(self, tokens: Tensor, condition: Condition | None = None) -> Tensor:
        """Logits, float ``[batch]``.

        Raises:
            UsageError: no label in ``condition`` although the data has labels.
        """
        labels = label_of(condition, self.spec.labels)
        return self.head(self.features(tokens), labels)

    def head(self, features: Tensor, labels: Tensor | None) -> Tensor:
        """Logits, float ``[batch, ...]``, of features float ``[batch, ..., d]`` with labels int64 ``[batch]``."""
        logits = self.output(features).squeeze(-1)
        if labels is None:
            return logits
        projected = self.projection(labels)
        return logits + (features * (projected if features.dim() == 2 else projected.unsqueeze(1))).sum(-1)

    def of_labels(self, tokens: Tensor) -> Tensor:
        """The logits that the same texts have with each of the labels, float ``[batch, labels]``."""
        features = self.features(tokens)
        return self.output(features) + features @ self.projection.weight.t()


def in_groups(tokens: Tensor, size: int) -> tuple[Tensor, ...]:
    """Rows in groups of ``size``, which bounds memory where many are judged without gradient; else all at once."""
    return (tokens,) if torch.is_grad_enabled() else tokens.split(size)
