"""Texts as a pretrained language model reads them."""

import torch
from torch import Tensor, nn

from gangen import UsageError
from gangen_conditional.networks.memory import Memory
from gangen_conditional.networks.words import text_input
from gangen_conditional.spec import ImageFromSpec, TextFromSpec
from gangen_text import make_codec, open_text_model

NAME = "encoder conditional/transformers"


class Transformers(nn.Module):
    """Last hidden states of any encoder or decoder that ``transformers.AutoModel`` opens; see ``memory.Encoder``.

    ``model`` is a folder of ``save_pretrained`` with its tokenizer, or a name on the hub; the data must be read by that
    tokenizer, as with ``data.tokenizer=NAME``. It stays as it is and is not stored with the game, which needs it again;
    with ``tuned`` it learns, and is. Its dropout is off in both cases. Weights are read from safetensors only, and no
    code that comes with a model is run.

    Raises:
        UsageError: the input is no text, or one of other tokens; the model cannot be opened, or reads shorter texts.
    """

    def __init__(self, spec: ImageFromSpec | TextFromSpec, *, model: str, tuned: bool = False) -> None:
        super().__init__()
        self.input = text_input(spec, NAME)
        self.net = open_text_model(model, NAME).to(torch.get_default_dtype()).requires_grad_(tuned)
        own = make_codec((), (), tokenizer=model, max_length=self.input.max_length).spec
        if own != self.input:
            raise UsageError(
                f"{NAME} reads the tokens of {model!r}, and these data have others: set data.tokenizer to it"
            )
        if own.vocab_size > self.net.get_input_embeddings().num_embeddings:
            raise UsageError(f"{NAME}: the tokenizer of {model!r} has no token for the end of a text that it knows")
        # A model whose texts begin with a token of its own expects it; rows are without.
        self.begins = own.start != own.end
        longest = getattr(self.net.config, "max_position_embeddings", None)
        if longest is not None and own.max_length + self.begins > longest:
            raise UsageError(f"{NAME}: {model!r} reads {longest} tokens at most; set data.max_length to less")
        self.tuned = tuned
        self.dim = self.net.config.hidden_size
        self.alone_dim = self.net.get_input_embeddings().embedding_dim
        if not tuned:
            self.state_names: list[str] = []

    def train(self, mode: bool = True) -> "Transformers":
        """The model itself stays in evaluation mode."""
        super().train(mode)
        self.net.eval()
        return self

    def forward(self, tokens: Tensor) -> Memory:
        """States and embeddings, float ``[n, length, dim]`` and ``[n, length, alone_dim]``, of tokens int64
        ``[n, length]``; states are zero where there is padding.
        """
        mask, read = self.input.mask(tokens), tokens
        within = mask
        if self.begins:
            read = torch.cat([torch.full_like(tokens[:, :1], self.input.start), tokens], dim=1)
            within = torch.cat([torch.ones_like(mask[:, :1]), mask], dim=1)
        states = self.net(input_ids=read, attention_mask=within.long()).last_hidden_state[:, -tokens.shape[1] :]
        return Memory(states * mask.unsqueeze(2), mask, self.net.get_input_embeddings()(tokens))
