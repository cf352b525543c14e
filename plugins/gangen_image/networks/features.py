"""Projected GAN (Sauer et al., 2021): a discriminator that sees with a pretrained network at several depths."""

from typing import Annotated, Any, Literal

import torch
import torch.nn.functional as F
from annotated_types import Ge
from torch import Tensor, nn

from gangen import UsageError, label_of
from gangen_image.networks.conditioning import Condition, chosen
from gangen_image.networks.dcgan import DCGANDiscriminator
from gangen_image.networks.normalization import Norm, finish, normalization
from gangen_image.networks.pyramid import SMALLEST
from gangen_image.pretrained import FeatureNetwork
from gangen_image.spec import ImageSpec


class MapHead(nn.Module):
    """From a map of features to logits of its places: strided convolutions down to 4 x 4, and one that judges.

    Every layer has spectral norm. Labels add the inner product of what is judged and an embedding.
    """

    def __init__(self, channels: int, side: int, width: int, norm: Norm, classes: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        while side > SMALLEST or not layers:
            kernel, stride = (4, 2) if side > SMALLEST else (1, 1)
            convolution = nn.Conv2d(channels, width, kernel, stride, padding=stride // 2, bias=norm == "none")
            layers += [convolution, normalization(norm, width), nn.LeakyReLU(0.2)]
            channels, side = width, side // stride
        self.layers = nn.Sequential(*layers)
        self.output = nn.Conv2d(width, 1, 3, padding=1)
        self.projection = nn.Embedding(classes, width) if classes else None
        if self.projection is not None:
            nn.init.normal_(self.projection.weight, std=width**-0.5)
        finish(self, spectral_norm=True)

    def forward(self, x: Tensor, label: Tensor | None) -> Tensor:
        """Logits float ``[n, places]`` of features float ``[n, channels, side, side]``."""
        x = self.layers(x)
        logits = self.output(x)
        if self.projection is not None:
            logits = logits + (x * self.projection(label)[:, :, None, None]).sum(1, keepdim=True)
        return logits.flatten(1)


class FeaturesDiscriminator(FeatureNetwork):
    """Light heads, which learn, on what a frozen network makes of images at several depths; see its options.

    A logit for each place of each head. With ``mixing`` every map goes through a random 1x1 convolution first, which
    stays as it is (cross-channel mixing): no channel is then as easily fooled as another. The paper's cross-scale
    mixing, of neighbouring depths, is absent. ``width`` is that of the heads, and ``norm`` normalises in them over the
    batch, over a channel of an image, over an image, or not at all. ``condition`` is "none" or "projection"; null is
    the latter where the data have labels.

    With ``pixel_width`` an image/dcgan of that width, with spectral norm and no other, learns beside the heads from the
    images themselves; its logit counts as much as all of theirs (Vision-aided GAN, Kumari et al., 2022). 0 is none.

    The paper plays with the hinge loss and image/diffaugment. Metrics that see with the same network flatter what was
    trained against it, and say so; look with another one.

    Raises:
        UsageError: the network cannot be opened, or cannot take such images; with ``pixel_width``, a size other than
            a power of two from 8.
    """

    who = "discriminator image/features"

    def __init__(
        self,
        spec: ImageSpec,
        *,
        width: Annotated[int, Ge(1)] = 64,
        norm: Literal["batch", "instance", "layer", "none"] = "batch",
        mixing: bool = True,
        pixel_width: Annotated[int, Ge(0)] = 0,
        condition: Literal["none", "projection"] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.labels = spec.labels if chosen(condition, "projection", spec.labels) != "none" else ()
        shapes = self.tried(spec)
        self.heads = nn.ModuleList(MapHead(c, side, width, norm, len(self.labels)) for c, side, _ in shapes)
        self.mixing = mixing
        for number, (c, _, _) in enumerate(shapes if mixing else ()):
            self.register_buffer(f"mixing_{number}", torch.randn(c, c, 1, 1) * c**-0.5)
        self.pixels = self._beside(spec, pixel_width) if pixel_width else None
        self.batch_least = 2 if norm == "batch" else 1

    def forward(self, images: Tensor, condition: Condition | None = None) -> Tensor:
        """Logits float ``[n, places of all heads]`` for images float ``[n, channels, size, size]``.

        With ``pixel_width`` there are twice as many; the second half is one logit, repeated.
        """
        label = label_of(condition, self.labels)
        maps = self.maps(images)
        if self.mixing:
            maps = [F.conv2d(it, self.get_buffer(f"mixing_{number}")) for number, it in enumerate(maps)]
        logits = torch.cat([head(it, label) for head, it in zip(self.heads, maps, strict=True)], dim=1)
        if self.pixels is None:
            return logits
        return torch.cat([logits, self.pixels(images, condition)[:, None].expand_as(logits)], dim=1)

    def _beside(self, spec: ImageSpec, width: int) -> DCGANDiscriminator:
        condition: Literal["none", "projection"] = "projection" if self.labels else "none"
        try:
            return DCGANDiscriminator(spec, width=width, norm="none", spectral_norm=True, condition=condition)
        except UsageError as error:
            raise UsageError(f"{self.who}, pixel_width: {error}, or leave pixel_width out") from None
