"""A convolutional discriminator of text: filters of many widths, the largest response of each."""

from collections.abc import Sequence
from typing import Annotated

import torch
import torch.nn.functional as F
from annotated_types import Interval
from torch import Tensor, nn

from gangen.errors import UsageError
from gangen_text.generation import Condition
from gangen_text.spec import TextSpec


class CNNDiscriminator(nn.Module):
    """Convolutions over time, max pooling (Kim, 2014), one highway layer, dropout and a projection on the label.

    The discriminator of SeqGAN (Yu et al., 2017) where ``filter_widths`` are 1 to 10, 15 and 20. Labels
    enter as in Miyato and Koyama (2018). Padding counts as a token; text shorter than a filter is
    filled up with zeros.
    """

    def __init__(
        self,
        spec: TextSpec,
        *,
        embedding_dim: int = 64,
        filter_widths: Sequence[int] = (1, 2, 3, 4, 5),
        filter_counts: Sequence[int] = (100, 200, 200, 200, 200),
        dropout: Annotated[float, Interval(ge=0, lt=1)] = 0.25,
    ) -> None:
        super().__init__()
        if len(filter_widths) != len(filter_counts):
            raise UsageError(
                f"filter_counts needs one number per filter width: {len(filter_widths)}, got {len(filter_counts)}"
            )
        features = sum(filter_counts)
        self.embedding = nn.Embedding(spec.vocab_size, embedding_dim)
        self.convolutions = nn.ModuleList(
            nn.Conv1d(embedding_dim, count, width) for width, count in zip(filter_widths, filter_counts, strict=True)
        )
        self.highway = nn.Linear(features, 2 * features)
        self.dropout = dropout
        self.output = nn.Linear(features, 1)
        self.projection = nn.Embedding(len(spec.labels), features) if spec.labels else None

    def forward(self, tokens: Tensor, condition: Condition | None = None) -> Tensor:
        """Logits, float ``[batch]``, for tokens int64 ``[batch, length]`` or rows float ``[batch, length, vocabulary]``."""
        x = tokens @ self.embedding.weight if tokens.is_floating_point() else self.embedding(tokens)
        x = x.transpose(1, 2)
        pooled = []
        for convolution in self.convolutions:
            missing = max(0, convolution.kernel_size[0] - x.shape[2])
            pooled.append(F.relu(convolution(F.pad(x, (0, missing))).amax(-1)))
        features = torch.cat(pooled, dim=1)
        transform, gate = self.highway(features).chunk(2, dim=1)
        gate = (gate - 2).sigmoid()
        features = F.dropout(gate * transform.relu() + (1 - gate) * features, self.dropout, self.training)
        logits = self.output(features).squeeze(1)
        if self.projection is not None:
            logits = logits + (features * self.projection(condition["label"])).sum(1)
        return logits
