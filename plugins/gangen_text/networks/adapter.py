"""Low-rank adapters: of a pretrained network nothing learns but small matrices beside its linear layers."""

from typing import Any

import torch
from torch import Tensor

from gangen import UsageError


def add_adapter(net: Any, rank: int, alpha: int, who: str) -> None:
    """Give a network of transformers an adapter of LoRA (Hu et al., 2022), and freeze all else of it.

    Beside the weight W of each linear layer but the output there is ``alpha / rank`` B A, which is zero at first, A
    ``[rank, in]`` and B ``[out, rank]``. They alone are what is kept of it.

    Raises:
        UsageError: the package peft is not there, or finds no linear layers.
    """
    try:
        from peft import LoraConfig, inject_adapter_in_model
    except ImportError as error:
        raise UsageError(f'{who} needs the package peft for an adapter: pip install "gangen[lm]" ({error})') from None
    try:
        inject_adapter_in_model(LoraConfig(r=rank, lora_alpha=alpha, target_modules="all-linear"), net)
    except ValueError as error:
        raise UsageError(f"{who} cannot have an adapter: {str(error).splitlines()[0]}") from None
    for it in net.parameters():
        if it.requires_grad:  # in half precision small steps would be lost
            it.data = it.data.to(torch.promote_types(it.dtype, torch.float32))
    net.state_names = [name for name, it in net.named_parameters() if it.requires_grad]


def merged_state(net: Any) -> dict[str, Tensor]:
    """The weights of a network as it was without an adapter, each with what the adapter adds to it."""
    state = {name.replace(".base_layer.", "."): it for name, it in net.state_dict().items() if ".lora_" not in name}
    for name, layer in net.named_modules():
        if hasattr(layer, "get_delta_weight"):
            weight = state[f"{name}.weight"]
            state[f"{name}.weight"] = (weight + layer.get_delta_weight("default")).to(weight.dtype)
    return state
