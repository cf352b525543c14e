"""What texts are about, by the words that occur together: latent semantic analysis."""

from operator import length_hint
from typing import Annotated

import torch
import torch.nn.functional as F
from annotated_types import Ge
from torch import Tensor

from gangen import Data, Seed, UsageError, digest, training_rows
from gangen_text.spec import TextSpec

# Training texts that topics are found in.
SURVEYED = 20_000
OVERSAMPLING = 8
ITERATIONS = 6


class Topics:
    """Latent semantic analysis (Deerwester et al., 1990) of up to 20,000 training texts.

    A text is its tokens with weights (1 + log count) log((1 + texts) / (1 + texts with the token)), of Euclidean length
    1; its features are where it lies along the ``dimensions`` leading right singular vectors of all training texts, of
    length 1 again. These are found by the randomised method of Halko et al. (2011), from draws by ``seed``. It works on
    the CPU in float32 and costs less than a second.
    """

    name = "topics"
    blind_to = "the order of words"

    def __init__(self, *, dimensions: Annotated[int, Ge(1)] = 64, seed: Seed = 0) -> None:
        self.dimensions = dimensions
        self.seed = seed
        self.key = type(self), dimensions, seed
        self._data: Data | None = None

    def check(self, data: Data) -> None:
        """Raises UsageError for data that are no text."""
        if not isinstance(data.codec.spec, TextSpec):
            raise UsageError("extractor text/topics looks at the tokens of texts, which these data are not")

    def fit(self, data: Data, device: torch.device) -> None:
        """Find the topics of the training texts of ``data``, unless that is done already."""
        if self._data is data:
            return
        self.spec = data.codec.spec
        training = training_rows(data)
        count = min(SURVEYED, length_hint(training, SURVEYED))
        rows = training.batch(0, range(count), count, seed=self.seed, device="cpu")["tokens"]
        pairs, counts = self._counts(rows)
        present = torch.bincount(pairs[1], minlength=self.spec.vocab_size)
        self._weights = ((1 + count) / (1 + present)).log().float()
        texts = self._weighted(pairs, counts, count)
        generator = torch.Generator().manual_seed(self.seed)
        size = self.spec.vocab_size, self.dimensions + OVERSAMPLING
        basis = torch.randn(size, generator=generator, dtype=torch.float32)
        for _ in range(ITERATIONS):
            basis = torch.linalg.qr(texts.t() @ (texts @ basis)).Q
        right = torch.linalg.svd(texts @ basis, full_matrices=False).Vh
        self._directions = (basis @ right.t())[:, : self.dimensions].contiguous()
        self._data = data

    @property
    def digest(self) -> str:
        """Of the weights of words and the directions."""
        return digest({"weights": self._weights, "directions": self._directions})

    def features(self, samples: Tensor) -> Tensor:
        """Float32 ``[n, dimensions]`` of rows int64 ``[n, length]``; 0 for an empty text."""
        texts = self._weighted(*self._counts(samples.cpu()), len(samples))
        return F.normalize(texts @ self._directions, dim=1).to(samples.device)

    def _counts(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Pairs (text, token) that occur, int64 ``[2, k]``, and how often, int64 ``[k]``."""
        text, place = self.spec.text(rows).nonzero(as_tuple=True)
        numbers, counts = (text * self.spec.vocab_size + rows[text, place]).unique(return_counts=True)
        return torch.stack([numbers // self.spec.vocab_size, numbers % self.spec.vocab_size]), counts

    def _weighted(self, pairs: Tensor, counts: Tensor, n: int) -> Tensor:
        """A sparse matrix, float32 ``[n, vocab_size]``, whose rows have length 1."""
        values = (1 + counts.float().log()) * self._weights[pairs[1]]
        lengths = values.new_zeros(n).index_add_(0, pairs[0], values.square()).sqrt()
        values = values / lengths[pairs[0]].clamp(min=torch.finfo(values.dtype).tiny)
        return torch.sparse_coo_tensor(pairs, values, (n, self.spec.vocab_size), check_invariants=False)
