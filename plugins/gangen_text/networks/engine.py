"""Engines that write texts in the place of a language model: what one does, and that of the package vllm."""

import copy
import os
from collections.abc import Mapping, Sequence
from tempfile import TemporaryDirectory
from typing import Any, Protocol
from weakref import WeakValueDictionary

import torch
from torch import Tensor

from gangen import UsageError, seeded, world_size
from gangen_text.networks.draws import Decoding

# Added to the logits of tokens that are no text, in the place of the infinity that vllm does not take.
BARRED = -100.0
# Of one network, its average and its copies: an engine keeps a share of the device.
_STARTED: WeakValueDictionary[tuple[Any, ...], "VLLM"] = WeakValueDictionary()


class Engine(Protocol):
    """Writes texts with the weights that it was handed last."""

    def take(self, weights: Mapping[str, Tensor]) -> None:
        """Write with ``weights`` from now on, by the names under which transformers saves them."""

    def write(
        self, prompts: Sequence[Sequence[int]], seeds: Sequence[int], room: int, decoding: Decoding
    ) -> list[list[int]]:
        """The tokens of a text behind each of ``prompts``, tokens too: at most ``room``, the last one an end where it
        has one. What is drawn for a prompt follows from its own of ``seeds``.
        """


class VLLM:
    """The engine of the package vllm (Kwon et al., 2023), in this process and on its device.

    It has the architecture of ``net``, a causal language model of transformers, and weights of that precision, of
    which none are read from files. Prompts and texts have ``longest`` tokens together. Any of ``ends`` ends a text, and
    none of ``barred`` is in one. It takes the share ``memory`` of the memory of ``device``. ``who`` starts it.

    It was written by the sources of vllm 0.33 and is tested with a stand-in that has the same methods: it was never run
    with the package itself. There, what a seed draws may differ in another batch, or on another device.

    Raises:
        UsageError: the package is not there, computes on another kind of device, or cannot run such a network.
    """

    def __init__(
        self,
        net: Any,
        *,
        longest: int,
        ends: Sequence[int],
        barred: Sequence[int],
        memory: float,
        device: torch.device,
        who: str,
    ) -> None:
        os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"  # weights are handed over as tensors of this process
        os.environ.setdefault("VLLM_LOGGING_LEVEL", "WARNING")
        try:
            import vllm
            from vllm.platforms import current_platform
        except ImportError as error:
            raise UsageError(
                f'{who} needs the package vllm to write with it: pip install "gangen[vllm]" ({error})'
            ) from None
        if (here := current_platform.device_type or "no device of this machine") != device.type:
            raise UsageError(f"{who}: vllm computes on {here}, and this run on {device.type}; set engine: transformers")
        self.ends = list(ends)
        self.bias = dict.fromkeys(barred, BARRED)
        self._params: Any = vllm.SamplingParams
        config = copy.deepcopy(net.config)
        config.architectures = [type(net).__name__]
        # It joins the processes that torch knows, if there are several: then all of them start theirs together.
        executor = {"distributed_executor_backend": "external_launcher"} if world_size() > 1 else {}
        with TemporaryDirectory() as folder, seeded(0, device):  # as it seeds torch's own generators
            config.save_pretrained(folder)
            try:
                self._llm: Any = vllm.LLM(
                    folder,
                    skip_tokenizer_init=True,
                    load_format="dummy",
                    dtype=str(net.dtype).removeprefix("torch."),
                    max_model_len=longest,
                    gpu_memory_utilization=memory,
                    **executor,
                )
            except Exception as error:  # whatever its parts raise
                reason = (str(error).strip() or type(error).__name__).split("\n")[0]
                raise UsageError(
                    f"{who}: vllm cannot run this model: {reason}\nset engine: transformers, or another engine_memory"
                ) from None

    @classmethod
    def of(cls, net: Any, *, who: str, **options: Any) -> "VLLM":
        """The engine for such a network, which is started unless there is one already."""
        key = (type(net), net.config.to_json_string(), net.dtype, repr(options))
        if (engine := _STARTED.get(key)) is None:
            engine = _STARTED[key] = cls(net, who=who, **options)
        return engine

    def take(self, weights: Mapping[str, Tensor]) -> None:
        """See Engine."""
        self._llm.collective_rpc("reload_weights", kwargs={"weights_iterator": iter(weights.items())})
        self._llm.reset_prefix_cache()  # of what earlier weights made of prompts

    def write(
        self, prompts: Sequence[Sequence[int]], seeds: Sequence[int], room: int, decoding: Decoding
    ) -> list[list[int]]:
        """See Engine. Raises UsageError for a temperature that vllm does not take."""
        if not 0.01 <= decoding.temperature <= 2:
            raise UsageError(
                f"vllm draws at temperatures from 0.01 to 2, got {decoding.temperature}; set engine: transformers"
            )
        params = [
            self._params(
                **decoding._asdict(),
                seed=seed,
                max_tokens=room,
                stop_token_ids=self.ends,
                ignore_eos=True,  # those that it knows of itself
                logit_bias=self.bias,
                detokenize=False,
            )
            for seed in seeds
        ]
        asked = [{"prompt_token_ids": list(prompt)} for prompt in prompts]
        return [list(it.outputs[0].token_ids) for it in self._llm.generate(asked, params, use_tqdm=False)]
