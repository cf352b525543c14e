"""An encoder of texts: a state for each word, which has read the words on both sides of it."""

from typing import Annotated

import torch
from annotated_types import Ge
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from gangen import UsageError
from gangen_conditional.networks.memory import Memory
from gangen_conditional.spec import ImageFromSpec, TextFromSpec
from gangen_text import TextSpec


class Words(nn.Module):
    """A bidirectional LSTM (Graves and Schmidhuber, 2005) over the tokens of the "input"; see ``memory.Encoder``.

    ``embedding_dim`` is the size of an embedding, ``hidden_dim`` that of a state in each direction; states have both,
    2 ``hidden_dim`` numbers. There are ``layers`` LSTMs one above the other.

    Raises:
        UsageError: the input is no text.
    """

    def __init__(
        self,
        spec: ImageFromSpec | TextFromSpec,
        *,
        embedding_dim: Annotated[int, Ge(1)] = 64,
        hidden_dim: Annotated[int, Ge(1)] = 64,
        layers: Annotated[int, Ge(1)] = 1,
    ) -> None:
        super().__init__()
        self.input = text_input(spec, "encoder conditional/words")
        self.embedding = nn.Embedding(self.input.vocab_size, embedding_dim)
        self.lstm = nn.LSTM(embedding_dim, hidden_dim, layers, batch_first=True, bidirectional=True)
        self.dim, self.alone_dim = 2 * hidden_dim, embedding_dim

    def forward(self, tokens: Tensor) -> Memory:
        """States and embeddings, float ``[n, length, dim]`` and ``[n, length, alone_dim]``, of tokens int64
        ``[n, length]``; states are zero where there is padding.
        """
        mask = self.input.mask(tokens)
        embedded, lengths = self.embedding(tokens), mask.sum(1).cpu()
        # Packed, a row is read backwards from its own end. Not every CPU has an LSTM in half precision.
        with torch.autocast(embedded.device.type, enabled=False):
            packed = pack_padded_sequence(embedded, lengths, batch_first=True, enforce_sorted=False)
            states, _ = pad_packed_sequence(self.lstm(packed)[0], batch_first=True, total_length=tokens.shape[1])
        return Memory(states, mask, embedded)


def text_input(spec: ImageFromSpec | TextFromSpec, reader: str) -> TextSpec:
    """The description of the texts that data are made from. Raises UsageError where they are made from no text."""
    given = getattr(spec, "input", None)
    if not isinstance(given, TextSpec):
        raise UsageError(f"{reader} reads texts, and what these data are made from is none")
    return given
