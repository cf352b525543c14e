"""PatchGAN: a convolutional network that judges each patch of an image, at one scale or at several."""

from collections.abc import Mapping
from itertools import pairwise
from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from annotated_types import Ge
from torch import Tensor, nn

from gangen import UsageError
from gangen_conditional.spec import input_image
from gangen_image import ImageSpec, finish, initialize, normalization


class PatchDiscriminator(nn.Module):
    """Isola et al. (2017), section 3.2.2 and appendix 6.1.2: a logit for each patch of an image, which losses average.

    ``layers`` convolutions halve the image, one more and the last, of a single channel, do not; all are 4 x 4. A patch
    has 16 x 16 pixels with 1 layer, 34 x 34 with 2, the paper's 70 x 70 with 3. ``width`` is how many channels there
    are after the first, twice as many after each further one up to ``max_width``. ``norm`` is that of all but the first
    and the last: "batch" makes a row's logits depend on the others, which gradient penalties do not allow for.

    ``conditional`` shows it the input beside the image; without that it judges images alone. With ``scales`` as many
    such networks judge the image, and the image at half the resolution, a quarter, and so on (pix2pixHD, Wang et al.
    2018, section 3.2). ``spectral_norm`` divides weights by their largest singular value.

    Raises:
        UsageError: images that are too small; or it is conditional, and the input is no image of the same size.
    """

    def __init__(
        self,
        spec: ImageSpec,
        *,
        conditional: bool = True,
        width: Annotated[int, Ge(1)] = 64,
        max_width: Annotated[int, Ge(1)] = 512,
        layers: Annotated[int, Ge(1)] = 3,
        scales: Annotated[int, Ge(1)] = 1,
        norm: Literal["batch", "instance", "layer", "none"] = "instance",
        spectral_norm: bool = False,
    ) -> None:
        super().__init__()
        if not isinstance(spec, ImageSpec):
            raise UsageError("conditional/patch judges images, and these data are none")
        least = (3 * 2**layers - 1) * 2 ** (scales - 1) + 1
        if spec.size < least:
            raise UsageError(
                f"conditional/patch with {layers} layers and {scales} scales is for images of {least} pixels or more, "
                f"not {spec.size}; take fewer layers or scales"
            )
        self.input = input_image(spec, "conditional/patch", "conditional: false") if conditional else None
        seen = spec.channels + (self.input.channels if self.input else 0)
        widths = [seen, *(min(max_width, width * 2**layer) for layer in range(layers + 1))]
        self.scales = nn.ModuleList(_layers(widths, norm) for _ in range(scales))
        initialize(self)
        finish(self, spectral_norm)

    def forward(self, images: Tensor, condition: Mapping[str, Tensor] | None = None) -> Tensor:
        """Logits float ``[n, patches]`` for images float ``[n, channels, size, size]`` in [-1, 1].

        Those of a coarser scale are repeated where finer patches lie, so that in a mean each scale counts alike.
        """
        maps = [layers[-1] for layers in self.activations(images, condition)]
        finest = maps[0].shape[-2:]
        return torch.cat([F.interpolate(logits, size=finest).flatten(1) for logits in maps], dim=1)

    def activations(self, images: Tensor, condition: Mapping[str, Tensor] | None = None) -> list[list[Tensor]]:
        """What each layer says, float ``[n, channels, height, width]``, for each scale; logits are the last of them."""
        if self.input is not None:
            if not condition or "input" not in condition:
                raise UsageError(
                    "conditional/patch is to see the input, which this game does not show; give it conditional: false"
                )
            images = torch.cat([self.input.prepare(condition["input"]).to(images), images], dim=1)
        found: list[list[Tensor]] = []
        for layers in self.scales:
            found.append([])
            x = images
            for layer in layers:
                found[-1].append(x := layer(x))
            images = F.avg_pool2d(images, 3, stride=2, padding=1, count_include_pad=False)
        return found


def _layers(widths: list[int], norm: str) -> nn.ModuleList:
    """Of one scale: the convolutions, each with its norm and leaky ReLU, and the last alone."""
    # A bias before a norm would be taken out by its mean.
    steps = [nn.Sequential(nn.Conv2d(widths[0], widths[1], 4, stride=2, padding=1), nn.LeakyReLU(0.2))]
    for left, (before, after) in zip(range(len(widths) - 3, -1, -1), pairwise(widths[1:]), strict=True):
        convolution = nn.Conv2d(before, after, 4, stride=2 if left else 1, padding=1, bias=norm == "none")
        steps.append(nn.Sequential(convolution, normalization(norm, after), nn.LeakyReLU(0.2)))
    return nn.ModuleList([*steps, nn.Conv2d(widths[-1], 1, 4, padding=1)])
