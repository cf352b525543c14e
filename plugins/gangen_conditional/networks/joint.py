"""A discriminator of texts that were made from something: it sees both sides."""

from collections.abc import Sequence
from typing import Annotated, Any

import torch
import torch.nn.functional as F
from annotated_types import Ge, Interval
from torch import Tensor, nn

from gangen import Part, UsageError, noise
from gangen_conditional.networks.memory import Memory, attend
from gangen_conditional.spec import TextFromSpec
from gangen_text import Condition, FilterBank

# Tokens on each side of one that say what it looks for: "circle" in "a red circle above".
AROUND = 2
ROWS_AT_ONCE = 1024


class JointDiscriminator(nn.Module):
    """Each token looks at the input; filters over windows of tokens and what they see, the largest response of each
    (Kim, 2014), and two layers.

    ``encoder`` makes the memory of a condition's "input", a text or a picture. ``embedding_dim`` is the size of an
    embedding, ``filter_counts`` how many filters there are of each of ``filter_widths``. ``dropout`` acts on responses.

    Raises:
        UsageError: not as many ``filter_counts`` as ``filter_widths``.
    """

    def __init__(
        self,
        spec: TextFromSpec,
        *,
        encoder: Annotated[Any, Part("encoders")],
        embedding_dim: Annotated[int, Ge(1)] = 64,
        filter_widths: Sequence[int] = (1, 2, 3, 5),
        filter_counts: Sequence[int] = (64, 64, 64, 64),
        dropout: Annotated[float, Interval(ge=0, lt=1)] = 0.0,
    ) -> None:
        super().__init__()
        if len(filter_widths) != len(filter_counts):
            raise UsageError(
                f"filter_counts needs one number for each of {len(filter_widths)} widths, got {len(filter_counts)}"
            )
        features = sum(filter_counts)
        self.encoder = encoder
        self.embedding = nn.Embedding(spec.vocab_size, embedding_dim)
        self.around = nn.Conv1d(embedding_dim, encoder.dim, 2 * AROUND + 1, padding=AROUND)
        self.query = nn.Linear(encoder.dim, encoder.dim, bias=False)
        self.compare = nn.Linear(3 * encoder.dim, encoder.dim)
        self.filters = FilterBank(encoder.dim, filter_widths, filter_counts)
        self.hidden = nn.Linear(features, features)
        self.output = nn.Linear(features, 1)
        self.dropout = dropout

    def begin_as(self, generator: Any) -> None:
        """See inputs and tokens as the generator does. Raises UsageError where it was built with other options."""
        try:
            for part in ("encoder", "embedding"):
                getattr(self, part).load_state_dict(getattr(generator, part).state_dict())
        except RuntimeError:
            raise UsageError(
                "the discriminator is to begin with the generator's eyes: give it the encoder and the embedding_dim "
                "that the generator has"
            ) from None

    def forward(self, tokens: Tensor, condition: Condition | None = None) -> Tensor:
        """Logits, float ``[n]``, of tokens int64 ``[n, length]`` or rows float ``[n, length, vocabulary]``.

        Raises UsageError for a condition without "input".
        """
        if condition is None or "input" not in condition:
            raise UsageError("this discriminator judges what is made from something: its condition needs an input")
        return self.judge(tokens, self.encoder(condition["input"]))

    def judge(self, tokens: Tensor, memory: Memory, rows: Tensor | None = None) -> Tensor:
        """As ``forward``, of texts that are made from what ``memory`` has at ``rows``, int64 ``[n]``, repeats allowed;
        where none are given, row by row.
        """
        rows = torch.arange(len(tokens), device=tokens.device) if rows is None else rows
        size = len(tokens) if torch.is_grad_enabled() else ROWS_AT_ONCE
        groups = zip(tokens.split(size), rows.split(size), strict=True)
        return torch.cat([self._judge(some, memory.select(which)) for some, which in groups])

    def _judge(self, tokens: Tensor, memory: Memory) -> Tensor:
        embedded = tokens @ self.embedding.weight if tokens.is_floating_point() else self.embedding(tokens)
        said = self.around(embedded.transpose(1, 2)).transpose(1, 2).relu()
        seen = attend(self.query(said), memory.states, memory.states, memory.mask)
        compared = self.compare(torch.cat([said, seen, said * seen], dim=2)).relu()
        features = self.filters(compared).relu()
        if self.training and self.dropout:
            kept = noise.uniform(*features.shape, device=features.device) >= self.dropout
            features = features * kept / (1 - self.dropout)
        return self.output(F.relu(self.hidden(features))).squeeze(1)
