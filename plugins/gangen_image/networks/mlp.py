"""Fully connected networks: for points in the plane, and the smallest ones for images (Goodfellow et al., 2014)."""

import math
from itertools import pairwise
from typing import Annotated, Any, Literal

import torch.nn.functional as F
from annotated_types import Ge
from torch import Tensor, nn

from gangen import noise
from gangen_image.networks.conditioning import Condition, Discriminator, Head
from gangen_image.networks.latent import LatentGenerator
from gangen_image.networks.normalization import finish, normalization
from gangen_image.spec import ImageSpec, PointSpec


class MLPGenerator(LatentGenerator):
    """Linear layers, each with a norm and a leaky ReLU; tanh at the end where the data are images.

    ``slope`` is that of the leaky ReLU below 0; with 0 it is a plain ReLU.

    ``latent_dim`` is the size of a latent. There are ``layers`` hidden layers of ``hidden_dim`` units. ``norm``
    normalises over the batch, over the units of a row, or not at all.
    """

    def __init__(
        self,
        spec: ImageSpec | PointSpec,
        *,
        latent_dim: Annotated[int, Ge(1)] = 64,
        hidden_dim: Annotated[int, Ge(1)] = 128,
        layers: Annotated[int, Ge(1)] = 2,
        norm: Literal["batch", "layer", "none"] = "none",
        slope: Annotated[float, Ge(0)] = 0.2,
        **options: Any,
    ) -> None:
        super().__init__(spec, latent_dim=latent_dim, **options)
        self.shape = spec.shape
        self.slope = slope
        self.bounded = isinstance(spec, ImageSpec)
        sizes = [self.input_dim] + [hidden_dim] * layers
        self.linears = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(sizes))
        self.norms = nn.ModuleList(normalization(norm, hidden_dim) for _ in range(layers))
        self.output = nn.Linear(hidden_dim, math.prod(self.shape))
        self.batch_least = 2 if norm == "batch" else 1
        finish(self, self.spectral_norm)

    def forward(self, latent: Tensor, label: Tensor | None = None) -> Tensor:
        """See LatentGenerator."""
        x = self.conditioned(latent, label)
        for linear, norm in zip(self.linears, self.norms, strict=True):
            x = F.leaky_relu(norm(linear(x)), self.slope)
        x = self.output(x).reshape(-1, *self.shape)
        return x.tanh() if self.bounded else x


class MLPDiscriminator(Discriminator):
    """Linear layers, each with a norm and a leaky ReLU of ``slope`` below 0.

    In training mode, normal noise with the standard deviation ``noise`` is added to the images and to what every layer
    makes of them, the features too (Salimans et al., 2016, section 6.1). Only with a norm does it keep its share: a
    network without one learns activations beside which it is nothing.

    There are ``layers`` hidden layers of ``hidden_dim`` units. ``norm`` normalises over the batch, over the units
    of a row, or not at all.
    """

    def __init__(
        self,
        spec: ImageSpec | PointSpec,
        *,
        hidden_dim: Annotated[int, Ge(1)] = 128,
        layers: Annotated[int, Ge(1)] = 2,
        norm: Literal["batch", "layer", "none"] = "none",
        slope: Annotated[float, Ge(0)] = 0.2,
        noise: Annotated[float, Ge(0)] = 0.0,
        **options: Any,
    ) -> None:
        super().__init__(spec, **options)
        self.slope = slope
        self.noise = noise
        sizes = [self.in_channels(math.prod(spec.shape))] + [hidden_dim] * layers
        self.linears = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(sizes))
        self.norms = nn.ModuleList(normalization(norm, hidden_dim) for _ in range(layers))
        self.head = Head(hidden_dim, self.condition, self.classes, self.pac)
        self.batch_least = 2 * self.pac if norm == "batch" else 1
        finish(self, self.spectral_norm)

    def features(self, images: Tensor, condition: Condition | None = None) -> Tensor:
        """See Discriminator."""
        return super().features(images.flatten(1), condition)

    def trunk(self, x: Tensor) -> Tensor:
        """See Discriminator."""
        x = self._noisy(x)
        for linear, norm in zip(self.linears, self.norms, strict=True):
            x = self._noisy(F.leaky_relu(norm(linear(x)), self.slope))
        return x

    def _noisy(self, x: Tensor) -> Tensor:
        if not (self.training and self.noise):
            return x
        return x + self.noise * noise.normal(*x.shape, device=x.device, dtype=x.dtype)
