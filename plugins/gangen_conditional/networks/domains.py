"""A discriminator of images of several kinds: which patches are real, and of which kind the image is."""

from typing import Any

from torch import Tensor, nn

from gangen import UsageError
from gangen_conditional.networks.patch import PatchDiscriminator
from gangen_image import ImageSpec


class DomainDiscriminator(PatchDiscriminator):
    """StarGAN's (Choi et al. 2018, section 3.1): patches as in conditional/patch, and a classifier of labels.

    Both see what the layers before the last make of the image; the classifier sees its mean over places.

    ``conditional`` shows it the input beside the image.

    Raises:
        UsageError: the data have no labels.
    """

    def __init__(self, spec: ImageSpec, *, conditional: bool = False, **options: Any) -> None:
        super().__init__(spec, conditional=conditional, **options)
        if not spec.labels:
            raise UsageError("conditional/domains tells labels apart, and these data have none")
        self.classifier = nn.Linear(self.scales[0][-1].in_channels, len(spec.labels))

    def classify(self, images: Tensor) -> Tensor:
        """From images float ``[n, channels, size, size]`` to logits of labels, float ``[n, labels]``."""
        return self.classifier(self.activations(images)[0][-2].mean((2, 3)))
