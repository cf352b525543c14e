"""A label-conditional LSTM that writes text token by token."""

from typing import Annotated, NamedTuple

import torch
import torch.nn.functional as F
from annotated_types import Ge, Interval
from torch import Tensor, nn

from gangen import UsageError, label_of
from gangen_text.networks.generation import Autoregressive, Condition
from gangen_text.spec import TextSpec


class LSTMState(NamedTuple):
    """What rows have read: hidden and cell per layer, float ``[n, hidden_dim]``, and the embedding of their label."""

    layers: tuple[tuple[Tensor, Tensor], ...]
    label: Tensor | None

    def select(self, index: Tensor) -> "LSTMState":
        """The state of the rows at ``index``, int64 ``[m]``, repeats allowed."""
        layers = tuple((hidden[index], cell[index]) for hidden, cell in self.layers)
        return LSTMState(layers, None if self.label is None else self.label[index])


class LSTMGenerator(Autoregressive):
    """A recurrent language model (Hochreiter and Schmidhuber, 1997); see ``networks.generation``.

    A label's embedding is added to that of every token read. ``dropout`` acts on embeddings and on each layer's output
    while likelihoods are computed in training mode; sampling, relaxed rows and rollouts have none.
    ``init_std`` draws all parameters from N(0, init_std^2) (1.0: the oracle of SeqGAN) instead of torch's defaults.

    ``embedding_dim`` is the size of an embedding, ``hidden_dim`` that of a state; there are ``layers`` LSTMs one
    above the other. ``tie_embeddings`` makes the output layer's weights those of the embedding.

    Raises:
        UsageError: tied embeddings with an ``embedding_dim`` other than ``hidden_dim``.
    """

    def __init__(
        self,
        spec: TextSpec,
        *,
        embedding_dim: Annotated[int, Ge(1)] = 32,
        hidden_dim: Annotated[int, Ge(1)] = 32,
        layers: Annotated[int, Ge(1)] = 1,
        dropout: Annotated[float, Interval(ge=0, lt=1)] = 0.0,
        tie_embeddings: bool = False,
        init_std: float | None = None,
    ) -> None:
        super().__init__(spec)
        self.embedding = nn.Embedding(spec.vocab_size, embedding_dim)
        self.label_embedding = nn.Embedding(len(spec.labels), embedding_dim) if spec.labels else None
        self.lstm = nn.LSTM(embedding_dim, hidden_dim, layers, batch_first=True, dropout=dropout if layers > 1 else 0.0)
        self.output = nn.Linear(hidden_dim, spec.vocab_size)
        self.dropout = dropout
        if tie_embeddings:
            if embedding_dim != hidden_dim:
                raise UsageError(
                    f"tie_embeddings needs embedding_dim equal to hidden_dim, got {embedding_dim} and {hidden_dim}"
                )
            # Logits from torch's N(0, 1) embeddings would be as large as sqrt(hidden_dim).
            nn.init.uniform_(self.embedding.weight, -(hidden_dim**-0.5), hidden_dim**-0.5)
            self.output.weight = self.embedding.weight
        if init_std is not None:
            for parameter in self.parameters():
                nn.init.normal_(parameter, std=init_std)

    def begin(self, n: int, condition: Condition | None) -> LSTMState:
        """See Autoregressive."""
        zeros = self.output.weight.new_zeros(n, self.lstm.hidden_size)
        label = None if (labels := label_of(condition, self.spec.labels)) is None else self.label_embedding(labels)
        return LSTMState(((zeros, zeros),) * self.lstm.num_layers, label)

    def step(self, state: LSTMState, embedded: Tensor) -> tuple[Tensor, LSTMState]:
        """See Autoregressive. nn.LSTM's own weights, without its cost per call."""
        features = embedded if state.label is None else embedded + state.label
        layers = []
        for weights, before in zip(self.lstm.all_weights, state.layers, strict=True):
            features, cell = torch.lstm_cell(features, before, *weights)
            layers.append((features, cell))
        return features, LSTMState(tuple(layers), state.label)

    def read(self, embedded: Tensor, condition: Condition | None) -> Tensor:
        """See Autoregressive."""
        labels = label_of(condition, self.spec.labels)
        if labels is not None:
            embedded = embedded + self.label_embedding(labels).unsqueeze(1)
        # Not every CPU has an LSTM in half precision.
        with torch.autocast(embedded.device.type, enabled=False):
            features, _ = self.lstm(F.dropout(embedded, self.dropout, self.training))
        return F.dropout(features, self.dropout, self.training)
