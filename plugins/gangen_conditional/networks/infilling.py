"""Networks of infilling: a generator that fills the holes of a text, and a discriminator of what it filled in."""

from typing import Annotated, Any, NamedTuple

import torch
import torch.nn.functional as F
from annotated_types import Ge, Interval
from torch import Tensor, nn

from gangen import Part, UsageError, at_least_float32, noise
from gangen_conditional.networks.attentive import AttentiveGenerator, DecoderState
from gangen_conditional.spec import HolesSpec, TextFromSpec
from gangen_text import Condition


class InfillingState(NamedTuple):
    """What rows have read, ``decoder``; their ``input``, int64 ``[n, length]``; and the ``place`` of the next token."""

    decoder: DecoderState
    input: Tensor
    place: int

    def select(self, index: Tensor) -> "InfillingState":
        """The state of the rows at ``index``, int64 ``[m]``, repeats allowed."""
        return InfillingState(self.decoder.select(index), self.input[index], self.place)


class InfillingGenerator(AttentiveGenerator):
    """The attentive decoder on texts with holes: it writes the text anew, and has a choice in holes alone.

    A place outside of holes has its token of the input, of which ``log_prob`` is 0. A hole has a word, and words or
    padding after it; padding closes it. Where the decoder writes a place, it also sees the encoder's state there, which
    has read the text on both sides: of what follows a hole an LSTM that writes from left to right knows nothing else.

    The other options are those of ``conditional/attentive``.

    Raises:
        UsageError: the data have no holes.
    """

    def __init__(self, spec: TextFromSpec, **options: Any) -> None:
        super().__init__(spec, **options)
        self.holes = holes_of(spec)
        self.beside = nn.Linear(self.encoder.dim, self.embedding.embedding_dim)
        self.penalty[spec.pad] = 0.0
        never = torch.zeros(spec.vocab_size, dtype=torch.bool)
        never[[token for token in (spec.start, spec.end, self.holes.unknown) if token is not None]] = True
        self.register_buffer("never", never, persistent=False)

    def begin(self, n: int, condition: Condition | None) -> InfillingState:
        """See Autoregressive. Raises UsageError for a condition without "input"."""
        return InfillingState(super().begin(n, condition), condition["input"], -1)

    def step(self, state: InfillingState, embedded: Tensor) -> tuple[Tensor, InfillingState]:
        """See Autoregressive."""
        place = state.place + 1
        beside = self.beside(state.decoder.memory.states[:, place])
        features, decoder = super().step(state.decoder, embedded + beside)
        return features, InfillingState(decoder, state.input, place)

    def read(self, embedded: Tensor, condition: Condition | None) -> Tensor:
        """See Autoregressive."""
        state = self.begin(len(embedded), condition).decoder
        return self.read_from(state, embedded + self.beside(state.memory.states))

    def barred(self, state: InfillingState, before: Tensor) -> Tensor:
        """See Autoregressive."""
        given, place, holes = state.input[:, state.place], state.place, self.holes.holes(state.input)
        within = holes[:, place]
        again = within & holes[:, place - 1] if place else torch.zeros_like(within)
        certain = ~within | again & (before == self.spec.pad)
        barred = self._barred(~again)
        barred[certain] = True
        barred[certain, torch.where(within, self.spec.pad, given)[certain]] = False
        return barred

    def log_prob(self, tokens: Tensor, condition: Condition | None = None, *, temperature: float = 1.0) -> Tensor:
        """See Autoregressive: 0 for what is given, and for padding behind that which closes a hole.

        ``tokens`` are to fill the input, as HolesSpec says.
        """
        before = torch.cat([tokens.new_full((len(tokens), 1), self.spec.start), tokens[:, :-1]], dim=1)
        features = self.read(self.embedding(before), condition)
        chosen, holes = self.holes.chosen(tokens, condition["input"]), self.holes.holes(condition["input"])
        first = holes & ~F.pad(holes, (1, 0))[:, :-1]
        logits = at_least_float32(self.logits(features[chosen])) / temperature
        said = logits.masked_fill(self._barred(first[chosen]), -torch.inf).log_softmax(-1)
        filled = said.gather(1, tokens[chosen].unsqueeze(1)).squeeze(1)
        return torch.zeros_like(tokens, dtype=filled.dtype).masked_scatter(chosen, filled)

    def _barred(self, first: Tensor) -> Tensor:
        """What may not be chosen in holes, bool ``[n, vocabulary]``: at the first place of one, not padding either."""
        padding = torch.arange(self.spec.vocab_size, device=first.device) == self.spec.pad
        return self.never | (first.unsqueeze(1) & padding)


class InfillingDiscriminator(nn.Module):
    """An LSTM that reads a text beside what an ``encoder`` made of the text with holes: a logit for each token.

    As in Fedus et al. (2018, section 2.1) it is built as the generator is and knows where the holes are; without that,
    a real word beside one that was filled in might be what looks wrong. A logit is a function of the token, those
    before it and the input, so that no word is blamed for what is written after it.

    ``embedding_dim`` is the size of an embedding, ``hidden_dim`` that of a state. ``dropout`` acts on the embeddings of
    the text and on the last states, in training mode.

    Raises:
        UsageError: the data have no holes.
    """

    def __init__(
        self,
        spec: TextFromSpec,
        *,
        encoder: Annotated[Any, Part("encoders")] = "conditional/words",
        embedding_dim: Annotated[int, Ge(1)] = 64,
        hidden_dim: Annotated[int, Ge(1)] = 128,
        dropout: Annotated[float, Interval(ge=0, lt=1)] = 0.0,
    ) -> None:
        super().__init__()
        holes_of(spec)
        self.encoder = encoder
        self.embedding = nn.Embedding(spec.vocab_size, embedding_dim)
        self.lstm = nn.LSTM(embedding_dim + encoder.dim, hidden_dim, batch_first=True)
        self.output = nn.Linear(hidden_dim, 1)
        self.dropout = dropout

    def forward(self, tokens: Tensor, condition: Condition) -> Tensor:
        """Logits that tokens int64 ``[n, length]`` are real, float of that shape."""
        beside = self.encoder(condition["input"]).states
        read = torch.cat([self._drop(self.embedding(tokens)), beside], dim=2)
        # Not every CPU has an LSTM in half precision.
        with torch.autocast(read.device.type, enabled=False):
            states, _ = self.lstm(read)
        return self.output(self._drop(states)).squeeze(2)

    def _drop(self, x: Tensor) -> Tensor:
        if not (self.training and self.dropout):
            return x
        return x * (noise.uniform(*x.shape, device=x.device) >= self.dropout) / (1 - self.dropout)


def holes_of(spec: TextFromSpec) -> HolesSpec:
    """The description of texts with holes. Raises UsageError for data that have none."""
    holes = getattr(spec, "input", None)
    if not isinstance(holes, HolesSpec):
        raise UsageError("conditional/infilling fills holes of texts, and these data have none: use conditional/masked")
    return holes
