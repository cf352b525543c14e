"""Inputs that are derived from pictures: edges, grey, low resolution, half of a picture, or the picture itself."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from gangen_image import ImageCodec, ImageSpec, to_pixels

# Rec. 601, as Pillow makes pictures grey.
LUMA = (0.299, 0.587, 0.114)
# Of the steepest edge that a picture can have.
STEEP = 0.25
LOW = 4


def grey(images: Tensor) -> Tensor:
    """uint8 ``[n, 1, size, size]`` of pictures uint8 ``[n, channels, size, size]``."""
    if images.shape[1] == 1:
        return images
    weights = torch.tensor(LUMA, dtype=torch.float32).reshape(1, 3, 1, 1)
    return (images.float() * weights).sum(1, keepdim=True).round().to(torch.uint8)


def edges(images: Tensor) -> Tensor:
    """White where a channel changes by a quarter of the most or more (Sobel), uint8 ``[n, 1, size, size]``."""
    across = torch.tensor([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]], dtype=torch.float32)
    kernels = torch.stack([across, across.T]).unsqueeze(1) / (4 * 255)
    padded = F.pad(images.float(), (1, 1, 1, 1), mode="replicate")
    slope = F.conv2d(padded.flatten(0, 1).unsqueeze(1), kernels).square().sum(1).sqrt()
    return ((slope.unflatten(0, images.shape[:2]).amax(1, keepdim=True) >= STEEP) * 255).to(torch.uint8)


def low_resolution(images: Tensor) -> Tensor:
    """Of a quarter of the resolution, each pixel the mean of 4 x 4, enlarged to the size of before as a small picture
    that is given as a prompt would be; uint8 as the pictures.
    """
    channels, size = images.shape[1], images.shape[-1]
    small = ImageCodec(ImageSpec(channels, size // LOW)).decode(F.avg_pool2d(images.float(), LOW).round().byte())
    return torch.stack([to_pixels(picture, channels, size, "crop") for picture in small])


def inverted(images: Tensor) -> Tensor:
    """Black for white, uint8 as the pictures."""
    return 255 - images


def mask_halves(images: Tensor) -> dict[str, Tensor]:
    """Pictures of which a half is missing: in turn the lower, upper, left and right.

    "input", uint8 as the pictures, is grey there; "mask", uint8 ``[n, 1, size, size]``, is 255 there and else 0.
    """
    n, _, size, _ = images.shape
    mask, half = torch.zeros(n, 1, size, size, dtype=torch.uint8), size // 2
    mask[0::4, :, half:] = 255
    mask[1::4, :, :half] = 255
    mask[2::4, :, :, :half] = 255
    mask[3::4, :, :, half:] = 255
    return {"input": images.masked_fill(mask > 0, 128), "mask": mask}


def same(images: Tensor) -> Tensor:
    """The pictures themselves, for what is to give back what it was given."""
    return images


DERIVED: dict[str, Callable[[Tensor], Tensor]] = {
    "edges": edges,
    "grey": grey,
    "inverted": inverted,
    "low_resolution": low_resolution,
    "same": same,
}
