"""What is asked of any network: its size, and evaluation mode for a while."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn


def count_parameters(net: nn.Module) -> int:
    return sum(parameter.numel() for parameter in net.parameters())


@contextmanager
def evaluating(*nets: nn.Module) -> Iterator[None]:
    """Evaluation mode without gradients; every module's own mode is put back afterwards."""
    before = [(module, module.training) for net in nets for module in net.modules()]
    for net in nets:
        net.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for module, training in before:
            module.training = training
