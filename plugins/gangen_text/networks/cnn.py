"""A convolutional discriminator of text: filters of many widths, the largest response of each."""

from collections.abc import Sequence
from typing import Annotated

import torch
from annotated_types import Ge, Interval
from torch import Tensor, nn
from torch.nn.utils import parametrizations

from gangen import UsageError, label_of
from gangen_text.networks.dropout import dropout
from gangen_text.networks.filters import FilterBank, Responses
from gangen_text.networks.generation import Condition
from gangen_text.networks.judging import TextDiscriminator, in_groups
from gangen_text.spec import TextSpec

ROWS_AT_ONCE = 1024


class CNNDiscriminator(TextDiscriminator):
    """Convolutions over time, max pooling (Kim, 2014), one highway layer, dropout and a projection on the label.

    ``filter_widths`` are how many tokens each filter spans; in SeqGAN (Yu et al., 2017) they are 1 to 10, 15 and 20.
    The highway layer (Srivastava et al., 2015) uses one matrix for its transform and its gate. With ``own_gate``, as in
    SeqGAN, it has another one for the gate, whose bias begins at -2. Labels enter as in Miyato and Koyama (2018, eq.
    4). Padding counts as a token; text shorter than a filter is filled up with zeros.

    ``embedding_dim`` is the size of an embedding. With more than one, a text has so many ``representations``, each by
    an embedding of its own, and as many logits; all else they share. RelGAN has 64, with ``embedding_dim: 1`` (Nie et
    al. 2019, section 2.3).

    ``filter_counts`` says how many filters there are of each width.
    ``dropout`` acts before the last layer. ``spectral_norm`` divides weights of filters, highway and output by their
    largest singular value (Miyato et al., 2018).

    Raises:
        UsageError: not as many ``filter_counts`` as ``filter_widths``.
    """

    def __init__(
        self,
        spec: TextSpec,
        *,
        embedding_dim: Annotated[int, Ge(1)] = 64,
        filter_widths: Sequence[int] = (1, 2, 3, 4, 5),
        filter_counts: Sequence[int] = (100, 200, 200, 200, 200),
        dropout: Annotated[float, Interval(ge=0, lt=1)] = 0.25,
        representations: Annotated[int, Ge(1)] = 1,
        own_gate: bool = False,
        spectral_norm: bool = False,
    ) -> None:
        super().__init__(spec)
        if len(filter_widths) != len(filter_counts):
            raise UsageError(
                f"filter_counts needs one number for each of {len(filter_widths)} widths, got {len(filter_counts)}"
            )
        features = sum(filter_counts)
        self.embedding = nn.Embedding(spec.vocab_size, representations * embedding_dim)
        self.filters = FilterBank(embedding_dim, filter_widths, filter_counts)
        self.highway = nn.Linear(features, features)
        self.gate = nn.Linear(features, features) if own_gate else None
        if self.gate is not None:
            nn.init.constant_(self.gate.bias, -2.0)
        self.dropout = dropout
        self.representations = representations
        self.add_head(features)
        if spectral_norm:
            for layer in [it for it in self.modules() if isinstance(it, nn.Linear)]:
                parametrizations.spectral_norm(layer)

    def forward(self, tokens: Tensor, condition: Condition | None = None) -> Tensor:
        """See TextDiscriminator; with several representations float ``[batch, representations]``."""
        labels = label_of(condition, self.spec.labels)
        return self.head(self._represented(tokens), labels)

    def features(self, tokens: Tensor) -> Tensor:
        """See TextDiscriminator; what dropout leaves of the highway layer's output, the mean over representations.

        Without gradient, ask about many texts in one call: tables of what tokens contribute are made once per call.
        """
        features = self._represented(tokens)
        return features if self.representations == 1 else features.mean(1)

    def begin(self, n: int) -> Responses:
        """See TextDiscriminator."""
        return self.filters.begin(n, self.representations)

    def advance(self, state: Responses, embedded: Tensor) -> Responses:
        """See TextDiscriminator."""
        return self.filters.advance(state, embedded.unflatten(-1, (self.representations, -1)))

    def seen(self, state: Responses) -> Tensor:
        """See TextDiscriminator."""
        pad = self.spec.pad
        room = 0 if pad is None else self.spec.max_length - state.length
        padding = self.embedding.weight[pad or 0].unflatten(0, (self.representations, -1))
        return self._highway(self.filters.filled(state, padding, room)).mean(1)

    def _represented(self, tokens: Tensor) -> Tensor:
        """float ``[batch, d]``, or with several representations ``[batch, representations, d]``."""
        count = self.representations
        if count == 1 and not tokens.is_floating_point():
            responses = self.filters.of_tokens(tokens, self.embedding.weight)
        else:
            embedded = tokens @ self.embedding.weight if tokens.is_floating_point() else self.embedding(tokens)
            responses = self.filters(embedded.unflatten(-1, (count, -1)).transpose(1, 2).flatten(0, 1))
        features = torch.cat([self._features(group) for group in in_groups(responses, ROWS_AT_ONCE)])
        return features if count == 1 else features.unflatten(0, (-1, count))

    def _features(self, responses: Tensor) -> Tensor:
        return dropout(self._highway(responses), self.dropout, self.training)

    def _highway(self, responses: Tensor) -> Tensor:
        responses = responses.relu()
        transform = self.highway(responses)
        gate = transform if self.gate is None else self.gate(responses)
        return responses + gate.sigmoid() * (transform.relu() - responses)
