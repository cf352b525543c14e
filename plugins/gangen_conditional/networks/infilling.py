"""Networks of infilling: a generator that fills the holes of a text, and a discriminator of what it filled in."""

from typing import Annotated, Any, NamedTuple

import torch
import torch.nn.functional as F
from annotated_types import Ge, Interval
from torch import Tensor, nn

from gangen import Part, UsageError, at_least_float32
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

    def features(self, tokens: Tensor, condition: Condition) -> Tensor:
        """What stands before each token and in the input, float ``[n, length, hidden_dim]``."""
        before = torch.cat([tokens.new_full((len(tokens), 1), self.spec.start), tokens[:, :-1]], dim=1)
        return self.read(self.embedding(before), condition)

    def log_prob(self, tokens: Tensor, condition: Condition | None = None, *, temperature: float = 1.0) -> Tensor:
        """See Autoregressive: 0 for what is given, and for padding behind that which closes a hole.

        ``tokens`` are to fill the input, as HolesSpec says.
        """
        features = self.features(tokens, condition)
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
    """The generator's own way of reading, and a verdict on each token in the place of what comes next.

    As in Fedus et al. (2018) it is built as the generator is and knows where the holes are; without that,
    a real word beside one that was filled in might be what looks wrong. With the features f of what stands before a
    token and in the input, and the token's vector w in the generator's output layer, its logit is w (A f + b): that
    part of the generator's own score for it which gives it away. A and b are 0 at first. So a logit is a function of
    the token, those before it and the input, and no word is blamed for what is written after it.

    ``encoder``, ``embedding_dim``, ``hidden_dim``, ``layers`` and ``dropout`` are those of the generator; with the same
    ones it can ``begin_as`` it.

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
        layers: Annotated[int, Ge(1)] = 1,
        dropout: Annotated[float, Interval(ge=0, lt=1)] = 0.0,
    ) -> None:
        super().__init__()
        options = {"embedding_dim": embedding_dim, "hidden_dim": hidden_dim, "layers": layers, "dropout": dropout}
        self.reader = InfillingGenerator(spec, encoder=encoder, **options)
        self.verdict = nn.Linear(hidden_dim, hidden_dim)
        nn.init.zeros_(self.verdict.weight)
        nn.init.zeros_(self.verdict.bias)

    def forward(self, tokens: Tensor, condition: Condition) -> Tensor:
        """Logits that tokens int64 ``[n, length]`` are real, float of that shape."""
        features = self.reader.features(tokens, condition)
        return (F.embedding(tokens, self.reader.output.weight) * self.verdict(features)).sum(2)

    def begin_as(self, generator: InfillingGenerator) -> None:
        """Read as the generator does. Raises UsageError where it was built with other options."""
        try:
            self.reader.load_state_dict(generator.state_dict())
        except RuntimeError:
            raise UsageError(
                "the discriminator is to begin as the generator is: give it the options that the generator has"
            ) from None


def holes_of(spec: TextFromSpec) -> HolesSpec:
    """The description of texts with holes. Raises UsageError for data that have none."""
    holes = getattr(spec, "input", None)
    if not isinstance(holes, HolesSpec):
        raise UsageError("conditional/infilling fills holes of texts, and these data have none: use conditional/masked")
    return holes
