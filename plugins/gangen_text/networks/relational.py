"""A relational memory that writes text token by token: the generator of RelGAN."""

from typing import Annotated, NamedTuple

import torch
import torch.nn.functional as F
from annotated_types import Ge, Interval
from torch import Tensor, nn

from gangen import UsageError, label_of
from gangen_text.networks.dropout import dropout
from gangen_text.networks.generation import Autoregressive, Condition
from gangen_text.spec import TextSpec


class MemoryState(NamedTuple):
    """The memory of rows, float ``[n, slots, dim]``, and the embedding of their label."""

    memory: Tensor
    label: Tensor | None

    def select(self, index: Tensor) -> "MemoryState":
        """The state of the rows at ``index``, int64 ``[m]``, repeats allowed."""
        return MemoryState(self.memory[index], None if self.label is None else self.label[index])


class RelationalMemory(Autoregressive):
    """The relational memory core of Santoro et al. (2018) as RelGAN writes with it (Nie et al. 2019, section 2.1).

    A memory of ``slots`` vectors of ``dim`` numbers attends, with ``heads`` heads, to itself and the token read; a
    feed-forward layer follows, each normalised with what goes around it. Gates for each unit, as those of an LSTM, say
    what of it is kept. It starts as rows of the identity matrix, and as a whole it is what the next token is drawn by.
    See ``networks.generation``.

    A label's embedding is added to that of every token read. ``embedding_dim`` is the size of an embedding.
    ``dropout`` acts on embeddings and on the memory that tokens are drawn by, while likelihoods are computed in
    training mode.

    Raises:
        UsageError: ``dim`` is no multiple of ``heads``.
    """

    def __init__(
        self,
        spec: TextSpec,
        *,
        embedding_dim: Annotated[int, Ge(1)] = 32,
        dim: Annotated[int, Ge(1)] = 256,
        heads: Annotated[int, Ge(1)] = 2,
        slots: Annotated[int, Ge(1)] = 1,
        dropout: Annotated[float, Interval(ge=0, lt=1)] = 0.0,
    ) -> None:
        super().__init__(spec)
        if dim % heads:
            raise UsageError(f"dim must be a multiple of heads, got dim {dim} and heads {heads}")
        self.embedding = nn.Embedding(spec.vocab_size, embedding_dim)
        self.label_embedding = nn.Embedding(len(spec.labels), embedding_dim) if spec.labels else None
        # What a token says to all of these does not depend on the memory.
        self.input = nn.Linear(embedding_dim, dim)
        self.input_gates = nn.Linear(embedding_dim, 2 * dim)
        self.query = nn.Linear(dim, dim, bias=False)
        self.key_value = nn.Linear(dim, 2 * dim, bias=False)
        self.attended_norm = nn.LayerNorm(dim)
        self.feed_forward = nn.Sequential(nn.Linear(dim, dim), nn.ReLU(), nn.Linear(dim, dim))
        self.norm = nn.LayerNorm(dim)
        self.memory_gates = nn.Linear(dim, 2 * dim, bias=False)
        nn.init.ones_(self.input_gates.bias[dim:])  # at first most of the memory is kept
        self.output = nn.Linear(slots * dim, spec.vocab_size)
        self.heads = heads
        self.slots = slots
        self.dropout = dropout

    def begin(self, n: int, condition: Condition | None) -> MemoryState:
        """See Autoregressive."""
        labels = label_of(condition, self.spec.labels)
        weight = self.query.weight
        memory = torch.eye(self.slots, len(weight), dtype=weight.dtype, device=weight.device).expand(n, -1, -1)
        return MemoryState(memory, None if labels is None else self.label_embedding(labels))

    def step(self, state: MemoryState, embedded: Tensor) -> tuple[Tensor, MemoryState]:
        """See Autoregressive."""
        if state.label is not None:
            embedded = embedded + state.label
        memory = self._advance(state.memory, self.input(embedded), self.input_gates(embedded))
        return memory.flatten(1), MemoryState(memory, state.label)

    def read(self, embedded: Tensor, condition: Condition | None) -> Tensor:
        """See Autoregressive."""
        memory, label = self.begin(len(embedded), condition)
        if label is not None:
            embedded = embedded + label.unsqueeze(1)
        embedded = dropout(embedded, self.dropout, self.training)
        features = []
        for token, gates in zip(self.input(embedded).unbind(1), self.input_gates(embedded).unbind(1), strict=True):
            memory = self._advance(memory, token, gates)
            features.append(memory.flatten(1))
        return dropout(torch.stack(features, dim=1), self.dropout, self.training)

    def _advance(self, memory: Tensor, token: Tensor, gates: Tensor) -> Tensor:
        """The memory after a token, of which float ``[n, dim]`` and ``[n, 2 * dim]`` are what ``input`` and
        ``input_gates`` make.
        """
        seen = self.key_value(torch.cat([memory, token.unsqueeze(1)], dim=1)).chunk(2, dim=-1)
        query, key, value = (it.unflatten(-1, (self.heads, -1)).transpose(1, 2) for it in (self.query(memory), *seen))
        attended = F.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2)
        candidate = self.attended_norm(memory + attended)
        candidate = self.norm(candidate + self.feed_forward(candidate))
        add, keep = (gates.unsqueeze(1) + self.memory_gates(memory.tanh())).sigmoid().chunk(2, dim=-1)
        return add * candidate.tanh() + keep * memory
