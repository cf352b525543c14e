"""U-Net: an image into an image of the same size, with what each resolution saw handed across."""

from collections.abc import Mapping
from itertools import pairwise
from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from annotated_types import Ge, Interval
from torch import Tensor, nn

from gangen import noise
from gangen_conditional.spec import ImageFromSpec, input_image
from gangen_image import finish, initialize, normalization, resolutions

# How many layers of the decoder have dropout.
NOISY = 3


class Dropout(nn.Module):
    """Sets the ``share`` of activations, float ``[n, ...]``, to 0 and scales the others up, so that their mean stays.

    It is noise, in training and in evaluation alike, and drawn by ``gangen.noise``.
    """

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share

    def forward(self, x: Tensor) -> Tensor:
        kept = noise.uniform(*x.shape, device=x.device, dtype=torch.float32) >= self.share
        return x * kept / (1 - self.share)


class UNetGenerator(nn.Module):
    """Isola et al. (2017), section 3.2.1 and appendix 6.1.1: 4 x 4 convolutions that halve the input down to one pixel,
    and transposed ones back up, each of which also sees what the encoder made at its resolution; then tanh.

    The first layer has ``width`` channels, twice as many each further one up to ``max_width``. ``norm`` is that of all
    but the first layer, the innermost, where a single pixel is left, and the last. ``dropout`` is the share of the
    activations of the decoder's first three layers that are set to 0: the only noise, drawn in training and in sampling
    alike. Without it there is one image for each input.

    Raises:
        UsageError: a size other than a power of two from 8, or an input that is no image of the same size.
    """

    def __init__(
        self,
        spec: ImageFromSpec,
        *,
        width: Annotated[int, Ge(1)] = 64,
        max_width: Annotated[int, Ge(1)] = 512,
        norm: Literal["batch", "instance", "layer", "none"] = "instance",
        dropout: Annotated[float, Interval(ge=0, lt=1)] = 0.0,
    ) -> None:
        super().__init__()
        self.input = input_image(spec, "conditional/unet")
        halvings = len(resolutions(spec, "conditional/unet")) + 1
        widths = [min(max_width, width * 2**layer) for layer in range(halvings)]
        # A bias before a norm would be taken out by its mean.
        bias = norm == "none"
        self.down = nn.ModuleList([nn.Conv2d(self.input.channels, widths[0], 4, stride=2, padding=1)])
        for before, after in pairwise(widths[:-1]):
            convolution = nn.Conv2d(before, after, 4, stride=2, padding=1, bias=bias)
            self.down.append(nn.Sequential(convolution, normalization(norm, after)))
        self.down.append(nn.Conv2d(widths[-2], widths[-1], 4, stride=2, padding=1))
        self.up = nn.ModuleList()
        for before, after in pairwise(widths[::-1]):
            # All but the first see the encoder's side as well.
            seen = 2 * before if self.up else before
            convolution = nn.ConvTranspose2d(seen, after, 4, stride=2, padding=1, bias=bias)
            drop = Dropout(dropout) if dropout and len(self.up) < NOISY else nn.Identity()
            self.up.append(nn.Sequential(convolution, normalization(norm, after), drop))
        self.output = nn.ConvTranspose2d(2 * widths[0], spec.channels, 4, stride=2, padding=1)
        initialize(self)
        finish(self, spectral_norm=False)

    def forward(self, images: Tensor) -> Tensor:
        """Images float ``[n, channels, size, size]`` in [-1, 1] of inputs in [-1, 1], ``[n, channels, size, size]``."""
        first, *others = self.down
        across = [first(images)]
        for layer in others:
            across.append(layer(F.leaky_relu(across[-1], 0.2)))
        x = across.pop()
        for layer in self.up:
            x = torch.cat([layer(F.relu(x)), across.pop()], dim=1)
        return self.output(F.relu(x)).tanh()

    def sample(self, n: int, condition: Mapping[str, Tensor] | None = None) -> Tensor:
        """``n`` images, float in [-1, 1], of "input" of the condition, uint8 ``[n, channels, size, size]``."""
        return self(self.input.prepare(condition["input"]))
