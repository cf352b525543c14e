"""Pretrained language models of the package transformers, and how texts are read with one."""

from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from gangen import open_pretrained, opening_pretrained
from gangen_text.data.tokenization import pretrained_tokenizer

Pooling = Literal["mean", "last", "first"]
# Longer texts are cut.
MAX_LENGTH = 256
# Texts of like length are read so many at a time: little of it is padding.
TOGETHER = 16


class Reader(nn.Module):
    """A vector for each text: last hidden states of an encoder or decoder, pooled.

    ``model`` is a folder of ``save_pretrained`` with its tokenizer, or a name on the hub. ``pooling`` takes the mean of
    a text's tokens, or the state of the ``last`` or ``first``. Texts are cut after ``max_length`` tokens, or where the
    model reads no more. Its dropout is off, in training too. ``who`` opens it, which errors say.

    Raises:
        UsageError: the model or its tokenizer cannot be opened.
    """

    def __init__(self, model: str, pooling: Pooling, who: str, max_length: int = MAX_LENGTH) -> None:
        super().__init__()
        self.net = open_text_model(model, who).float()
        with opening_pretrained(model, who):
            tokenizer = pretrained_tokenizer(model)
            tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
            if tokenizer.pad_token is None:
                raise ValueError("its tokenizer has neither a padding nor an end token")
        config = self.net.config
        limits = (max_length, tokenizer.model_max_length, getattr(config, "max_position_embeddings", max_length))
        self.longest, self.tokenizer = min(limits), tokenizer
        self.pooling = pooling
        self.dim: int = config.hidden_size

    def train(self, mode: bool = True) -> "Reader":
        """The model itself stays in evaluation mode."""
        super().train(mode)
        self.net.eval()
        return self

    def forward(self, texts: list[str]) -> Tensor:
        """Float ``[n, dim]`` of ``n`` texts; one that is empty is read as a padding token."""
        texts = [text if text.strip() else self.tokenizer.pad_token for text in texts]
        read = self.tokenizer(texts, truncation=True, max_length=self.longest)["input_ids"]
        order = torch.tensor([len(ids) for ids in read]).argsort(stable=True)
        groups = [[torch.tensor(read[row]) for row in rows] for rows in order.split(TOGETHER)]
        pooled = torch.cat([self._pooled(group) for group in groups])
        return pooled[order.argsort().to(pooled.device)]

    def _pooled(self, texts: list[Tensor]) -> Tensor:
        ids = pad_sequence(texts, batch_first=True, padding_value=self.tokenizer.pad_token_id).to(self.net.device)
        mask = pad_sequence([torch.ones_like(text) for text in texts], batch_first=True).to(self.net.device)
        states = self.net(input_ids=ids, attention_mask=mask).last_hidden_state
        if self.pooling == "first":
            return states[:, 0]
        if self.pooling == "last":
            return states[torch.arange(len(states)), mask.sum(1) - 1]
        return (states * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)


def open_text_model(model: str, who: str) -> nn.Module:
    """The network of a folder or a name on the hub, of an encoder and decoder the encoder, in evaluation mode.

    Raises:
        UsageError: it cannot be opened, by ``who``, or reads more than text.
    """
    net: Any = open_pretrained(model, who)
    with opening_pretrained(model, who):
        if net.main_input_name != "input_ids" or not hasattr(net.config, "hidden_size"):
            raise ValueError("it is no model of text alone")
    return net.get_encoder() if net.config.is_encoder_decoder else net
