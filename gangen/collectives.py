"""What processes tell each other; where there is only one, it hears itself."""

import os
from collections.abc import Mapping

import torch
import torch.distributed as dist
from torch import Tensor

from gangen.files import digest


def launched() -> bool:
    """Whether torchrun or accelerate started this process, alone or as one of several."""
    return bool(os.environ.keys() & {"TORCHELASTIC_RUN_ID", "ACCELERATE_MIXED_PRECISION"})


def world_size() -> int:
    """How many processes play."""
    return dist.get_world_size() if dist.is_initialized() else 1


def rank() -> int:
    """The number of this process, from 0."""
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


def all_gather(tensor: Tensor) -> Tensor:
    """The tensors of all processes, ``[processes, ...]``, differentiable as ``all_sum`` is."""
    slots = tensor.new_zeros(world_size(), *tensor.shape)
    slots[rank()] = tensor
    return all_sum(slots)


def all_roll(rows: Tensor) -> Tensor:
    """Of each row the one before it in the batch of all processes, of its first row the last; ``[n, ...]`` as ``rows``.

    Micro-batches are rolled one by one. Differentiable as ``all_sum`` is.
    """
    return torch.cat([all_gather(rows[-1:])[rank() - 1], rows[:-1]])


def any_process(flag: bool, device: torch.device) -> bool:
    """True on every process when ``flag`` is true on one of them."""
    if world_size() == 1:
        return flag
    return bool(all_sum(torch.tensor(float(flag), device=device)).item())


def unequal(tensors: Mapping[str, Tensor], device: torch.device) -> list[str]:
    """The names of those that are not the same, bit by bit, on all processes, which all ask for the same names."""
    if world_size() == 1 or not tensors:
        return []
    digests = [int(digest({"": tensor})[:15], 16) for tensor in tensors.values()]
    everywhere = all_gather(torch.tensor(digests, device=device))
    return [name for name, same in zip(tensors, (everywhere == everywhere[0]).all(0), strict=True) if not same]


def broadcast(tensors: list[Tensor]) -> None:
    """Overwrite ``tensors`` in place with those of process 0, in one flat message per dtype."""
    if world_size() == 1:
        return
    for dtype in dict.fromkeys(tensor.dtype for tensor in tensors):
        targets = [tensor for tensor in tensors if tensor.dtype == dtype]
        flat = torch.cat([tensor.reshape(-1) for tensor in targets])
        dist.broadcast(flat, src=0)
        for tensor, values in zip(targets, flat.split([tensor.numel() for tensor in targets]), strict=True):
            tensor.copy_(values.view_as(tensor))
