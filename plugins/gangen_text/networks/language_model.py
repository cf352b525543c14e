"""Causal language models of the package transformers: pretrained ones, and fresh ones from a configuration."""

import inspect
import logging
from typing import Annotated, Any, ClassVar, Literal

import torch
from annotated_types import Ge
from torch import Tensor, nn

from gangen import UsageError, did_you_mean, evaluating, open_pretrained, opening_pretrained
from gangen_text.data.tokenization import open_tokenizer, pretrained_tokenizer
from gangen_text.networks.adapter import add_adapter
from gangen_text.networks.generation import Condition
from gangen_text.spec import TextSpec, prompt_lengths

log = logging.getLogger(__name__)


class LanguageModel(nn.Module):
    """What networks have in common that are causal language models of transformers.

    ``model`` is a folder of ``save_pretrained`` with its tokenizer, or a name on the hub; runs go on, and are sampled
    from, where it is. Without one a fresh network is made, of an ``architecture`` as transformers calls it, such as
    "llama", "gpt2" or "qwen2"; what follows is of this one alone. There are ``hidden_size`` numbers per token.
    ``num_hidden_layers`` is how many layers it has, ``num_attention_heads`` how many heads each of these.
    ``intermediate_size`` is the width of feed-forward layers, four times ``hidden_size`` where nothing is said.
    ``config`` has further fields of its configuration.

    With ``adapter: {rank: 8, alpha: 16}`` nothing of a pretrained model learns, or is kept with the run, but low-rank
    matrices beside its linear layers; see ``gangen_text.networks.adapter``. That takes the package peft.

    With ``dtype: bfloat16`` weights take half the memory, and steps that are small beside a weight are lost: it suits a
    model with an adapter, whose own matrices stay in float32, and one that does not learn.

    ``checkpointing`` keeps less for the backward pass, and computes that again: less memory, more time. Dropout is off.
    Weights are read from safetensors only, and no code that comes with a model is run.

    Raises:
        UsageError: the model cannot be opened, or is no causal language model; it reads other tokens than the data
            have, or too few of them; or there is no such architecture, or one without a key-value cache; or an adapter
            is for no pretrained model, or lacks its package.
    """

    who: ClassVar[str]
    lengths: ClassVar[str] = "data."  # before the names of options that say how long prompts and texts may be
    auto: ClassVar[str] = "AutoModel"
    retokenizes: ClassVar[bool] = False
    own_tokenizer: Any = None  # where it reads texts again, whose tokens are others than its own
    spec: TextSpec

    def __init__(
        self,
        spec: TextSpec,
        *,
        model: str | None = None,
        architecture: str | None = None,
        hidden_size: Annotated[int, Ge(1)] = 128,
        num_hidden_layers: Annotated[int, Ge(1)] = 2,
        num_attention_heads: Annotated[int, Ge(1)] = 4,
        intermediate_size: Annotated[int, Ge(1)] | None = None,
        config: dict[str, Any] | None = None,
        dtype: Literal["bfloat16"] | None = None,
        adapter: dict[Literal["rank", "alpha"], Annotated[int, Ge(1)]] | None = None,
        checkpointing: bool = False,
    ) -> None:
        super().__init__(spec)  # of the network that this is a part of
        if model is None and architecture is None:
            raise UsageError(f"{self.who} needs a model, a folder or a name on the hub, or an architecture")
        if model is None and adapter is not None:
            raise UsageError(f"{self.who}: an adapter is for a pretrained model, and none is named; leave out adapter")
        if spec.labels:
            raise UsageError(f"{self.who} knows no labels, and these data have some; leave out data.label_column")
        self.model = model
        self.input = _prompts_of(spec, self.who)
        self.longest = longest = (self.input.max_length - 1 if self.input else 1) + spec.max_length
        names = ["max_length", "max_prompt_length"] if self.input else ["max_length"]
        self.too_long = " or ".join(f"{self.lengths}{name}" for name in names)
        if model is not None:
            self.net: Any = open_pretrained(model, self.who, auto=self.auto, unread=None)
        else:
            shape = {
                "hidden_size": hidden_size,
                "num_hidden_layers": num_hidden_layers,
                "num_attention_heads": num_attention_heads,
                "intermediate_size": intermediate_size or 4 * hidden_size,
            }
            self.net = _fresh(architecture or "", shape, config or {}, spec, longest, self.auto, self.who)
        self.net.to(getattr(torch, dtype) if dtype else torch.get_default_dtype())
        if adapter is not None:
            add_adapter(self.net, **{"rank": 8, "alpha": 16, **adapter}, who=self.who)
        body = inspect.signature(self.body.forward).parameters
        # Versions of transformers call it differently.
        self.cache_name = next((name for name in ("cache", "past_key_values") if name in body), "")
        if not self.cache_name or "inputs_embeds" not in body or self.net.config.is_encoder_decoder:
            raise UsageError(f"{self.who}: {model or architecture!r} has no key-value cache of text")
        self._refuse_bidirectional(model or architecture)
        self.takes_positions = "position_ids" in body
        self._refuse_misfit()
        self.checkpointing = checkpointing
        if checkpointing:
            enable = getattr(self.net, "activation_checkpointing_enable", self.net.gradient_checkpointing_enable)
            enable({"use_reentrant": False})
            for module in self.net.modules():  # which is in training mode then
                for name in [name for name, it in vars(module).items() if "drop" in name and isinstance(it, float)]:
                    setattr(module, name, 0.0)
                if isinstance(module, nn.Dropout):
                    module.p = 0.0

    def _tokenizer_of_its_own(self) -> Any:
        """What reads texts again. Raises UsageError where tokens stand for none."""
        if self.spec.tokenizer is None:
            raise UsageError(f"{self.who} reads texts, and the tokens of these data stand for none")
        with opening_pretrained(self.model or "", self.who):
            tokenizer = pretrained_tokenizer(self.model or "")
            tokenizer.truncation_side = "left"
            tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
            if tokenizer.pad_token is None:
                raise ValueError("its tokenizer has neither a padding nor an end token")
        log.warning("%s has other tokens than the data: it reads prompts and answers again as texts", self.who)
        return tokenizer

    @property
    def body(self) -> Any:
        """The network without its head."""
        return self.net.base_model

    def train(self, mode: bool = True) -> "LanguageModel":
        """The model itself stays in evaluation mode, unless it is in checkpointing."""
        super().train(mode)
        self.net.train(mode and self.checkpointing)
        return self

    def prompts(self, n: int, condition: Condition | None) -> tuple[Tensor, Tensor]:
        """What ``n`` texts come after, int64 ``[n, p]`` with padding at its end, and how much of it is none ``[n]``.

        Raises UsageError for a condition without "input", where data have prompts.
        """
        if self.input is None:
            device = self.body.get_input_embeddings().weight.device
            return torch.full((n, 1), self.spec.start, device=device), torch.ones(n, dtype=torch.long, device=device)
        if condition is None or "input" not in condition:
            raise UsageError(f"{self.who} reads prompts: its condition needs an input")
        rows = condition["input"]
        return rows, prompt_lengths(rows, self.input)

    def read_packed(self, embedded: Tensor, prompts: Tensor, lengths: Tensor) -> Tensor:
        """States of tokens that were embedded, float ``[n, length, e]``, each row behind its prompt ``[n, lengths]``.

        float ``[n, length, d]``. What is no prompt comes behind the text, where nothing that counts attends to it.
        """
        width, length = prompts.shape[1], embedded.shape[1]
        places = torch.arange(int(lengths.max()) + length, device=embedded.device)
        behind = places - lengths[:, None]
        index = torch.where(behind < 0, places, width + behind.clamp(max=length - 1))
        both = torch.cat([self.body.get_input_embeddings()(prompts).to(embedded.dtype), embedded], dim=1)
        states = self.body(inputs_embeds=_rows_at(both, index), use_cache=False).last_hidden_state
        return _rows_at(states, lengths[:, None] + torch.arange(length, device=embedded.device))

    def _refuse_bidirectional(self, name: str | None) -> None:
        if not self.body.get_input_embeddings().weight.is_meta and looks_ahead(self.body, self.spec.start):
            raise UsageError(f"{self.who}: {name!r} reads texts in both directions, so it is no causal model")

    def _refuse_misfit(self) -> None:
        """Raises UsageError where a pretrained network reads other tokens than the data have, or fewer."""
        if self.model is None:
            return
        tokenizer, special = open_tokenizer(self.model)
        ours, own = (it and it.get_vocab(with_added_tokens=True) for it in (self.spec.tokenizer, tokenizer))
        alike = ours == own and special == (self.spec.start, self.spec.end, self.spec.pad)
        if not alike and self.retokenizes:
            self.own_tokenizer = self._tokenizer_of_its_own()
            return
        most = getattr(self.net.config, "max_position_embeddings", None)
        if most is not None and self.longest > most:
            raise UsageError(
                f"{self.who}: {self.model!r} reads {most} tokens at most, and these data have up to {self.longest}; "
                f"set {self.too_long} to less"
            )
        if not alike:
            raise UsageError(
                f"{self.who} reads the tokens of {self.model!r}, and these data have others: set data.tokenizer to it"
            )
        if self.spec.vocab_size > self.body.get_input_embeddings().num_embeddings:
            raise UsageError(
                f"{self.who}: the tokenizer of {self.model!r} has no token for the end of a text that it knows"
            )


def looks_ahead(body: nn.Module, start: int) -> bool:
    """Whether the state at a token has to do with those after it, as it has in an encoder."""
    texts = [torch.tensor([[start, token]]) for token in (0, 1)]
    with evaluating(body):
        one, other = (body(input_ids=it).last_hidden_state[:, 0] for it in texts)
    return not torch.allclose(one, other, atol=1e-4, rtol=1e-3)


def _rows_at(rows: Tensor, index: Tensor) -> Tensor:
    """float ``[n, m, d]``: of each row of ``rows`` ``[n, length, d]`` what is at its ``index`` ``[n, m]``."""
    return rows.gather(1, index.unsqueeze(2).expand(-1, -1, rows.shape[2]))


def _prompts_of(spec: TextSpec, who: str) -> TextSpec | None:
    """The description of prompts, if there are any. Raises UsageError where they are no texts of the same tokens."""
    given = getattr(spec, "input", None)
    if given is None:
        return None
    fields = ("vocab_size", "start", "end", "pad")
    alike = isinstance(given, TextSpec) and all(getattr(given, name) == getattr(spec, name) for name in fields)
    if not alike or given.tokenizer is not spec.tokenizer:
        raise UsageError(
            f"{who} reads prompts by the tokens that it writes, and these data have others for what they start from; "
            "take text/prompts"
        )
    return given


def _fresh(
    architecture: str, shape: dict[str, int], config: dict[str, Any], spec: TextSpec, longest: int, auto: str, who: str
) -> nn.Module:
    """A network as transformers draws it, for the tokens of ``spec``."""
    import transformers
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES as KNOWN

    if architecture not in KNOWN:
        raise UsageError(f"{who}: transformers has no causal model {architecture!r}{did_you_mean(architecture, KNOWN)}")
    # A token of padding has no gradient there, which another one that it is too must have.
    special = {"bos_token_id": spec.start, "eos_token_id": spec.end}
    special["pad_token_id"] = None if spec.pad in (spec.start, spec.end) else spec.pad
    usual = transformers.AutoConfig.for_model(architecture)
    known = {**usual.to_dict(), **usual.attribute_map}
    for name in config:
        if name not in known:
            raise UsageError(f"{who}: a configuration of {architecture!r} has no {name!r}{did_you_mean(name, known)}")
        if name in ("vocab_size", *special, *shape):
            raise UsageError(f"{who}: {name} is no further field of a configuration; the data, or an option, say it")
    if "num_key_value_heads" in known:
        shape = shape | {"num_key_value_heads": shape["num_attention_heads"]}
    fields = {"vocab_size": spec.vocab_size, "max_position_embeddings": longest, **shape, **special}
    fields = {name: value for name, value in fields.items() if name in known}
    try:
        made = transformers.AutoConfig.for_model(architecture, **(fields | config))
        return getattr(transformers, auto).from_config(made).eval()
    except Exception as error:  # each architecture has errors of its own
        message = (str(error).strip() or type(error).__name__).split("\n")[0]
        raise UsageError(f"{who}: transformers cannot make such a {architecture!r}: {message}") from None
