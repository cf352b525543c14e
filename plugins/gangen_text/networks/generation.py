"""What a text generator does: the loops that every network which writes token by token shares."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

import torch
import torch.nn.functional as F
from annotated_types import Ge, Interval
from torch import Tensor, nn

from gangen import UsageError, at_least_float32, evaluating, noise
from gangen_text.networks.draws import PLAIN, Decoding, gumbel_softmax, inverse_cdf, truncated
from gangen_text.networks.likelihood import TokenLogLikelihood
from gangen_text.spec import TextSpec

Condition = Mapping[str, Tensor]

# Logits are made, turned into tokens and dropped in groups of rows: on a CPU small enough to stay in its cache.
LOGITS_AT_ONCE = {"cpu": 2**20}
LOGITS_AT_ONCE_ON_A_DEVICE = 2**27


class Autoregressive(nn.Module, ABC):
    """A distribution over rows of tokens, by a network that reads a token and expects the next.

    ``length`` is ``spec.max_length`` throughout. A condition may hold "label", int64 ``[n]``: what to write about; it
    must where ``spec.labels`` names labels. Rows that are made end as those of the data do: ``spec.end`` once, then
    ``spec.pad``; those that reach the full length need no end. All noise is drawn from ``gangen.noise`` in amounts that
    depend on shapes alone.

    A subclass sets ``embedding`` (``nn.Embedding``, vocabulary rows) and ``output`` (``nn.Linear`` onto the
    vocabulary) and defines ``begin``, ``step`` and ``read``. Its state has a method ``select(index)``: the state of
    those rows, int64 ``[m]``, repeats allowed, as a copy. Dropout belongs in ``read`` alone. One whose condition says
    what may stand where also defines ``barred``, and its ``log_prob`` accounts for it.
    """

    embedding: nn.Embedding
    output: nn.Linear

    def __init__(self, spec: TextSpec) -> None:
        super().__init__()
        self.spec = spec
        # Start and padding are no text: rows that held them could not be read back. Data without an end has neither.
        forbidden = {spec.start, spec.pad} - {spec.end, None} if spec.end is not None else ()
        penalty = torch.zeros(spec.vocab_size)
        penalty[list(forbidden)] = -torch.inf
        self.register_buffer("penalty", penalty, persistent=False)

    @abstractmethod
    def begin(self, n: int, condition: Condition | None) -> Any:
        """The state before the first token of ``n`` rows."""

    def before(self, n: int, condition: Condition | None) -> Tensor:
        """The token that each of ``n`` rows comes after, int64 ``[n]``."""
        return torch.full((n,), self.spec.start, device=self.penalty.device)

    @abstractmethod
    def step(self, state: Any, embedded: Tensor) -> tuple[Tensor, Any]:
        """Read one embedded token per row, float ``[n, e]``; features of the next, float ``[n, d]``, and the state."""

    @abstractmethod
    def read(self, embedded: Tensor, condition: Condition | None) -> Tensor:
        """Read embedded tokens in one go, float ``[n, length, e]``; features of each one's next ``[n, length, d]``."""

    def barred(self, state: Any, before: Tensor) -> Tensor | None:
        """Tokens that may not come next, bool ``[n, vocabulary]``, which leaves each row one at least; None is none.

        ``state`` is that of rows which have read up to ``before``, int64 ``[n]``, their last tokens.
        """
        return None

    def logits(self, features: Tensor) -> Tensor:
        """float ``[..., vocabulary]`` of features float ``[..., d]``; -inf for tokens that are no text."""
        return at_least_float32(F.linear(features, self.output.weight, self.output.bias)) + self.penalty

    def log_prob(self, tokens: Tensor, condition: Condition | None = None, *, temperature: float = 1.0) -> Tensor:
        """log p(token | tokens before it), float ``[batch, length]`` for tokens int64 of that shape; 0 for padding.

        Of what ``sample`` draws from at that ``temperature``.
        """
        return self._log_prob(self._features(tokens, condition), tokens, temperature)

    def _log_prob(self, features: Tensor, tokens: Tensor, temperature: float) -> Tensor:
        """The same by features of each token, float ``[batch, length, d]``."""
        features = features.flatten(0, 1)
        targets = tokens.masked_fill(~self.spec.mask(tokens), -1).flatten()
        bias = self.output.bias + self.penalty
        if temperature != 1:
            features, bias = features / temperature, bias / temperature
        return self.log_likelihood(features, bias, targets).view(tokens.shape)

    def log_likelihood(self, features: Tensor, bias: Tensor, targets: Tensor) -> Tensor:
        """log p(target), float ``[rows]``, of the logits that features float ``[rows, d]`` and the output's weight and
        this ``bias`` make; of targets below 0 it is 0.
        """
        return TokenLogLikelihood.apply(features, self.output.weight, bias, targets)

    def log_distributions(self, tokens: Tensor, condition: Condition | None = None) -> Tensor:
        """log p(any token | tokens before it) in the place of each token but padding, row by row: float
        ``[places, vocabulary]``, -inf for tokens that are no text. What ``barred`` says is not looked at.
        """
        return self.logits(self._features(tokens, condition)[self.spec.mask(tokens)]).log_softmax(-1)

    @torch.no_grad()
    def sample(
        self,
        n: int,
        condition: Condition | None = None,
        *,
        temperature: Annotated[float, Interval(ge=1e-6, le=1_000_000)] = 1.0,
        top_k: Annotated[int, Ge(0)] = 0,
        top_p: Annotated[float, Interval(gt=0, le=1)] = 1.0,
        min_p: Annotated[float, Interval(ge=0, lt=1)] = 0.0,
        best_of: Annotated[int, Interval(ge=1, le=10_000)] = 1,
    ) -> Tensor:
        """``n`` rows, int64 ``[n, length]``, without gradient.

        Logits are divided by ``temperature`` before all else. All but the ``top_k`` likeliest tokens are left out (0:
        none are). Tokens outside of the likeliest ``top_p`` of the probability are left out. Tokens less likely than
        ``min_p`` times the likeliest one are left out too. A condition's "prefix", int64 ``[n, p]``, is kept and
        continued.

        Of ``best_of`` such rows the one is kept to which the network itself, at temperature 1, gives the highest
        likelihood, often a short one: rejection by the generator (Caccia et al., 2020).

        Raises:
            UsageError: a temperature out of range, a label missing or a prefix longer than rows are.
        """
        decoding = Decoding(temperature, top_k, top_p, min_p)
        rows = self._sample(n, condition, decoding)
        if best_of > 1:
            scores = self._score(rows, condition)
            for _ in range(best_of - 1):
                others = self._sample(n, condition, decoding)
                theirs = self._score(others, condition)
                better = theirs > scores
                rows[better], scores[better] = others[better], theirs[better]
        return rows

    def _score(self, rows: Tensor, condition: Condition | None) -> Tensor:
        """By what rows are chosen among, float ``[n]``."""
        with evaluating(self):
            return self.log_prob(rows, condition).sum(1)

    def _sample(self, n: int, condition: Condition | None, decoding: Decoding) -> Tensor:
        if not 1e-6 <= decoding.temperature <= 1e6:  # beyond, quotients of logits are no numbers in float32
            raise UsageError(
                f"temperature must be from 0.000001 to 1,000,000, got {decoding.temperature}; "
                "the likeliest text is top_k=1"
            )
        uniforms = self._uniforms(n, self.spec.max_length)
        tokens, start = self._begun(n, condition)
        before, features, state = self._first(n, condition)
        for t in range(start):
            before = tokens[:, t]
            features, state = self.step(state, self.embedding(before))
        live = self._live(tokens[:, :start])
        if start < self.spec.max_length and len(live):
            if len(live) < n:
                before, features, state, uniforms = before[live], features[live], state.select(live), uniforms[live]
            barred = self.barred(state, before)
            drawn = self._draw(features, uniforms[:, start : start + 1], barred, decoding).flatten()
            self._complete(tokens, live, start, drawn, state, uniforms[:, start:], decoding)
        return tokens

    @torch.no_grad()
    def rollout(
        self, tokens: Tensor, condition: Condition | None = None, *, count: int, stride: int = 1
    ) -> Iterator[tuple[int, Tensor]]:
        """``count`` ways for each row to go on from its prefixes, without gradient.

        Yields (t, int64 ``[batch * count, length]``) for t = ``stride``, 2 ``stride`` .. below length, all the ways of
        one row next to each other: ``tokens[:, :t]`` and a continuation drawn from the generator. Rows that have ended
        by t are copies.
        """
        batch, length = tokens.shape
        uniforms = self._uniforms(batch, count, sum(length - t for t in range(stride, length, stride)))
        _, features, state = self._first(batch, condition)
        copies = torch.arange(batch * count, device=tokens.device).view(batch, count)
        for t in range(1, length):
            features, state = self.step(state, self.embedding(tokens[:, t - 1]))
            if t % stride:
                continue
            now, uniforms = uniforms.split([length - t, uniforms.shape[-1] - (length - t)], dim=-1)
            rolled = tokens.repeat_interleave(count, dim=0)
            live = self._live(tokens[:, :t])
            if len(live):
                rows = copies[live].flatten()
                rolled[rows, t:] = self._empty(len(rows))[:, t:length]
                barred = self.barred(state, tokens[:, t - 1])
                barred = None if barred is None else barred[live]
                drawn = self._draw(features[live], now[live, :, 0], barred).flatten()
                branches = state.select(live.repeat_interleave(count))
                self._complete(rolled, rows, t, drawn, branches, now.flatten(0, 1)[rows])
            yield t, rolled

    def relaxed(
        self, n: int, condition: Condition | None = None, *, temperature: float = 1.0, straight_through: bool = False
    ) -> Tensor:
        """``n`` rows of Gumbel-softmax tokens with gradient, float ``[n, length, vocabulary]``; one-hot padding."""
        if temperature <= 0:
            raise UsageError(f"temperature must be above 0, got {temperature}")
        spec = self.spec
        uniforms = self._uniforms(n, spec.max_length, spec.vocab_size)
        before, features, state = self._first(n, condition)
        rows = []
        if spec.end is not None:
            ended = torch.zeros(n, 1, dtype=torch.bool, device=features.device)
            padding = F.one_hot(torch.tensor(spec.pad, device=features.device), spec.vocab_size).to(features.dtype)
        for t in range(spec.max_length):
            logits = self.logits(features)
            if (barred := self.barred(state, before)) is not None:
                logits = logits.masked_fill(barred, -torch.inf)
            row = gumbel_softmax(logits, uniforms[:, t], temperature, straight_through)
            if spec.end is not None:
                row = torch.where(ended, padding, row)
                ended = ended | (row.argmax(-1, keepdim=True) == spec.end)
            rows.append(row)
            before = row.argmax(-1)
            if t + 1 < spec.max_length:
                weight = self.embedding.weight[: spec.vocab_size]
                features, state = self.step(state, row.to(weight.dtype) @ weight)
        return torch.stack(rows, dim=1)

    def _features(self, tokens: Tensor, condition: Condition | None) -> Tensor:
        """Features of each token by those before it, float ``[batch, length, d]``."""
        return self.read(self.embedding(self._before(tokens, condition)), condition)

    def _before(self, tokens: Tensor, condition: Condition | None) -> Tensor:
        """What stands before each token, int64 as ``tokens`` ``[batch, length]``."""
        return torch.cat([self.before(len(tokens), condition)[:, None], tokens[:, :-1]], dim=1)

    def _first(self, n: int, condition: Condition | None) -> tuple[Tensor, Tensor, Any]:
        """What ``n`` rows come after, int64 ``[n]``, and what ``step`` makes of it."""
        before = self.before(n, condition)
        return before, *self.step(self.begin(n, condition), self.embedding(before))

    def _begun(self, n: int, condition: Condition | None) -> tuple[Tensor, int]:
        """Rows with nothing but their prefix, int64 ``[n, length]``, and how long that is."""
        tokens, start = self._empty(n), 0
        if condition is not None and "prefix" in condition:
            start = condition["prefix"].shape[1]
            if start > self.spec.max_length:
                raise UsageError(
                    f"the prefix has {start} tokens, but rows have {self.spec.max_length}; give a shorter one"
                )
            tokens[:, :start] = condition["prefix"]
        return tokens, start

    def _empty(self, n: int) -> Tensor:
        fill = 0 if self.spec.pad is None else self.spec.pad
        return torch.full((n, self.spec.max_length), fill, device=self.penalty.device)

    def _live(self, tokens: Tensor) -> Tensor:
        """Indices of the rows that hold no end."""
        if self.spec.end is None:
            return torch.arange(len(tokens), device=tokens.device)
        return (tokens != self.spec.end).all(dim=1).nonzero().flatten()

    def _uniforms(self, rows: int, *shape: int) -> Tensor:
        # Half-precision uniforms are too coarse to draw from a vocabulary.
        dtype = torch.promote_types(self.output.weight.dtype, torch.float32)
        return noise.uniform(rows, *shape, device=self.penalty.device, dtype=dtype)

    def _draw(
        self,
        features: Tensor,
        uniforms: Tensor,
        barred: Tensor | None,
        decoding: Decoding = PLAIN,
    ) -> Tensor:
        """Next tokens, int64 ``[n, draws]``, for features float ``[n, d]`` and uniforms float ``[n, draws]``.

        None of those ``barred``, bool ``[n, vocabulary]``; rows that leave but one need no logits.
        """
        if barred is not None and (certain := barred.sum(1) == self.spec.vocab_size - 1).any():
            drawn = (~barred).int().argmax(1, keepdim=True).expand_as(uniforms).clone()
            if len(free := (~certain).nonzero().flatten()):
                drawn[free] = self._draw(features[free], uniforms[free], barred[free], decoding)
            return drawn
        weight = self.output.weight
        bias = (self.output.bias + self.penalty).to(weight.dtype)
        at_once = max(1, LOGITS_AT_ONCE.get(features.device.type, LOGITS_AT_ONCE_ON_A_DEVICE) // self.spec.vocab_size)
        # One buffer for all groups: fresh memory of this size costs more than the arithmetic.
        buffer = weight.new_empty(min(at_once, len(features)), self.spec.vocab_size)
        drawn = []
        groups = [features.to(weight.dtype).split(at_once), uniforms.split(at_once)]
        groups.append([None] * len(groups[0]) if barred is None else barred.split(at_once))
        for some, uniform, out in zip(*groups, strict=True):
            logits = torch.addmm(bias, some, weight.t(), out=buffer[: len(some)]).to(uniforms.dtype)
            if out is not None:
                logits.masked_fill_(out, -torch.inf)
            if decoding.temperature != 1.0:
                logits /= decoding.temperature
            drawn.append(inverse_cdf(truncated(logits, *decoding[1:]), uniform))
        return torch.cat(drawn)

    def _complete(
        self,
        tokens: Tensor,
        rows: Tensor,
        t: int,
        drawn: Tensor,
        state: Any,
        uniforms: Tensor,
        decoding: Decoding = PLAIN,
    ) -> None:
        """Write ``drawn`` into ``tokens[rows, t]`` and go on from there to the end of each row.

        ``state`` has read what comes before t; ``uniforms``, float ``[rows, length - t]``, begin with those of t.
        """
        length = tokens.shape[1]
        ended = torch.zeros_like(rows, dtype=torch.bool)
        for position in range(t, length):
            tokens[rows, position] = drawn
            if position + 1 == length:
                return
            if self.spec.end is not None:
                ended |= drawn == self.spec.end
                if 2 * ended.sum() >= len(ended):
                    going = (~ended).nonzero().flatten()
                    if not len(going):
                        return
                    rows, drawn, ended, uniforms = rows[going], drawn[going], ended[going], uniforms[going]
                    state = state.select(going)
            features, state = self.step(state, self.embedding(drawn))
            barred = self.barred(state, drawn)
            drawn = self._draw(features, uniforms[:, position + 1 - t, None], barred, decoding).flatten()
            if self.spec.end is not None:
                drawn = drawn.masked_fill(ended, self.spec.pad)
