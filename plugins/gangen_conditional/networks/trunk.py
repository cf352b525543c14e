"""What networks that look at an image begin with."""

from itertools import pairwise

from torch import nn

from gangen_image import ImageSpec, normalization, resolutions, widths

SMALLEST = 4


class Trunk(nn.Sequential):
    """Strided convolutions from images float ``[n, channels, size, size]`` down to 4 x 4, then flat: ``[n, features]``.

    ``width`` channels after the first, twice as many at each halving up to ``max_width``.
    """

    def __init__(self, spec: ImageSpec, network: str, width: int, max_width: int, norm: str) -> None:
        channels = [spec.channels, *widths(resolutions(spec, network)[:-1], width, max_width)[::-1]]
        layers: list[nn.Module] = []
        for before, after in pairwise(channels):
            # The first norm would take out how bright an image is.
            following = nn.Identity() if before == spec.channels else normalization(norm, after)
            layers += [nn.Conv2d(before, after, 4, stride=2, padding=1), following, nn.LeakyReLU(0.2)]
        super().__init__(*layers, nn.Flatten())
        self.channels = channels[-1]
        self.features = channels[-1] * SMALLEST**2
