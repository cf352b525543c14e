"""What image metrics see with where a pretrained network is at hand."""

from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from gangen import Data, UsageError, digest
from gangen_image.extractors.classifier import seen
from gangen_image.pretrained import FeatureNetwork

# Images that are looked at in one go.
CHUNK = 50


class Features(FeatureNetwork):
    """What a network makes of images, one vector each; see its options.

    ``model`` is any vision model that ``transformers.AutoModel`` opens, and ``network`` any module of torch in its
    place. ``pooling`` takes the mean over all places of the deepest of the layers, or, as "pooler", what a model itself
    says of an image as a whole: the class token of DINOv2 after its last norm, in which published Frechet distances
    are, and CLIP's embedding, for CMMD; with ``resize: bicubic`` as these have it.

    Images are seen as a file would show them, in float32. Figures carry the last part of the model's name, or of
    the network's, and "_pooler" after it; they say little of a run whose discriminator looks through the same one.
    """

    who = "extractor image/features"

    def __init__(
        self,
        *,
        model: str | None = None,
        network: str | None = None,
        pooling: Literal["mean", "pooler"] = "mean",
        **options: Any,
    ) -> None:
        self.pooling = pooling
        self.unread = None if pooling == "pooler" else self.unread
        if pooling == "pooler" and model is None:
            raise UsageError(f"{self.who}: pooling is pooler for a model alone; leave it out")
        super().__init__(model=model, network=network, **options)
        self.name = Path(str(model)).name if model is not None else str(network).rpartition(":")[2]
        self.name += "_pooler" * (pooling == "pooler")
        self.key = type(self), model, network, pooling, str(sorted(options.items()))

    def seeing(self, model: nn.Module) -> nn.Module:
        """See FeatureNetwork; a model of images and texts also has a projection to what they share."""
        projection = getattr(model, "visual_projection", None) if self.pooling == "pooler" else None
        self.projection = nn.Identity() if projection is None else projection.requires_grad_(False)
        return super().seeing(model)

    def check(self, data: Data) -> None:
        """Raises UsageError for data that are not grey or colour images, or that the network cannot take."""
        self.tried(data.codec.spec)

    def fit(self, data: Data, device: torch.device) -> None:
        """Move the network to ``device``; it learns nothing."""
        self.float().to(device)

    @cached_property
    def digest(self) -> str:
        """Of the network's weights, and of how images are shown to it."""
        how = f"{self.layers} {self.given_size}" + f" {self.resize}" * (self.resize != "bilinear")
        shown = {how: torch.zeros(0), "mean": self.mean, "std": self.std}
        if self.pooling == "pooler":
            shown |= {"pooler": torch.zeros(0)} | self.projection.state_dict(prefix="projection.")
        return digest({**self.net.state_dict(), **shown})

    def maps(self, images: Tensor) -> list[Tensor]:
        """Float ``[n, c, h, w]``; of what a model says of an image as a whole, h and w are 1."""
        if self.pooling == "mean":
            return super().maps(images)
        said = getattr(self.net(self.shown(images), return_dict=True), "pooler_output", None)
        if said is None:
            raise ValueError("it says nothing of an image as a whole; leave pooling out")
        return [self.projection(said.flatten(1))[:, :, None, None]]

    @torch.no_grad()
    def features(self, samples: Tensor) -> Tensor:
        """Float32 ``[n, c]`` of images ``[n, 1 or 3, size, size]`` as generators make them."""
        with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False):
            return torch.cat([self.maps(seen(chunk))[-1].mean((2, 3)) for chunk in samples.split(CHUNK)])
