"""Weights that processes keep together: each has rows of its own, and all of them for as long as they are needed."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeGuard

import torch
from torch import Tensor, nn

from gangen.collectives import rank, world_size
from gangen.optimizers import Learning

if TYPE_CHECKING:  # it takes a second to import
    from torch.distributed.tensor import DTensor


class Shards:
    """Of ``parameters``, this process's rows: ``parts`` are DTensors, split along the first dimension, as those of
    torch's ``fully_shard``. What has no dimension is whole everywhere.

    The parameters themselves are nan, and take no memory, but between ``gather`` and ``release``. They are whole for a
    turn, not for a call of ``forward``, with which the messages of ``fully_shard`` go: a turn may call any method of a
    network, as often on one process and less often on another, and differentiate twice.
    """

    def __init__(self, parameters: Iterable[Tensor]) -> None:
        from torch.distributed.device_mesh import init_device_mesh
        from torch.distributed.tensor import Replicate, Shard, distribute_tensor

        self.parameters = [it for it in parameters if it.is_floating_point()]
        self.gathered = True
        self.parts: list[Tensor] = []
        mesh = init_device_mesh(self.parameters[0].device.type, (world_size(),))
        for parameter in self.parameters:
            placement = Shard(0) if parameter.dim() else Replicate()
            rows = distribute_tensor(parameter.detach(), mesh, [placement], src_data_rank=None)
            # In the order of memory that gradients of released parameters have: fused optimizers go through memory.
            part = rows.clone(memory_format=torch.contiguous_format)
            self.parts.append(nn.Parameter(part, parameter.requires_grad))
        self.release()

    @contextmanager
    def whole(self, *, here: bool, store: bool) -> Iterator[None]:
        """Around what takes whole parameters where ``here`` is true; with ``store`` it may change them, everywhere."""
        outermost = not self.gathered
        if outermost:
            self.gather(here=here)
        try:
            yield
            if store:
                self.store()
        finally:
            if outermost:
                self.release()

    @torch.no_grad()
    def gather(self, *, here: bool = True) -> None:
        """Make the parameters whole where ``here`` is true; all processes call this together."""
        for parameter, part in zip(self.parameters, self.parts, strict=True):
            whole = whole_of(part)
            if here:
                parameter.data = whole
        self.gathered = here

    @torch.no_grad()
    def store(self) -> None:
        """Keep what the parameters, whole on every process, have become."""
        for parameter, part in zip(self.parameters, self.parts, strict=True):
            part.copy_(part_of(parameter, part))

    def release(self) -> None:
        """Give back the memory of whole parameters, and of their gradients."""
        self.forget()
        for parameter in self.parameters:
            parameter.grad = None
        self.gathered = False

    def forget(self) -> None:
        """Give back the memory of whole parameters, but not that of their gradients."""
        for parameter in self.parameters:
            parameter.data = parameter.new_full((), torch.nan).expand(parameter.shape)


def complaint(learning: Learning, net: nn.Module) -> str:
    """In words, why an optimizer cannot step with parts of the weights of ``net``, going by a step with parts of small
    ones; empty where it can. All processes ask together.
    """
    kept = {name: it for name, it in net.named_parameters() if it.requires_grad}
    small = [torch.zeros([1] * it.dim(), dtype=it.dtype, device=it.device).requires_grad_() for it in kept.values()]
    parts = Shards(small).parts
    for part in parts:
        part.grad = torch.zeros_like(part)
    try:
        learning.optimizer(dict(zip(kept, parts, strict=True))).step()
    except Exception as error:
        return str(error).partition("\n")[0] or type(error).__name__
    return ""


def is_part(tensor: Tensor) -> TypeGuard["DTensor"]:
    """Whether processes have parts of a tensor."""
    return hasattr(tensor, "full_tensor")


def part_of(whole: Tensor, like: Tensor) -> Tensor:
    """Of a tensor that all processes have, what this one has of ``like``, in the same memory."""
    if not is_part(like):
        return whole
    from torch.distributed.tensor import distribute_tensor

    return distribute_tensor(whole.detach(), like.device_mesh, like.placements, src_data_rank=None)


def rows_of(tensor: Tensor) -> Tensor:
    """What this process has of a tensor, without gradient, in the same memory; what all have is process 0's."""
    if not is_part(tensor):
        return tensor.detach()
    rows = tensor.to_local().detach()
    return rows if tensor.dim() or rank() == 0 else rows.new_empty(0)


def whole_of(tensor: Tensor) -> Tensor:
    """What processes have parts of, in whole; they ask together."""
    return tensor.full_tensor().detach() if is_part(tensor) else tensor
