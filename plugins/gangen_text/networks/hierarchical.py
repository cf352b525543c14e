"""A Manager that sets goals by what a discriminator sees, with a Worker that writes after them: LeakGAN's generator."""

from typing import Annotated, Any, NamedTuple

import torch
import torch.nn.functional as F
from annotated_types import Ge, Interval
from torch import Tensor, nn

from gangen import Part, UsageError, label_of
from gangen_text.networks.dropout import dropout
from gangen_text.networks.generation import Autoregressive, Condition
from gangen_text.spec import TextSpec


class HierarchicalState(NamedTuple):
    """What rows have read: the leaking discriminator's state, which is None before the first token, hidden and cell of
    Manager and Worker, the embedded goals of the positions before, float ``[n, horizon - 1, goal_dim]``, and the
    embedding of their label.
    """

    leak: Any
    manager: tuple[Tensor, Tensor]
    worker: tuple[Tensor, Tensor]
    goals: Tensor
    label: Tensor | None

    def select(self, index: Tensor) -> "HierarchicalState":
        """The state of the rows at ``index``, int64 ``[m]``, repeats allowed."""
        return HierarchicalState(
            None if self.leak is None else self.leak.select(index),
            (self.manager[0][index], self.manager[1][index]),
            (self.worker[0][index], self.worker[1][index]),
            self.goals[index],
            None if self.label is None else self.label[index],
        )


class PairedEmbedding:
    """A token's rows of two tables, one behind the other: float ``[..., d]`` of tokens int64 ``[...]``."""

    def __init__(self, first: nn.Embedding, second: nn.Embedding) -> None:
        self.first = first
        self.second = second

    def __call__(self, tokens: Tensor) -> Tensor:
        return torch.cat([self.first(tokens), self.second(tokens)], dim=-1)

    @property
    def weight(self) -> Tensor:
        return torch.cat([self.first.weight, self.second.weight], dim=1)


class HierarchicalGenerator(Autoregressive):
    """The generator of LeakGAN (Guo et al., 2018), after FeUdal networks (Vezhnevets et al., 2017).

    The Manager, an LSTM, reads the features that a discriminator has of the text so far, and sets a goal, a direction
    of unit length in the space of these. The goals of the last ``horizon`` positions are added up and projected to
    ``goal_dim`` numbers w. The Worker, an LSTM that reads tokens, makes of its state as many numbers for each token of
    the vocabulary, its action embeddings O, and the logits are O w, here with a bias for each token beside.

    ``leak`` is the discriminator whose features are read, with its options. It does not learn here: text/leakgan, the
    game for this network, puts in the weights of the player that does, and a saved model has those that were read last.
    So sampling needs no second network; and a game that hands over no features is refused. A beginning of t tokens is
    seen as the discriminator sees a row: filled with padding up to the full length. Data of one length have no padding,
    and there a beginning is a shorter text. Features of a longer text follow from what is known of the shorter: with
    text/cnn a token costs one window of each width, those that reach from it into the padding, and the highway layer.

    ``embedding_dim`` is the size of the Worker's embeddings of tokens, ``hidden_dim`` that of its state, and
    ``manager_dim`` that of the Manager's. A label's embedding is added to the Worker's of each token; the Manager knows
    none. ``dropout`` acts on what the Worker reads and on its state, while
    likelihoods are computed in training mode.

    Raises:
        UsageError: a ``leak`` that cannot read a text as it is written.
    """

    def __init__(
        self,
        spec: TextSpec,
        *,
        leak: Annotated[Any, Part("discriminators")] = "text/cnn",
        embedding_dim: Annotated[int, Ge(1)] = 32,
        hidden_dim: Annotated[int, Ge(1)] = 32,
        manager_dim: Annotated[int, Ge(1)] = 32,
        goal_dim: Annotated[int, Ge(1)] = 16,
        horizon: Annotated[int, Ge(1)] = 4,
        dropout: Annotated[float, Interval(ge=0, lt=1)] = 0.0,
    ) -> None:
        super().__init__(spec)
        if lacking := [name for name in ("begin", "advance", "seen") if not hasattr(leak, name)]:
            raise UsageError(
                f"the Manager reads a text's features while it is written, and a {type(leak).__name__} as leak has "
                f"none of texts that are not finished: it lacks {lacking[0]}(); take text/cnn"
            )
        self.leak = _without_learning(leak)
        features = leak.output.in_features
        self.manager = nn.LSTM(features, manager_dim, batch_first=True)
        self.goal = nn.Linear(manager_dim, features)
        self.worker_embedding = nn.Embedding(spec.vocab_size, embedding_dim)
        self.label_embedding = nn.Embedding(len(spec.labels), embedding_dim) if spec.labels else None
        self.worker = nn.LSTM(embedding_dim, hidden_dim, batch_first=True)
        self.projection = nn.Linear(features, goal_dim, bias=False)
        nn.init.normal_(self.projection.weight, std=goal_dim**-0.5)  # what is projected is about as long as before
        self.output = nn.Linear(goal_dim * (hidden_dim + 1), spec.vocab_size)
        self.horizon = horizon
        self.dropout = dropout

    @property
    def embedding(self) -> PairedEmbedding:  # type: ignore[override]
        """What is read of a token: the Worker's embedding, then the discriminator's."""
        return PairedEmbedding(self.worker_embedding, self.leak.embedding)

    def train(self, mode: bool = True) -> "HierarchicalGenerator":
        """But for the discriminator, which only reads."""
        super().train(mode)
        self.leak.eval()
        return self

    def take_leak(self, discriminator: nn.Module) -> None:
        """From now on read the features that ``discriminator``, built as ``leak`` is, has now."""
        self.leak.load_state_dict(discriminator.state_dict())

    def seen(self, tokens: Tensor) -> Tensor:
        """The discriminator's features of all beginnings of texts, float ``[batch, length + 1, d]``, without gradient:
        row t is of the first t tokens, filled up as said above.
        """
        with torch.no_grad():
            return self._seen(self.leak.embedding(tokens))

    def goals(self, seen: Tensor) -> Tensor:
        """The Manager's goals, float ``[batch, positions, d]`` as ``seen``: each by the features up to there."""
        with torch.autocast(seen.device.type, enabled=False):
            hidden, _ = self.manager(seen.to(self.goal.weight.dtype))
        return F.normalize(self.goal(hidden), dim=-1)

    def follow(
        self, tokens: Tensor, goals: Tensor, condition: Condition | None = None, *, temperature: float = 1.0
    ) -> Tensor:
        """What ``log_prob`` is with these goals, float ``[batch, length, d]``: what the Worker makes of them."""
        embedded = self.worker_embedding(self._before(tokens, condition))
        return self._log_prob(self._written(embedded, goals, condition), tokens, temperature)

    def begin(self, n: int, condition: Condition | None) -> HierarchicalState:
        """See Autoregressive."""
        labels = label_of(condition, self.spec.labels)
        manager, worker = (self.output.weight.new_zeros(n, it.hidden_size) for it in (self.manager, self.worker))
        goals = self.output.weight.new_zeros(n, self.horizon - 1, self.projection.out_features)
        label = None if labels is None else self.label_embedding(labels)
        return HierarchicalState(None, (manager, manager), (worker, worker), goals, label)

    def step(self, state: HierarchicalState, embedded: Tensor) -> tuple[Tensor, HierarchicalState]:
        """See Autoregressive."""
        embedded, for_leak = self._parts(embedded)
        # The first token that is read is the start, which is no part of a text.
        leak = self.leak.begin(len(embedded)) if state.leak is None else self.leak.advance(state.leak, for_leak)
        seen = self.leak.seen(leak).to(self.goal.weight.dtype)
        manager = torch.lstm_cell(seen, state.manager, *self.manager.all_weights[0])
        goal = self.projection(F.normalize(self.goal(manager[0]), dim=-1))
        goals = torch.cat([state.goals, goal.unsqueeze(1)], dim=1)
        if state.label is not None:
            embedded = embedded + state.label
        worker = torch.lstm_cell(embedded, state.worker, *self.worker.all_weights[0])
        features = _products(worker[0], goals.sum(1))
        return features, HierarchicalState(leak, manager, worker, goals[:, 1:], state.label)

    def read(self, embedded: Tensor, condition: Condition | None) -> Tensor:
        """See Autoregressive."""
        embedded, for_leak = self._parts(embedded)
        # Nothing is learned through what the discriminator sees of tokens that are given.
        return self._written(embedded, self.goals(self._seen(for_leak[:, 1:].detach())), condition)

    def _parts(self, embedded: Tensor) -> tuple[Tensor, Tensor]:
        """Of embedded tokens, float ``[..., d]``, what the Worker reads, and what the discriminator does."""
        own = self.worker_embedding.embedding_dim
        return embedded[..., :own], embedded[..., own:]

    def _seen(self, embedded: Tensor) -> Tensor:
        """Features float ``[batch, length + 1, d]``, as ``seen``, of tokens as the discriminator embeds them."""
        state = self.leak.begin(len(embedded))
        seen = [self.leak.seen(state)]
        for token in embedded.unbind(1):
            state = self.leak.advance(state, token)
            seen.append(self.leak.seen(state))
        return torch.stack(seen, dim=1)

    def _written(self, embedded: Tensor, goals: Tensor, condition: Condition | None) -> Tensor:
        """Features of next tokens by what the Worker reads, float ``[batch, length, e]``, and goals."""
        labels = label_of(condition, self.spec.labels)
        if labels is not None:
            embedded = embedded + self.label_embedding(labels).unsqueeze(1)
        with torch.autocast(embedded.device.type, enabled=False):
            hidden, _ = self.worker(dropout(embedded, self.dropout, self.training))
        projected = F.pad(self.projection(goals), (0, 0, self.horizon - 1, 0)).unfold(1, self.horizon, 1).sum(-1)
        return _products(dropout(hidden, self.dropout, self.training), projected)


def _products(hidden: Tensor, goal: Tensor) -> Tensor:
    """What the output layer reads, so that its weights are the action embeddings: all products of a number of the
    Worker's state, float ``[..., h]``, or 1, with one of the goal, float ``[..., k]``; float ``[..., k (h + 1)]``.
    """
    with_one = F.pad(hidden, (0, 1), value=1.0)
    return (goal.unsqueeze(-1) * with_one.unsqueeze(-2)).flatten(-2)


def _without_learning(network: nn.Module) -> nn.Module:
    """The network with buffers in the place of parameters: they are saved, averages have the same, none is learned."""
    for module in network.modules():
        for name, parameter in list(module.named_parameters(recurse=False)):
            delattr(module, name)
            module.register_buffer(name, parameter.detach())
    return network.eval()
