"""A pretrained language model as discriminator of text."""

from typing import Annotated, Literal

import torch
from annotated_types import Ge
from torch import Tensor, nn

from gangen import UsageError
from gangen_text.networks.judging import TextDiscriminator
from gangen_text.pretrained import MAX_LENGTH, Pooling, Reader
from gangen_text.spec import TextSpec

NAME = "discriminator text/pretrained"


class PretrainedDiscriminator(TextDiscriminator):
    """Any encoder or decoder that ``transformers.AutoModel`` opens, a linear layer, and a projection on the label.

    What it knows of language it brings along, where a network from scratch has but the run's own text to learn from. It
    reads rows as texts, with its own tokenizer, so any tokens will do; but it has no gradient for them: games that
    relax tokens, such as text/gumbel, want another. Labels enter as in Miyato and Koyama (2018, eq. 4).

    ``model`` is a folder of ``save_pretrained`` with its tokenizer, or a name on the hub; runs go on, and are sampled
    from, where it is. ``pooling`` takes the mean of a text's states, or the ``last`` of a model that reads from left to
    right, or the ``first``. Texts are cut after ``max_length`` tokens. ``frozen`` is what stays as it was: the
    ``embeddings``, which a few thousand texts teach little, ``all`` of it but for the last layers here, ``nothing``,
    or, as a number n, all but its layers after the n-th. It is not stored with the game. Dropout is off. Weights are
    read from safetensors only, and no code that comes with a model is run.

    Raises:
        UsageError: the tokens of the data stand for no text, or the model cannot be opened, or has fewer layers.
    """

    reads_relaxed = False  # by which text/gumbel refuses it before any training

    def __init__(
        self,
        spec: TextSpec,
        *,
        model: str,
        pooling: Pooling = "mean",
        max_length: Annotated[int, Ge(4)] = MAX_LENGTH,
        frozen: Literal["nothing", "embeddings", "all"] | Annotated[int, Ge(1)] = "embeddings",
    ) -> None:
        super().__init__(spec)
        if spec.tokenizer is None:
            raise UsageError(f"{NAME} reads texts, and the tokens of these data stand for none")
        self.reader = Reader(model, pooling, NAME, max_length).to(torch.get_default_dtype())
        net = self.reader.net
        if frozen == "embeddings":
            net.get_input_embeddings().requires_grad_(False)
        elif frozen != "nothing":
            net.requires_grad_(False)
        if isinstance(frozen, int):
            layers = next((it for it in net.modules() if isinstance(it, nn.ModuleList)), nn.ModuleList())
            if frozen > len(layers):
                raise UsageError(f"{NAME}: frozen is {frozen}, and {model!r} has {len(layers)} layers")
            layers[frozen:].requires_grad_(True)
        self.reader.state_names = [name for name, it in self.reader.named_parameters() if it.requires_grad]
        self.output = nn.Linear(self.reader.dim, 1)
        self.projection = nn.Embedding(len(spec.labels), self.reader.dim) if spec.labels else None
        for weight in [self.output.weight] + [it.weight for it in (self.projection,) if it is not None]:
            nn.init.normal_(weight, std=self.reader.dim**-0.5 / 10)
        nn.init.zeros_(self.output.bias)

    def features(self, tokens: Tensor) -> Tensor:
        """See TextDiscriminator. Raises UsageError for relaxed tokens, float."""
        if tokens.is_floating_point():
            raise UsageError(
                f"{NAME} reads words, and relaxed tokens are none; play text/seqgan, or take text/cnn in its place"
            )
        return self.reader(self.spec.texts(tokens))
