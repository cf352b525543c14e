"""A convolutional discriminator of text: filters of many widths, the largest response of each."""

from collections.abc import Sequence
from typing import Annotated

import torch
from annotated_types import Ge, Interval
from torch import Tensor, nn

from gangen import UsageError, label_of, noise
from gangen_text.networks.filters import FilterBank
from gangen_text.networks.generation import Condition
from gangen_text.spec import TextSpec

ROWS_AT_ONCE = 1024


class CNNDiscriminator(nn.Module):
    """Convolutions over time, max pooling (Kim, 2014), one highway layer, dropout and a projection on the label.

    The discriminator of SeqGAN (Yu et al., 2017) where ``filter_widths`` are 1 to 10, 15 and 20. The highway layer
    (Srivastava et al., 2015) uses one matrix for its transform and its gate. Labels enter as in Miyato and Koyama
    (2018, eq. 4). Padding counts as a token; text shorter than a filter is filled up with zeros.

    ``embedding_dim`` is the size of an embedding. ``filter_counts`` says how many filters there are of each width.
    ``dropout`` acts before the last layer.

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
    ) -> None:
        super().__init__()
        if len(filter_widths) != len(filter_counts):
            raise UsageError(
                f"filter_counts needs one number for each of {len(filter_widths)} widths, got {len(filter_counts)}"
            )
        self.spec = spec
        features = sum(filter_counts)
        self.embedding = nn.Embedding(spec.vocab_size, embedding_dim)
        self.filters = FilterBank(embedding_dim, filter_widths, filter_counts)
        self.highway = nn.Linear(features, features)
        self.dropout = dropout
        self.output = nn.Linear(features, 1)
        self.projection = nn.Embedding(len(spec.labels), features) if spec.labels else None
        if self.projection is not None:
            nn.init.normal_(self.projection.weight, std=features**-0.5)

    def forward(self, tokens: Tensor, condition: Condition | None = None) -> Tensor:
        """Logits, float ``[batch]``, of tokens int64 ``[batch, length]`` or rows float ``[batch, length, vocabulary]``.

        Without gradient, score many texts in one call: tables of what tokens contribute are made once per call.

        Raises:
            UsageError: no label in ``condition`` although the data has labels.
        """
        labels = label_of(condition, self.spec.labels)
        if tokens.is_floating_point():
            responses = self.filters(tokens @ self.embedding.weight)
        else:
            responses = self.filters.of_tokens(tokens, self.embedding.weight)
        groups = (responses,) if torch.is_grad_enabled() else responses.split(ROWS_AT_ONCE)
        per_group = [None] * len(groups) if labels is None else labels.split(len(groups[0]))
        return torch.cat([self._judge(group, label) for group, label in zip(groups, per_group, strict=True)])

    def _judge(self, responses: Tensor, labels: Tensor | None) -> Tensor:
        responses = responses.relu()
        transform = self.highway(responses)
        features = responses + transform.sigmoid() * (transform.relu() - responses)
        if self.training and self.dropout:
            kept = noise.uniform(*features.shape, device=features.device) >= self.dropout
            features = features * kept / (1 - self.dropout)
        logits = self.output(features).squeeze(1)
        if labels is None:
            return logits
        return logits + (features * self.projection(labels)).sum(1)
