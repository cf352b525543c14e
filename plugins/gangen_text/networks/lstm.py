"""LSTMs of text: one that writes it token by token, and one that judges it as it reads."""

from contextlib import nullcontext
from typing import Annotated, NamedTuple

import torch
from annotated_types import Ge, Interval
from torch import Tensor, nn

from gangen import UsageError, label_of
from gangen_text.networks.dropout import dropout
from gangen_text.networks.generation import Autoregressive, Condition
from gangen_text.networks.judging import TextDiscriminator, in_groups
from gangen_text.spec import TextSpec

ROWS_AT_ONCE = 1024


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

    ``embedding_dim`` is the size of an embedding. ``hidden_dim`` is the size of a state. ``layers`` LSTMs stand one
    above the other. ``tie_embeddings`` makes the output layer's weights those of the embedding (Press and Wolf, 2017);
    embeddings are read multiplied by the root of their size, as in Vaswani et al. (2017), section 3.4.

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
        self.scale = embedding_dim**0.5 if tie_embeddings else 1.0
        if tie_embeddings:
            if embedding_dim != hidden_dim:
                raise UsageError(
                    f"tie_embeddings needs embedding_dim equal to hidden_dim, got {embedding_dim} and {hidden_dim}"
                )
            # Logits from torch's N(0, 1) embeddings would be as large as sqrt(hidden_dim). Read as they are, such small
            # ones are learned from slowly.
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
        features = self._scaled(embedded)
        features = features if state.label is None else features + state.label
        layers = []
        for weights, before in zip(self.lstm.all_weights, state.layers, strict=True):
            features, cell = torch.lstm_cell(features, before, *weights)
            layers.append((features, cell))
        return features, LSTMState(tuple(layers), state.label)

    def read(self, embedded: Tensor, condition: Condition | None) -> Tensor:
        """See Autoregressive."""
        labels = label_of(condition, self.spec.labels)
        embedded = self._scaled(embedded)
        if labels is not None:
            embedded = embedded + self.label_embedding(labels).unsqueeze(1)
        # Not every CPU has an LSTM in half precision.
        with torch.autocast(embedded.device.type, enabled=False):
            features, _ = self.lstm(dropout(embedded, self.dropout, self.training))
        return dropout(features, self.dropout, self.training)

    def _scaled(self, embedded: Tensor) -> Tensor:
        return embedded if self.scale == 1.0 else embedded * self.scale


class LSTMDiscriminator(TextDiscriminator):
    """A recurrent network that judges each prefix of a text, as that of ScratchGAN (de Masson d'Autume et al., 2019).

    The state after each token is normalised (Ba et al., 2016) and has a logit, to which a label is projected (Miyato
    and Koyama, 2018, eq. 4). That of a whole text is the one of its first end token, or of its last token where there
    is none; in a relaxed row the end is where it is the largest entry.

    ``embedding_dim`` is the size of an embedding. ``hidden_dim`` is the size of a state. ``layers`` LSTMs stand one
    above the other. ``dropout`` acts on embeddings and on states.
    """

    def __init__(
        self,
        spec: TextSpec,
        *,
        embedding_dim: Annotated[int, Ge(1)] = 64,
        hidden_dim: Annotated[int, Ge(1)] = 128,
        layers: Annotated[int, Ge(1)] = 1,
        dropout: Annotated[float, Interval(ge=0, lt=1)] = 0.1,
    ) -> None:
        super().__init__(spec)
        self.embedding = nn.Embedding(spec.vocab_size, embedding_dim)
        self.lstm = nn.LSTM(embedding_dim, hidden_dim, layers, batch_first=True)
        self.norm = nn.LayerNorm(hidden_dim)
        self.add_head(hidden_dim)
        self.dropout = dropout

    def features(self, tokens: Tensor) -> Tensor:
        """See TextDiscriminator; the state after the last token of a text."""
        mask = self.spec.mask(tokens.argmax(-1) if tokens.is_floating_point() else tokens)
        return self.states(tokens)[torch.arange(len(tokens), device=tokens.device), mask.sum(1) - 1]

    def prefixes(self, tokens: Tensor, condition: Condition | None = None) -> Tensor:
        """The logits of all prefixes, float ``[batch, length]``: column t is that of tokens 0..t.

        Raises:
            UsageError: no label in ``condition`` although the data has labels.
        """
        labels = label_of(condition, self.spec.labels)
        return self.head(self.states(tokens), labels)

    def states(self, tokens: Tensor) -> Tensor:
        """What is known after each token, float ``[batch, length, hidden_dim]``."""
        return torch.cat([self._states(group) for group in in_groups(tokens, ROWS_AT_ONCE)])

    def _states(self, tokens: Tensor) -> Tensor:
        embedded = tokens @ self.embedding.weight if tokens.is_floating_point() else self.embedding(tokens)
        # Penalties on relaxed rows differentiate twice, which cuDNN's LSTM cannot be.
        cudnn = torch.backends.cudnn.flags(enabled=False) if tokens.is_floating_point() else nullcontext()
        with cudnn, torch.autocast(embedded.device.type, enabled=False):
            states, _ = self.lstm(dropout(embedded.to(self.embedding.weight.dtype), self.dropout, self.training))
        return dropout(self.norm(states), self.dropout, self.training)
