"""A decoder that writes a text from what an encoder made of the input."""

from typing import Annotated, Any, NamedTuple

import torch
from annotated_types import Ge, Interval
from torch import Tensor, nn

from gangen import Part, UsageError, noise
from gangen_conditional.networks.memory import Memory
from gangen_conditional.spec import TextFromSpec
from gangen_text import Autoregressive, Condition


class DecoderState(NamedTuple):
    """What rows have read: hidden and cell per layer, float ``[n, hidden_dim]``; and what they are made from."""

    layers: tuple[tuple[Tensor, Tensor], ...]
    memory: Memory

    def select(self, index: Tensor) -> "DecoderState":
        """The state of the rows at ``index``, int64 ``[m]``, repeats allowed."""
        layers = tuple((hidden[index], cell[index]) for hidden, cell in self.layers)
        return DecoderState(layers, self.memory.select(index))


class AttentiveGenerator(Autoregressive):
    """An LSTM that attends to the input before each token (Luong et al., 2015: global attention, "general" score).

    ``encoder`` makes the memory of a condition's "input". The first state is a function of the memory's mean (Xu et
    al., 2015, section 3.1.2). Attention is not fed back into the LSTM, so that a whole text is read in one go.
    ``dropout`` acts on embeddings and on what is said about the next token while likelihoods are computed in training
    mode; sampling, relaxed rows and rollouts have none.

    ``embedding_dim`` is the size of an embedding, ``hidden_dim`` that of a state; there are ``layers`` LSTMs one above
    the other.
    """

    def __init__(
        self,
        spec: TextFromSpec,
        *,
        encoder: Annotated[Any, Part("encoders")] = "conditional/words",
        embedding_dim: Annotated[int, Ge(1)] = 64,
        hidden_dim: Annotated[int, Ge(1)] = 128,
        layers: Annotated[int, Ge(1)] = 1,
        dropout: Annotated[float, Interval(ge=0, lt=1)] = 0.0,
    ) -> None:
        super().__init__(spec)
        self.encoder = encoder
        self.first = nn.Linear(encoder.dim, 2 * layers * hidden_dim)
        self.embedding = nn.Embedding(spec.vocab_size, embedding_dim)
        self.lstm = nn.LSTM(embedding_dim, hidden_dim, layers, batch_first=True)
        self.query = nn.Linear(hidden_dim, encoder.dim, bias=False)
        self.mix = nn.Linear(encoder.dim + hidden_dim, hidden_dim)
        self.output = nn.Linear(hidden_dim, spec.vocab_size)
        self.dropout = dropout

    def begin(self, n: int, condition: Condition | None) -> DecoderState:
        """See Autoregressive. Raises UsageError for a condition without "input"."""
        if condition is None or "input" not in condition:
            raise UsageError("this generator makes texts from something: its condition needs an input")
        memory = self.encoder(condition["input"])
        states = self.first(memory.mean(memory.states)).tanh().to(self.output.weight.dtype)
        hidden, cell = states.unflatten(1, (2, self.lstm.num_layers, -1)).unbind(1)
        return DecoderState(tuple(zip(hidden.unbind(1), cell.unbind(1), strict=True)), memory)

    def step(self, state: DecoderState, embedded: Tensor) -> tuple[Tensor, DecoderState]:
        """See Autoregressive. nn.LSTM's own weights, without its cost per call."""
        features, layers = embedded, []
        for weights, before in zip(self.lstm.all_weights, state.layers, strict=True):
            features, cell = torch.lstm_cell(features, before, *weights)
            layers.append((features, cell))
        attended = self.attend(features.unsqueeze(1), state.memory).squeeze(1)
        return attended, DecoderState(tuple(layers), state.memory)

    def read(self, embedded: Tensor, condition: Condition | None) -> Tensor:
        """See Autoregressive."""
        return self.read_from(self.begin(len(embedded), condition), embedded)

    def read_from(self, state: DecoderState, embedded: Tensor) -> Tensor:
        """``read`` of rows that begin in ``state``."""
        hidden, cell = (torch.stack(side) for side in zip(*state.layers, strict=True))
        # Not every CPU has an LSTM in half precision.
        with torch.autocast(embedded.device.type, enabled=False):
            features, _ = self.lstm(self._drop(embedded), (hidden, cell))
        return self._drop(self.attend(features, state.memory))

    def attend(self, features: Tensor, memory: Memory) -> Tensor:
        """float ``[n, length, hidden_dim]`` of such, with what they look for in the memory (equations 5 to 8)."""
        return self.mix(self.look(features, memory)).tanh()

    def look(self, features: Tensor, memory: Memory) -> Tensor:
        """What features ``[n, length, hidden_dim]`` look for in the memory, and they themselves."""
        scores = self.query(features) @ memory.states.transpose(1, 2)
        weights = scores.masked_fill(~memory.mask.unsqueeze(1), -torch.inf).softmax(-1)
        context = weights.to(memory.states.dtype) @ memory.states
        return torch.cat([context, features], dim=2)

    def _drop(self, x: Tensor) -> Tensor:
        if not (self.training and self.dropout):
            return x
        return x * (noise.uniform(*x.shape, device=x.device) >= self.dropout) / (1 - self.dropout)
