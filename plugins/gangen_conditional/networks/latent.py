"""Between images and the latents that image generators start from: encoders, and judges of both together."""

from typing import Annotated, Literal

import torch
from annotated_types import Ge
from torch import Tensor, nn

from gangen_conditional.networks.gaussian import Gaussian
from gangen_conditional.networks.trunk import Trunk
from gangen_image import ImageSpec, finish


class LatentEncoder(nn.Module):
    """Images to distributions of the latents that they may come from: strided convolutions and a linear layer.

    ``latent_dim`` is the size of a latent, that of the generator. ``width`` is how many channels there are after the
    first layer, twice as many at each halving up to ``max_width``. ``norm`` normalises over the batch, over a channel
    of an image, over an image, or not at all.

    Raises:
        UsageError: images of a size other than a power of two from 8, or no images.
    """

    def __init__(
        self,
        spec: ImageSpec,
        *,
        latent_dim: Annotated[int, Ge(1)] = 100,
        width: Annotated[int, Ge(1)] = 64,
        max_width: Annotated[int, Ge(1)] = 512,
        norm: Literal["batch", "instance", "layer", "none"] = "batch",
    ) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        self.trunk = Trunk(spec, "conditional/latent", width, max_width, norm)
        self.output = nn.Linear(self.trunk.features, 2 * latent_dim)
        finish(self, spectral_norm=False)

    def forward(self, images: Tensor) -> Gaussian:
        """Of images float ``[n, channels, size, size]`` in [-1, 1], a Gaussian of ``[n, latent_dim]``."""
        return Gaussian.of(self.output(self.trunk(images)))


class LatentDiscriminator(nn.Module):
    """Images beside latents to logits: convolutions see the image, two layers the latent, two more both.

    ``latent_dim`` is the size of a latent, that of the generator. ``width`` is how many channels there are after the
    first convolution, twice as many at each halving up to ``max_width``; ``hidden_dim`` how wide the other layers are.
    ``norm`` normalises over the batch, over a channel of an image, over an image, or not at all. ``spectral_norm``
    divides weights by their largest singular value.

    Raises:
        UsageError: images of a size other than a power of two from 8, or no images.
    """

    def __init__(
        self,
        spec: ImageSpec,
        *,
        latent_dim: Annotated[int, Ge(1)] = 100,
        width: Annotated[int, Ge(1)] = 64,
        max_width: Annotated[int, Ge(1)] = 512,
        hidden_dim: Annotated[int, Ge(1)] = 512,
        norm: Literal["batch", "instance", "layer", "none"] = "none",
        spectral_norm: bool = True,
    ) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        self.image = Trunk(spec, "conditional/latent", width, max_width, norm)
        self.latent = nn.Sequential(*_layer(latent_dim, hidden_dim), *_layer(hidden_dim, hidden_dim))
        both = self.image.features + hidden_dim
        self.head = nn.Sequential(*_layer(both, hidden_dim), nn.Linear(hidden_dim, 1))
        finish(self, spectral_norm)

    def forward(self, images: Tensor, latents: Tensor) -> Tensor:
        """Logits float ``[n]`` of images float ``[n, channels, size, size]`` and latents float ``[n, latent_dim]``."""
        return self.head(torch.cat([self.image(images), self.latent(latents)], dim=1)).squeeze(1)


def _layer(before: int, after: int) -> list[nn.Module]:
    return [nn.Linear(before, after), nn.LeakyReLU(0.2)]
