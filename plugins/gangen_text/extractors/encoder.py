"""What text metrics see with: a small convolutional network that learns from the data alone."""

from operator import length_hint
from typing import Annotated

import torch
import torch.nn.functional as F
from annotated_types import Ge
from torch import Tensor, nn

from gangen import Data, Seed, UsageError, digest, training_rows
from gangen_text.extractors.corruption import corrupted, text_only
from gangen_text.networks.filters import FilterBank
from gangen_text.spec import TextSpec

BATCH_SIZE = 64
# With more of them it knows the training texts, to which held-out ones then compare badly.
PASSES = 3
LEARNING_RATE = 5e-3
# With a larger share labels fill the features, and faults of fluency move them less.
LABEL_WEIGHT = 0.3
EMBEDDING_DIM = 64
WIDTHS = (1, 2, 3, 4)
# Texts that are looked at in one go.
CHUNK = 1000


class Encoder:
    """A TextCNN (Kim, 2014) that learns to tell texts from corrupted ones and, where the data are labelled, labels.

    See ``gangen_text.extractors.corruption`` for what it calls corrupted. It is fitted in ``steps`` batches of 64
    training texts and as many corrupted ones, fewer where that would be more than three passes over the data; labels
    have a weight of 0.3. ``features`` are its ``hidden_dim`` hidden units; it has ``filters`` filters for each width
    from 1 to 4 tokens.
    So it sees the order of words within four tokens, the length of texts and, where there are labels, what texts are
    about. Of texts without labels it hardly notices a topic that is missing (text/topics does), and it has no idea of
    what a text means.

    It works on the CPU in float32 at any device and precision of the run, and is the same in every run with the same
    data, ``seed`` and hardware. Fitting takes no part in collectives and draws from no generator but its own.
    """

    name = "encoder"

    def __init__(
        self,
        *,
        filters: Annotated[int, Ge(1)] = 64,
        hidden_dim: Annotated[int, Ge(1)] = 128,
        steps: Annotated[int, Ge(1)] = 300,
        seed: Seed = 0,
    ) -> None:
        self.filters = filters
        self.hidden_dim = hidden_dim
        self.steps = steps
        self.seed = seed
        self.key = type(self), filters, hidden_dim, steps, seed
        self._data: Data | None = None

    def check(self, data: Data) -> None:
        """See what it will learn of ``data``: without labels there is nothing to classify, and little of topics.

        Raises:
            UsageError: the data are no text.
        """
        if not isinstance(data.codec.spec, TextSpec):
            raise UsageError("extractor text/encoder learns from texts, which these data are not")
        if data.codec.spec.labels:
            self.logits = self._logits
        else:
            self.blind_to = "what texts are about"

    def fit(self, data: Data, device: torch.device) -> None:
        """Learn from the training texts of ``data``, unless that is done already."""
        if self._data is data:
            return
        self.spec = data.codec.spec
        generator = torch.Generator().manual_seed(self.seed)
        self._net = TextCNN(self.spec, self.filters, self.hidden_dim, generator)
        with torch.enable_grad():
            self._learn(data, generator)
        self._net.requires_grad_(False)
        self._data = data

    @property
    def digest(self) -> str:
        """Of all weights."""
        return digest(self._net.state_dict())

    def _learn(self, data: Data, generator: torch.Generator) -> None:
        """Adam on the cross-entropies, with a learning rate that falls to 0."""
        optimizer = torch.optim.Adam(self._net.parameters(), fused=True)
        training = training_rows(data)
        rows = length_hint(training, self.steps * BATCH_SIZE)
        steps = min(self.steps, max(1, PASSES * rows // BATCH_SIZE))
        for step in range(steps):
            batch = training.batch(step, range(BATCH_SIZE), BATCH_SIZE, seed=self.seed, device="cpu")
            texts = text_only(batch["tokens"], self.spec)
            others = corrupted(texts, self.spec, generator)
            wrong = torch.cat([torch.zeros(len(texts)), (others != texts).any(1)]).float()
            features = self._net(torch.cat([texts, others]))
            loss = F.binary_cross_entropy_with_logits(self._net.wrong(features)[:, 0], wrong)
            if self._net.label is not None:
                labels = self._net.label(features[: len(texts)])
                loss = loss + LABEL_WEIGHT * F.cross_entropy(labels, batch["label"])
            optimizer.param_groups[0]["lr"] = LEARNING_RATE * (1 - step / steps)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    @torch.no_grad()
    def features(self, samples: Tensor) -> Tensor:
        """Float32 ``[n, hidden_dim]`` of rows int64 ``[n, length]``; what stands behind an end is not seen."""
        chunks = samples.cpu().split(CHUNK)
        return torch.cat([self._net(text_only(chunk, self.spec)) for chunk in chunks]).to(samples.device)

    @torch.no_grad()
    def _logits(self, samples: Tensor) -> Tensor:
        """Float32 ``[n, labels]`` of rows as ``features`` takes them."""
        return self._net.label(self.features(samples.cpu())).to(samples.device)


class TextCNN(nn.Module):
    """The largest response of every filter, and a hidden layer, float32; parameters are drawn from ``generator``."""

    def __init__(self, spec: TextSpec, filters: int, hidden_dim: int, generator: torch.Generator) -> None:
        super().__init__()
        # On no device, nothing is drawn from torch's own generator.
        with torch.device("meta"):
            self.embedding = nn.Embedding(spec.vocab_size, EMBEDDING_DIM)
            self.filters = FilterBank(EMBEDDING_DIM, WIDTHS, (filters,) * len(WIDTHS))
            self.hidden = nn.Linear(filters * len(WIDTHS), hidden_dim)
            self.wrong = nn.Linear(hidden_dim, 1)
            self.label = nn.Linear(hidden_dim, len(spec.labels)) if spec.labels else None
        self.float().to_empty(device="cpu")
        nn.init.normal_(self.embedding.weight, std=0.3, generator=generator)
        for layer in self.modules():
            if isinstance(layer, nn.Linear):
                bound = layer.in_features**-0.5
                nn.init.uniform_(layer.weight, -bound, bound, generator=generator)
                nn.init.uniform_(layer.bias, -bound, bound, generator=generator)

    def forward(self, rows: Tensor) -> Tensor:
        """Features, float32 ``[n, hidden_dim]``, of rows int64 ``[n, length]``."""
        return self.hidden(self.filters.of_tokens(rows, self.embedding.weight).relu()).relu()
