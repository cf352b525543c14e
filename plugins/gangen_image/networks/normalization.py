"""Normalisation of activations, also over several processes, and of weights."""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from gangen import all_gather, world_size

Norm = Literal["batch", "instance", "layer", "none"]


class BatchNorm(nn.Module):
    """Batch normalisation (Ioffe and Szegedy, 2015) of float ``[n, channels, ...]`` by the rows of all processes.

    Every process holds as many rows, and all must call it together in training mode. torch's SyncBatchNorm does the
    same on GPUs only. Micro-batches are normalised one by one: ``accumulate`` is not the larger batch here.
    """

    def __init__(self, channels: int, *, affine: bool = True, momentum: float = 0.1, eps: float = 1e-5) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels)) if affine else None
        self.bias = nn.Parameter(torch.zeros(channels)) if affine else None
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))
        self.momentum = momentum
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        mean, var = self.running_mean, self.running_var
        if not self.training or world_size() == 1:
            return F.batch_norm(x, mean, var, self.weight, self.bias, self.training, self.momentum, self.eps)
        wide = x.to(mean.dtype)
        variance, centre = torch.var_mean(wide, [dim for dim in range(x.dim()) if dim != 1], correction=0)
        variances, centres = all_gather(torch.stack([variance, centre])).unbind(1)
        centre = centres.mean(0)
        variance = (variances + (centres - centre).square()).mean(0)
        with torch.no_grad():
            count = x.numel() // x.shape[1] * world_size()
            mean.lerp_(centre, self.momentum)
            var.lerp_(variance * count / (count - 1), self.momentum)
        shape = (-1, *[1] * (x.dim() - 2))
        y = (wide - centre.reshape(shape)) * (variance + self.eps).rsqrt().reshape(shape)
        if self.weight is not None:
            y = torch.addcmul(self.bias.reshape(shape), y, self.weight.reshape(shape))
        return y.to(x.dtype)


def normalization(norm: Norm, channels: int, *, affine: bool = True) -> nn.Module:
    """A norm of float ``[n, channels, ...]``; all but "batch" look at one row at a time."""
    match norm:
        case "batch":
            return BatchNorm(channels, affine=affine)
        case "instance":
            return nn.GroupNorm(channels, channels, affine=affine)
        case "layer":
            return nn.GroupNorm(1, channels, affine=affine)
        case "none":
            return nn.Identity()


def normalize_weights(net: nn.Module) -> None:
    """Divide the weight of every convolution and linear layer by its largest singular value (Miyato et al., 2018).

    One power iteration per training-mode forward estimates it, so that ``accumulate`` makes for more of them. Call
    this after the weights were initialised.
    """
    for module in list(net.modules()):
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            spectral_norm(module)


def finish(net: nn.Module, spectral_norm: bool) -> None:
    """The end of a constructor: convolutions in the memory format in which they are faster, and weights normalised."""
    net.to(memory_format=torch.channels_last)
    if spectral_norm:
        normalize_weights(net)
