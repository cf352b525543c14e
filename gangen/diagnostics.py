"""How large a step of a player was: the norms of its gradient and of what the step changed."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from gangen.contracts import Stats


class StepSize:
    """Looks at ``parameters`` before a step, whose gradients must be there, and at what the step made of them after it.

    Keeps a copy of the weights for as long as it lives. Nothing here waits for the device.
    """

    def __init__(self, parameters: Sequence[nn.Parameter]) -> None:
        self.parameters = [parameter.detach() for parameter in parameters if parameter.grad is not None]
        self.before = [parameter.clone() for parameter in self.parameters]
        self.gradient_norm = total_norm([parameter.grad for parameter in parameters if parameter.grad is not None])

    def figures(self) -> Stats:
        """``gradient_norm`` before clipping; ``update_size``, the norm of the change over that of the weights."""
        if not self.parameters:
            return {}
        change = total_norm(torch._foreach_sub(self.parameters, self.before))
        weights = total_norm(self.parameters)
        # Weights of exactly zero have not changed, or went back to zero: no division by it either way.
        size = change / weights.clamp(min=torch.finfo(weights.dtype).tiny)
        return {"gradient_norm": self.gradient_norm, "update_size": size}


def total_norm(tensors: Sequence[Tensor]) -> Tensor:
    """The Euclidean norm of all entries of all tensors together, scalar."""
    norms = torch._foreach_norm(list(tensors)) if tensors else [torch.zeros(())]
    return torch.linalg.vector_norm(torch.stack(norms))
