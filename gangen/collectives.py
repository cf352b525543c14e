"""What processes tell each other: every function is the identity where there is only one."""

import torch
import torch.distributed as dist
from torch import Tensor


def world_size() -> int:
    return dist.get_world_size() if dist.is_initialized() else 1


def rank() -> int:
    return dist.get_rank() if dist.is_initialized() else 0


class _AllReduceSum(torch.autograd.Function):
    @staticmethod
    def forward(ctx, tensor: Tensor) -> Tensor:
        total = tensor.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx, gradient: Tensor) -> Tensor:
        return _AllReduceSum.apply(gradient)  # through autograd, so that it can be differentiated again


def all_sum(tensor: Tensor) -> Tensor:
    """Sum over processes, differentiable: the gradient is summed over processes too."""
    return tensor if world_size() == 1 else _AllReduceSum.apply(tensor)


def all_mean(tensor: Tensor) -> Tensor:
    """Mean over processes, differentiable.

    A loss that is averaged over processes afterwards (as shared gradients are) then has the gradient
    that one process with the whole batch would compute.
    """
    return tensor if world_size() == 1 else all_sum(tensor) / world_size()


def any_process(flag: bool, device: torch.device) -> bool:
    """True on every process when ``flag`` is true on one of them."""
    if world_size() == 1:
        return flag
    return bool(all_sum(torch.tensor(float(flag), device=device)).item())


def broadcast(tensors: list[Tensor]) -> None:
    """Overwrite ``tensors`` in place with those of process 0."""
    if world_size() > 1:
        for tensor in tensors:
            dist.broadcast(tensor, src=0)
