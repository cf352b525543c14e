"""A causal language model of the package transformers as generator of text."""

import copy
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import torch
import torch.nn.functional as F
from annotated_types import Interval
from torch import Tensor, nn

from gangen import UsageError, evaluating, noise, silent
from gangen_text.data.tokenization import pretrained_tokenizer
from gangen_text.networks.adapter import merged_state
from gangen_text.networks.draws import Decoding
from gangen_text.networks.engine import VLLM, Engine
from gangen_text.networks.generation import Autoregressive, Condition
from gangen_text.networks.language_model import LanguageModel
from gangen_text.spec import TextSpec


class Context(NamedTuple):
    """What rows have read: keys and values, where these are of text, int64 ``[n, width]``, and of how much ``[n]``."""

    cache: Any
    mask: Tensor
    lengths: Tensor

    def select(self, index: Tensor) -> "Context":
        """The state of the rows at ``index``, int64 ``[m]``, repeats allowed."""
        cache = copy.copy(self.cache)  # its tensors are replaced below, and never written into
        cache.layers = [copy.copy(layer) for layer in self.cache.layers]
        cache.reorder_cache(index)
        return Context(cache, self.mask[index], self.lengths[index])


class Head(NamedTuple):
    """The output layer: weight float ``[vocabulary, d]`` and bias float ``[vocabulary]``."""

    weight: Tensor
    bias: Tensor


class CausalLM(LanguageModel, Autoregressive):
    """Any causal language model of transformers; see ``networks.generation``.

    A text comes after its prompt, "input" of the condition, whose length may differ from row to row, and where the data
    have none, after their start token. Tokens are those of the data, whose tokenizer is to be that of a pretrained one:
    ``data.tokenizer=NAME``. Where a model's ``generation_config`` names several tokens that end a text, all of them are
    the end of the data's rows: any ends a text, whose likelihood is that of ending with whichever. Its
    ``save_pretrained`` writes a folder that transformers opens.

    In a run on GPUs another ``engine``, "vllm", may write what is sampled, with the share ``engine_memory`` of a GPU's
    memory; see ``gangen_text.networks.engine``. It is experimental, and was never run with vllm itself. A model that
    was trained so does without it.

    Further options are those of every language model, see ``gangen_text.networks.language_model``.

    Raises:
        UsageError: the model cannot be opened, or does not fit the data; or logits are not linear in its last states.
    """

    who = "generator text/causal_lm"
    auto = "AutoModelForCausalLM"
    writer: Engine | None = None  # where it is not the network itself

    def __init__(
        self,
        spec: TextSpec,
        *,
        engine: Literal["transformers", "vllm"] = "transformers",
        engine_memory: Annotated[float, Interval(gt=0, lt=1)] = 0.3,
        **options: Any,
    ) -> None:
        super().__init__(spec, **options)
        self.engine = engine
        self.engine_memory = engine_memory
        self.register_buffer("ends", torch.tensor(self._other_ends(), dtype=torch.long), persistent=False)
        self.penalty[self.ends] = 0  # one may be what rows are padded with
        self._refuse_states()
        if not self.output.weight.is_meta:
            self._refuse_nonlinear()

    @property
    def embedding(self) -> Any:
        """See Autoregressive."""
        return self.net.get_input_embeddings()

    @property
    def output(self) -> Any:
        """See Autoregressive: the output layer's tokens of the data, as there may be more."""
        layer, count = self.net.get_output_embeddings(), self.spec.vocab_size
        bias = layer.weight.new_zeros(count) if layer.bias is None else layer.bias[:count]
        return Head(layer.weight[:count], bias)

    def logits(self, features: Tensor) -> Tensor:
        """See Autoregressive. The end has the probability of all tokens that end a text, and the others have none."""
        logits = super().logits(features)
        if not len(self.ends):
            return logits
        end = torch.full_like(self.ends[:1], self.spec.end)
        merged = logits[..., torch.cat([end, self.ends])].logsumexp(-1, keepdim=True)
        return logits.index_fill(-1, self.ends, -torch.inf).index_copy(-1, end, merged)

    def log_likelihood(self, features: Tensor, bias: Tensor, targets: Tensor) -> Tensor:
        """See Autoregressive."""
        found = super().log_likelihood(features, bias, targets)
        if not len(self.ends):
            return found
        rows, weight = (targets == self.spec.end).nonzero().squeeze(1), self.output.weight
        others = F.linear(features[rows].to(weight.dtype), weight[self.ends] - weight[self.spec.end])
        others = others.to(found.dtype) + (bias[self.ends] - bias[self.spec.end])
        return found.index_add(0, rows, F.pad(others, (1, 0)).logsumexp(1))

    def before(self, n: int, condition: Condition | None) -> Tensor:
        """See Autoregressive: the last token of each prompt."""
        prompts, lengths = self.prompts(n, condition)
        return prompts.gather(1, lengths[:, None] - 1).squeeze(1)

    def begin(self, n: int, condition: Condition | None) -> Context:
        """See Autoregressive: all but the last token of prompts is read. What is padding behind it stays in the cache,
        where nobody attends to it; before it, rows of nothing but padding would be no numbers in some networks.
        """
        from transformers import DynamicCache

        prompts, lengths = self.prompts(n, condition)
        places = torch.arange(int(lengths.max()) - 1, device=prompts.device).expand(n, -1)
        state = Context(DynamicCache(config=self.net.config), (places[:, :0] >= 0).long(), torch.zeros_like(lengths))
        if places.shape[1]:
            embedded = self.embedding(prompts[:, : places.shape[1]])
            _, state = self._go_on(state, embedded, torch.ones_like(places), places)
        return Context(state.cache, (places < lengths[:, None] - 1).long(), lengths - 1)

    def step(self, state: Context, embedded: Tensor) -> tuple[Tensor, Context]:
        """See Autoregressive. The cache is extended in place."""
        states, state = self._go_on(
            state, embedded.unsqueeze(1), torch.ones_like(state.lengths[:, None]), state.lengths[:, None]
        )
        return states.squeeze(1), state

    def read(self, embedded: Tensor, condition: Condition | None) -> Tensor:
        """See Autoregressive."""
        prompts, lengths = self.prompts(len(embedded), condition)
        return self.read_packed(embedded, prompts, lengths - 1)

    def before_training(self) -> None:
        """Start the engine that writes in a run. Raises UsageError where it cannot be had, or writes other texts."""
        if self.engine == "vllm":
            ends = [] if self.spec.end is None else [self.spec.end, *self.ends.tolist()]
            unknown = range(self.spec.vocab_size, self.net.get_input_embeddings().num_embeddings)
            self.writer = VLLM.of(
                self.net,
                longest=self.longest,
                ends=ends,
                barred=[*self.penalty.isinf().nonzero().flatten().tolist(), *unknown],
                memory=self.engine_memory,
                device=self.penalty.device,
                who=self.who,
            )
            self._refuse_other_texts(self.writer)

    def save_pretrained(self, folder: Path | str) -> None:
        """Write a folder that ``AutoModelForCausalLM`` and ``AutoTokenizer`` open; weights are safetensors, those of an
        adapter added to the others.
        """
        from transformers.utils import logging

        with silent(logging):
            self.net.save_pretrained(folder, state_dict=merged_state(self.net))
        if self.model is not None:
            pretrained_tokenizer(self.model).save_pretrained(folder)
        elif self.spec.tokenizer is not None:
            from transformers import PreTrainedTokenizerFast

            named = {"bos_token": self.spec.start, "eos_token": self.spec.end, "pad_token": self.spec.pad}
            special = {name: self.spec.tokenizer.id_to_token(it) for name, it in named.items() if it is not None}
            PreTrainedTokenizerFast(tokenizer_object=self.spec.tokenizer, **special).save_pretrained(folder)

    def _features(self, tokens: Tensor, condition: Condition | None) -> Tensor:
        """See Autoregressive; zeros where all rows have ended, which nobody looks at."""
        longest = int(self.spec.mask(tokens).sum(1).max())
        features = super()._features(tokens[:, :longest], condition)
        return F.pad(features, (0, 0, 0, tokens.shape[1] - longest))

    def _sample(self, n: int, condition: Condition | None, decoding: Decoding) -> Tensor:
        """See Autoregressive. An engine is handed the weights that the network has now."""
        if self.writer is None:
            return super()._sample(n, condition, decoding)
        seeds = noise.seeds(n)
        tokens, start = self._begun(n, condition)
        prompts, lengths = (it.tolist() for it in self.prompts(n, condition))
        live = self._live(tokens[:, :start]).tolist() if start < self.spec.max_length else []
        asked = [prompts[row][: lengths[row]] + tokens[row, :start].tolist() for row in live]
        self.writer.take(merged_state(self.net))
        texts = self.writer.write(asked, [seeds[row] for row in live], self.spec.max_length - start, decoding)
        rows, ends = tokens.cpu(), set(self.ends.tolist())
        for row, text in zip(live, texts, strict=True):
            written = [self.spec.end if token in ends else token for token in text]
            rows[row, start : start + len(text)] = torch.tensor(written)
        return rows.to(tokens.device)

    def _draw(self, *given: Any) -> Tensor:
        """See Autoregressive: whichever token ends a text, it is the end of a row."""
        drawn = super()._draw(*given)
        return drawn.masked_fill(torch.isin(drawn, self.ends), self.spec.end) if len(self.ends) else drawn

    def _other_ends(self) -> list[int]:
        """Tokens, of those that the data know, which end a text as the data's end does."""
        named = self.net.generation_config.eos_token_id
        ends = {named} if isinstance(named, int) else set(named or ())
        return [] if self.spec.end is None else sorted(it for it in ends - {self.spec.end} if it < self.spec.vocab_size)

    def _go_on(self, state: Context, embedded: Tensor, mask: Tensor, places: Tensor) -> tuple[Tensor, Context]:
        """States float ``[n, m, d]`` of tokens that are read next, float ``[n, m, e]``, at their ``places`` ``[n, m]``,
        and what was read then; ``mask``, int64 ``[n, m]``, is 0 for padding.
        """
        mask = torch.cat([state.mask, mask], dim=1)
        known = {self.cache_name: state.cache} | ({"position_ids": places} if self.takes_positions else {})
        states = self.body(inputs_embeds=embedded, attention_mask=mask, use_cache=True, **known).last_hidden_state
        return states, Context(state.cache, mask, state.lengths + 1)

    def _refuse_other_texts(self, writer: Engine) -> None:
        """Raises UsageError where the likeliest next token of ``writer`` after a short prompt is neither of the two
        that the network finds likeliest: as an engine rounds otherwise, near ties may fall otherwise.
        """
        prompt = [self.spec.start, *range(self.spec.vocab_size)][: min(8, self.longest - 1)]
        writer.take(merged_state(self.net))
        [[token]] = writer.write([prompt], [0], 1, Decoding(top_k=1))
        with evaluating(self.net):
            made = self.net(input_ids=torch.tensor([prompt], device=self.penalty.device)).logits[0, -1]
        logits = made[: self.spec.vocab_size] + self.penalty
        if token >= len(logits) or logits[token] < logits.topk(2).values[-1]:
            raise UsageError(
                f"{self.who}: {self.engine} writes other texts than the network whose weights it was handed: "
                f"after tokens {prompt} it writes {token}, where the network's likeliest is {int(logits.argmax())}\n"
                f"install another version of {self.engine}, or leave out engine"
            )

    def _refuse_states(self) -> None:
        """Raises UsageError for a network that keeps other than keys and values, or those of the last tokens alone."""
        from transformers import DynamicCache
        from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer

        kind = self.net.config.model_type
        for layer in DynamicCache(config=self.net.config).layers:
            if type(layer) not in (DynamicLayer, DynamicSlidingWindowLayer):
                raise UsageError(f"{self.who}: {kind!r} keeps other states than keys and values; take another model")
            if layer.is_sliding and layer.sliding_window < self.longest:
                raise UsageError(
                    f"{self.who}: {kind!r} attends to the last {layer.sliding_window} tokens in some layers, and these "
                    f"data have up to {self.longest}; set {self.too_long} to less"
                )

    def _refuse_nonlinear(self) -> None:
        """Raises UsageError for a network that makes more of its output layer's logits, such as a soft cap."""
        tokens = torch.tensor([[self.spec.start, 0]])
        with evaluating(self.net):
            layer: nn.Linear = self.net.get_output_embeddings()
            expected = layer(self.body(input_ids=tokens).last_hidden_state)
            made = self.net(input_ids=tokens).logits
        if not torch.allclose(expected, made, atol=1e-4, rtol=max(1e-3, 2 * torch.finfo(made.dtype).eps)):
            raise UsageError(
                f"{self.who}: {self.net.config.model_type!r} changes the logits of its output layer, as a soft cap "
                "does, or a scale, which is not done here; take another model"
            )
