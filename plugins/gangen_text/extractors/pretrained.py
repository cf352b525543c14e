"""What text metrics see with, where a pretrained language model is at hand."""

from pathlib import Path

import torch
from torch import Tensor

from gangen import Data, UsageError, digest
from gangen_text.pretrained import Pooling, Reader
from gangen_text.spec import TextSpec


class Transformers:
    """Last hidden states of any encoder or decoder that ``transformers.AutoModel`` opens, one vector a text.

    ``model`` is a folder of ``save_pretrained`` with its tokenizer, or a name on the hub; figures carry its last
    part and the pooling.
    ``pooling`` takes the mean of a text's tokens, as sentence encoders do, or the state of the ``last`` or ``first``:
    last for a model that reads from left to right, as MAUVE does (Pillutla et al., 2021), first for BERT's [CLS].
    Means hardly move when words change places, so a recipe needs another extractor beside one with ``pooling: mean``.

    Texts are read as a file would show them, up to 256 tokens, in float32. Weights are read from safetensors only, and
    no code that comes with a model is run.

    Raises:
        UsageError: the model cannot be opened.
    """

    def __init__(self, *, model: str, pooling: Pooling = "mean") -> None:
        self.model = model
        self.pooling = pooling
        self.name = f"{Path(model).name}_{pooling}"
        self.key = type(self), model, pooling
        self.blind_to = "the order of words" if pooling == "mean" else None
        self._reader: Reader | None = None

    def check(self, data: Data) -> None:
        """Open the model, before anything is trained; raises UsageError where that fails, or data are no text."""
        if not isinstance(data.codec.spec, TextSpec):
            raise UsageError("extractor text/transformers reads texts, which these data are not")
        self._open()

    def fit(self, data: Data, device: torch.device) -> None:
        """Move the model to ``device``; it learns nothing."""
        self._codec = data.codec
        self._open().to(device)

    @property
    def digest(self) -> str:
        """Of all weights and the way of pooling."""
        return digest({**self._open().net.state_dict(), f"pooling {self.pooling}": torch.zeros(0)})

    @torch.no_grad()
    def features(self, samples: Tensor) -> Tensor:
        """Float32 ``[n, hidden size]`` of rows int64 ``[n, length]``."""
        return self._open()(self._codec.decode(samples)).to(samples.device)

    def _open(self) -> Reader:
        if self._reader is None:
            self._reader = Reader(self.model, self.pooling, "extractor text/transformers").requires_grad_(False)
        return self._reader
