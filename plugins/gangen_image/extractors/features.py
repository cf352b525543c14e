"""What image metrics see with where a pretrained network is at hand."""

from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gangen import Data, digest
from gangen_image.extractors.classifier import seen
from gangen_image.pretrained import FeatureNetwork

# Images that are looked at in one go.
CHUNK = 50


class Features(FeatureNetwork):
    """The mean over all places of what a network makes of images, at the deepest of its layers; see its options.

    ``model`` is any vision model that ``transformers.AutoModel`` opens, and ``network`` any module of torch in its
    place. Images are seen as a file would show them, in float32. Figures carry the last part of the model's name, or of
    the network's; they say little of a run whose discriminator looks through the same one.
    """

    who = "extractor image/features"

    def __init__(self, *, model: str | None = None, network: str | None = None, **options: Any) -> None:
        super().__init__(model=model, network=network, **options)
        self.name = Path(str(model)).name if model is not None else str(network).rpartition(":")[2]
        self.key = type(self), model, network, str(sorted(options.items()))

    def check(self, data: Data) -> None:
        """Raises UsageError for data that are not grey or colour images, or that the network cannot take."""
        self.tried(data.codec.spec)

    def fit(self, data: Data, device: torch.device) -> None:
        """Move the network to ``device``; it learns nothing."""
        self.float().to(device)

    @cached_property
    def digest(self) -> str:
        """Of the network's weights, and of how images are shown to it."""
        shown = {f"{self.layers} {self.given_size}": torch.zeros(0), "mean": self.mean, "std": self.std}
        return digest({**self.net.state_dict(), **shown})

    @torch.no_grad()
    def features(self, samples: Tensor) -> Tensor:
        """Float32 ``[n, c]`` of images ``[n, 1 or 3, size, size]`` as generators make them."""
        with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False):
            return torch.cat([self.maps(seen(chunk))[-1].mean((2, 3)) for chunk in samples.split(CHUNK)])
