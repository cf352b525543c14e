"""Transformers of text: a causal decoder that writes it, and a bidirectional encoder that judges it."""

from contextlib import nullcontext
from typing import Annotated

import torch
import torch.nn.functional as F
from annotated_types import Ge, Interval
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from gangen import UsageError, label_of
from gangen_text.networks.generation import Autoregressive, Condition
from gangen_text.networks.judging import TextDiscriminator, in_groups
from gangen_text.spec import TextSpec

ROWS_AT_ONCE = 1024


class Block(nn.Module):
    """Attention, then a feed-forward layer four times as wide; each normalises its input and is added to it.

    Vaswani et al. (2017), with the normalisation before (Xiong et al., 2020).
    """

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        if dim % heads:
            raise UsageError(f"dim must be a multiple of heads, got dim {dim} and heads {heads}")
        self.heads = heads
        self.norm = nn.LayerNorm(dim)
        self.query_key_value = nn.Linear(dim, 3 * dim)
        self.merge = nn.Linear(dim, dim)
        self.feed_forward = nn.Sequential(
            nn.LayerNorm(dim), nn.Linear(dim, 4 * dim), nn.GELU(), nn.Linear(4 * dim, dim)
        )

    def project(self, x: Tensor) -> list[Tensor]:
        """Queries, keys and values, float ``[n, heads, length, dim / heads]`` each, of x float ``[n, length, dim]``."""
        parts = self.query_key_value(self.norm(x)).chunk(3, dim=-1)
        return [part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in parts]

    def mix(self, x: Tensor, attended: Tensor, dropout: float) -> Tensor:
        """The block's output, float ``[n, length, dim]``, for what its heads attended to."""
        x = x + F.dropout(self.merge(attended.transpose(1, 2).flatten(2)), dropout)
        return x + F.dropout(self.feed_forward(x), dropout)

    def forward(self, x: Tensor, dropout: float, *, mask: Tensor | None = None, causal: bool = False) -> Tensor:
        """float ``[n, length, dim]`` of the same; ``mask``, bool ``[n, 1, 1, length]``, is True where there is text."""
        query, key, value = self.project(x)
        attended = F.scaled_dot_product_attention(query, key, value, mask, dropout_p=dropout, is_causal=causal)
        return self.mix(x, attended, dropout)


class Cache:
    """The keys and values of the ``length`` tokens that rows have read, and the embedding of their label.

    ``layers``: keys and values of each layer, float ``[n, heads, room, dim / heads]``.
    """

    def __init__(self, layers: list[tuple[Tensor, Tensor]], length: int, label: Tensor | None) -> None:
        self.layers = layers
        self.length = length
        self.label = label

    def select(self, index: Tensor) -> "Cache":
        """The cache of the rows at ``index``, int64 ``[m]``, repeats allowed."""
        layers = [(keys[index], values[index]) for keys, values in self.layers]
        return Cache(layers, self.length, None if self.label is None else self.label[index])

    def add(self, layer: int, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """Keep one token's key and value, float ``[n, heads, 1, dim / heads]``; all of this layer so far."""
        end = self.length + 1
        if torch.is_grad_enabled():
            # Autograd remembers what attention has read: it must not be written over.
            pairs = zip(self.layers[layer], (key, value), strict=True)
            self.layers[layer] = tuple(torch.cat([seen[:, :, : self.length], new], dim=2) for seen, new in pairs)
            return self.layers[layer]
        for seen, new in zip(self.layers[layer], (key, value), strict=True):
            seen[:, :, self.length : end] = new
        keys, values = self.layers[layer]
        return keys[:, :, :end], values[:, :, :end]


class TransformerGenerator(Autoregressive):
    """A causal decoder with learned positions (Radford et al., 2019); see ``networks.generation``.

    A label's embedding is added to that of every token read. ``dropout`` acts while likelihoods are computed in
    training mode; sampling, relaxed rows and rollouts have none.

    ``layers`` blocks of ``heads`` heads of attention work on ``dim`` numbers per token.

    Raises:
        UsageError: ``dim`` is no multiple of ``heads``.
    """

    def __init__(
        self,
        spec: TextSpec,
        *,
        dim: Annotated[int, Ge(1)] = 128,
        heads: Annotated[int, Ge(1)] = 4,
        layers: Annotated[int, Ge(1)] = 2,
        dropout: Annotated[float, Interval(ge=0, lt=1)] = 0.0,
    ) -> None:
        super().__init__(spec)
        self.embedding = _embedding(spec.vocab_size, dim)
        self.positions = _embedding(spec.max_length, dim)
        self.label_embedding = _embedding(len(spec.labels), dim) if spec.labels else None
        self.blocks = nn.ModuleList(Block(dim, heads) for _ in range(layers))
        self.norm = nn.LayerNorm(dim)
        self.output = nn.Linear(dim, spec.vocab_size)
        self.heads = heads
        self.dropout = dropout

    def begin(self, n: int, condition: Condition | None) -> Cache:
        """See Autoregressive."""
        labels = label_of(condition, self.spec.labels)
        shape = n, self.heads, self.spec.max_length, self.positions.embedding_dim // self.heads
        new = self.positions.weight.new_empty
        layers = [(new(shape), new(shape)) for _ in self.blocks]
        return Cache(layers, 0, None if labels is None else self.label_embedding(labels))

    def step(self, state: Cache, embedded: Tensor) -> tuple[Tensor, Cache]:
        """See Autoregressive. The cache is extended in place."""
        x = embedded + self.positions.weight[state.length]
        x = (x if state.label is None else x + state.label).unsqueeze(1)
        for layer, block in enumerate(self.blocks):
            query, key, value = block.project(x)
            keys, values = state.add(layer, key, value)
            x = block.mix(x, F.scaled_dot_product_attention(query, keys, values), dropout=0.0)
        state.length += 1
        return self.norm(x).squeeze(1), state

    def read(self, embedded: Tensor, condition: Condition | None) -> Tensor:
        """See Autoregressive."""
        labels = label_of(condition, self.spec.labels)
        dropout = self.dropout if self.training else 0.0
        x = embedded + self.positions.weight[: embedded.shape[1]]
        if labels is not None:
            x = x + self.label_embedding(labels).unsqueeze(1)
        x = F.dropout(x, dropout)
        for block in self.blocks:
            x = block(x, dropout, causal=True)
        return self.norm(x)


class TransformerDiscriminator(TextDiscriminator):
    """A bidirectional encoder, the mean over a text's tokens, and a projection on the label (Miyato and Koyama, 2018).

    What follows the first end token is not looked at; in a relaxed row that is the end where it is the largest entry.

    ``layers`` blocks of ``heads`` heads of attention work on ``dim`` numbers per token. ``dropout`` acts on what
    the head sees of a text.

    Raises:
        UsageError: ``dim`` is no multiple of ``heads``.
    """

    def __init__(
        self,
        spec: TextSpec,
        *,
        dim: Annotated[int, Ge(1)] = 128,
        heads: Annotated[int, Ge(1)] = 4,
        layers: Annotated[int, Ge(1)] = 2,
        dropout: Annotated[float, Interval(ge=0, lt=1)] = 0.1,
    ) -> None:
        super().__init__(spec)
        self.embedding = _embedding(spec.vocab_size, dim)
        self.positions = _embedding(spec.max_length, dim)
        self.blocks = nn.ModuleList(Block(dim, heads) for _ in range(layers))
        self.norm = nn.LayerNorm(dim)
        self.add_head(dim)
        self.dropout = dropout

    def features(self, tokens: Tensor) -> Tensor:
        """See TextDiscriminator."""
        return torch.cat([self._features(group) for group in in_groups(tokens, ROWS_AT_ONCE)])

    def _features(self, tokens: Tensor) -> Tensor:
        relaxed = tokens.is_floating_point()
        embedded = tokens @ self.embedding.weight if relaxed else self.embedding(tokens)
        mask = self.spec.mask(tokens.argmax(-1) if relaxed else tokens)
        dropout = self.dropout if self.training else 0.0
        x = F.dropout(embedded + self.positions.weight[: tokens.shape[1]], dropout)
        # Penalties on relaxed rows differentiate twice; of the attention kernels only this one can be.
        with sdpa_kernel(SDPBackend.MATH) if relaxed else nullcontext():
            for block in self.blocks:
                x = block(x, dropout, mask=mask[:, None, None])
        weights = mask.to(x.dtype).unsqueeze(2)
        return (self.norm(x) * weights).sum(1) / weights.sum(1)


def _embedding(count: int, dim: int) -> nn.Embedding:
    """Rows of about unit length, so that none of the things added to each other drowns the others."""
    embedding = nn.Embedding(count, dim)
    nn.init.normal_(embedding.weight, std=dim**-0.5)
    return embedding
