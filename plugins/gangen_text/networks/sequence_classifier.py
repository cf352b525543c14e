"""A causal language model of the package transformers as discriminator: it reads prompt and answer, and has a logit."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gangen import UsageError
from gangen_text.networks.generation import Condition
from gangen_text.networks.judging import TextDiscriminator
from gangen_text.networks.language_model import LanguageModel
from gangen_text.spec import TextSpec

AT_ONCE = 256


class SequenceClassifier(LanguageModel, TextDiscriminator):
    """A linear layer on the state of a text's last token, which is its end where it has one, behind its prompt.

    With ``init: generator`` it begins with the network of a ``text/causal_lm`` of the same shape. One that is
    pretrained, with a tokenizer other than that of the data, reads prompts and answers as texts again, which is said;
    of what is too long for it the beginning is cut off.

    Options are those of every language model, see ``gangen_text.networks.language_model``.

    Raises:
        UsageError: the model cannot be opened, or does not fit the data.
    """

    who = "discriminator text/sequence_classifier"
    retokenizes = True
    reads_relaxed = False  # by which text/gumbel refuses it before any training

    def __init__(self, spec: TextSpec, **options: Any) -> None:
        super().__init__(spec, **options)
        size = self.net.config.hidden_size
        self.add_head(size)
        nn.init.normal_(self.output.weight, std=size**-0.5 / 10)
        nn.init.zeros_(self.output.bias)

    def begin_as(self, other: Any) -> None:
        """Read as a ``text/causal_lm`` does. Raises UsageError where that is built otherwise."""
        try:
            self.body.load_state_dict(other.body.state_dict())
        except (AttributeError, RuntimeError):
            raise UsageError(
                f"{self.who} can begin as a text/causal_lm of the same model and adapter, or the same architecture and "
                "size"
            ) from None

    def forward(self, tokens: Tensor, condition: Condition | None = None) -> Tensor:
        """Logits, float ``[n]``, of texts int64 ``[n, length]`` with their prompts, "input" of the condition.

        Raises UsageError for relaxed tokens, float, and for a condition without "input" where data have prompts.
        """
        if tokens.is_floating_point():
            raise UsageError(f"{self.who} reads words, and relaxed tokens are none; play text/seqgan")
        return self.head(self._features(tokens, condition), None)

    def features(self, tokens: Tensor) -> Tensor:
        """See TextDiscriminator, of texts without prompts."""
        return self._features(tokens, None)

    def _features(self, tokens: Tensor, condition: Condition | None) -> Tensor:
        prompts, lengths = self.prompts(len(tokens), condition)
        read = self._read if self.own_tokenizer is None else self._read_again
        at_once = len(tokens) if torch.is_grad_enabled() else AT_ONCE
        groups = zip(*(it.split(at_once) for it in (tokens, prompts, lengths)), strict=True)
        return torch.cat([read(*group) for group in groups]).to(self.output.weight.dtype)

    def _read(self, tokens: Tensor, prompts: Tensor, lengths: Tensor) -> Tensor:
        """The states of the last tokens of texts, float ``[n, d]``."""
        ends = self.spec.mask(tokens).sum(1) - 1
        embedded = self.body.get_input_embeddings()(tokens[:, : int(ends.max()) + 1])
        states = self.read_packed(embedded, prompts, lengths)
        return states[torch.arange(len(states), device=states.device), ends]

    def _read_again(self, tokens: Tensor, prompts: Tensor, lengths: Tensor) -> Tensor:
        """As ``_read``, of what the tokenizer of its own makes of prompts and texts."""
        texts = self.spec.texts(tokens)
        if self.input is not None:
            rows = [row[:length].tolist() for row, length in zip(prompts.cpu(), lengths.tolist(), strict=True)]
            asked = self.spec.tokenizer.decode_batch(rows, skip_special_tokens=True)
            texts = [f"{prompt}\n{text}" for prompt, text in zip(asked, texts, strict=True)]
        longest = getattr(self.net.config, "max_position_embeddings", None) or self.own_tokenizer.model_max_length
        texts = [text if text.strip() else self.own_tokenizer.pad_token for text in texts]
        read = self.own_tokenizer(texts, truncation=True, max_length=longest)["input_ids"]
        counts = torch.tensor([len(ids) for ids in read], device=tokens.device)
        pad, width = self.own_tokenizer.pad_token_id, max(map(len, read))
        ids = torch.stack([F.pad(torch.tensor(row), (0, width - len(row)), value=pad) for row in read])
        states = self.body(input_ids=ids.to(tokens.device), use_cache=False).last_hidden_state
        return states[torch.arange(len(states), device=states.device), counts - 1]
