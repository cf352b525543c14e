"""DCGAN: strided convolutions all the way (Radford et al., 2016), for images of any power of two from 8."""

from itertools import pairwise
from typing import Annotated, Any, Literal

import torch.nn.functional as F
from annotated_types import Ge
from torch import Tensor, nn

from gangen_image.networks.conditioning import ConditionalNorm, Discriminator, Head
from gangen_image.networks.latent import LatentGenerator
from gangen_image.networks.minibatch import MinibatchStd
from gangen_image.networks.normalization import BatchNorm, finish, normalization
from gangen_image.networks.pyramid import SMALLEST, resolutions, widths
from gangen_image.spec import ImageSpec


class DCGANGenerator(LatentGenerator):
    """Transposed convolutions from a latent up to an image, with a norm and ReLU after each but the last, then tanh.

    The widest layer is at 4x4; the one at half the image's size has ``width`` channels. ``condition`` "modulate"
    gives every norm a gain and shift per label.

    ``latent_dim`` is the size of a latent. No layer has more than ``max_width`` channels. ``norm`` normalises over the
    batch, over a channel of an image, over an image, or not at all.

    Raises:
        UsageError: a size other than a power of two from 8.
    """

    def __init__(
        self,
        spec: ImageSpec,
        *,
        latent_dim: Annotated[int, Ge(1)] = 100,
        width: Annotated[int, Ge(1)] = 64,
        max_width: Annotated[int, Ge(1)] = 512,
        norm: Literal["batch", "instance", "layer", "none"] = "batch",
        condition: Literal["none", "concat", "modulate"] | None = None,
        **options: Any,
    ) -> None:
        stages = resolutions(spec, "image/dcgan")[:-1]
        super().__init__(spec, latent_dim=latent_dim, condition=condition, **options)
        channels = widths(stages, width, max_width)
        modulated = self.classes if self.condition == "modulate" else 0
        # A bias before a norm would be taken out by its mean.
        bias = norm == "none"
        self.layers = nn.ModuleList([nn.ConvTranspose2d(self.input_dim, channels[0], SMALLEST, bias=bias)])
        for before, after in pairwise(channels):
            self.layers.append(nn.ConvTranspose2d(before, after, 4, stride=2, padding=1, bias=bias))
        self.norms = nn.ModuleList(ConditionalNorm(norm, count, modulated) for count in channels)
        self.output = nn.ConvTranspose2d(channels[-1], spec.channels, 4, stride=2, padding=1)
        initialize(self)
        finish(self, self.spectral_norm)

    def forward(self, latent: Tensor, label: Tensor | None = None) -> Tensor:
        """See LatentGenerator."""
        x = self.conditioned(latent, label)[:, :, None, None]
        for layer, norm in zip(self.layers, self.norms, strict=True):
            x = F.relu(norm(layer(x), label))
        return self.output(x).tanh()


class DCGANDiscriminator(Discriminator):
    """Strided convolutions from an image down to 4x4, with a norm after each but the first and a leaky ReLU.

    ``minibatch_std`` is the group size of minibatch standard deviation, 0 for none. A gradient penalty wants
    another norm than "batch", which makes a row's logit depend on the others.

    ``width`` is how many channels there are after the first layer, twice as many at each halving. No layer has more
    than ``max_width`` channels. ``norm`` normalises over the batch, over a channel of an image, over an image, or not
    at all.

    Raises:
        UsageError: a size other than a power of two from 8.
    """

    def __init__(
        self,
        spec: ImageSpec,
        *,
        width: Annotated[int, Ge(1)] = 64,
        max_width: Annotated[int, Ge(1)] = 512,
        norm: Literal["batch", "instance", "layer", "none"] = "batch",
        minibatch_std: Annotated[int, Ge(0)] = 0,
        **options: Any,
    ) -> None:
        stages = resolutions(spec, "image/dcgan")[:-1]
        super().__init__(spec, **options)
        channels = widths(stages, width, max_width)[::-1]
        self.layers = nn.ModuleList([nn.Conv2d(self.in_channels(spec.channels), channels[0], 4, stride=2, padding=1)])
        self.norms = nn.ModuleList([nn.Identity()])
        for before, after in pairwise(channels):
            self.layers.append(nn.Conv2d(before, after, 4, stride=2, padding=1, bias=norm == "none"))
            self.norms.append(normalization(norm, after))
        self.minibatch_std = MinibatchStd(minibatch_std) if minibatch_std else nn.Identity()
        features = (channels[-1] + bool(minibatch_std)) * SMALLEST**2
        self.head = Head(features, self.condition, self.classes, self.pac, bias=False)
        initialize(self)
        finish(self, self.spectral_norm)

    def trunk(self, x: Tensor) -> Tensor:
        """See Discriminator."""
        for layer, norm in zip(self.layers, self.norms, strict=True):
            x = F.leaky_relu(norm(layer(x)), 0.2)
        return self.minibatch_std(x).flatten(1)


def initialize(net: nn.Module) -> None:
    """Weights from N(0, 0.02^2), gains of norms from N(1, 0.02^2), biases at zero: section 4 and the paper's code."""
    for module in net.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            nn.init.normal_(module.weight, std=0.02)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, BatchNorm | nn.GroupNorm) and module.weight is not None:
            nn.init.normal_(module.weight, mean=1.0, std=0.02)
        elif isinstance(module, ConditionalNorm) and module.gain is not None:
            nn.init.normal_(module.gain.weight, mean=1.0, std=0.02)
