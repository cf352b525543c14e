"""Moving pixels by index: shifts, windows and affine maps that can be differentiated as often as one likes.

torch's ``grid_sample`` has no second derivative, which gradient penalties of augmented images need.
"""

import torch
from torch import Tensor


def shift(images: Tensor, steps: Tensor, *, mirrored: bool = False) -> Tensor:
    """Images ``[B, C, H, W]`` moved by ``steps`` int64 ``[B, 2]`` pixels down and right.

    What comes in is 0, or with ``mirrored`` the image's own mirror image, its border pixels not repeated.
    """
    height, width = images.shape[2:]
    rows = torch.arange(height, device=images.device) - steps[:, :1]
    columns = torch.arange(width, device=images.device) - steps[:, 1:]
    inside = ((rows >= 0) & (rows < height))[:, :, None] & ((columns >= 0) & (columns < width))[:, None, :]
    rows, columns = _mirror(rows, height), _mirror(columns, width)
    moved = _gather(images, rows[:, :, None] * width + columns[:, None, :])
    return moved if mirrored else moved * inside[:, None]


def window(images: Tensor, first: Tensor, side: int) -> Tensor:
    """Where a square of ``side`` pixels with first pixel ``first`` int64 ``[B, 2]`` lies, bool ``[B, 1, H, W]``."""
    height, width = images.shape[2:]
    rows = torch.arange(height, device=images.device) - first[:, :1]
    columns = torch.arange(width, device=images.device) - first[:, 1:]
    inside = ((rows >= 0) & (rows < side))[:, :, None] & ((columns >= 0) & (columns < side))[:, None, :]
    return inside[:, None]


def resample(images: Tensor, matrix: Tensor, offset: Tensor) -> Tensor:
    """Images ``[B, C, S, S]`` whose value at (x, y) is that of the original at ``matrix @ (x, y) + offset``, bilinear.

    x to the right and y down run from -1 to 1 over the pixels' outer edges; ``matrix`` is float ``[B, 2, 2]``,
    ``offset`` float ``[B, 2]``. Beyond the borders the image is mirrored.
    """
    size = images.shape[-1]
    centers = (torch.arange(size, device=images.device, dtype=images.dtype) * 2 + 1) / size - 1
    grid = torch.stack([centers.expand(size, size), centers[:, None].expand(size, size)], dim=-1).reshape(-1, 2)
    source = ((grid @ matrix.mT + offset[:, None]) + 1) * size / 2 - 0.5
    corner = source.floor()
    right, down = (source - corner).reshape(-1, 1, size, size, 2).unbind(-1)
    column, row = corner.long().unbind(-1)

    def at(row: Tensor, column: Tensor) -> Tensor:
        index = _mirror(row, size) * size + _mirror(column, size)
        return _gather(images, index.reshape(-1, size, size))

    upper = torch.lerp(at(row, column), at(row, column + 1), right)
    lower = torch.lerp(at(row + 1, column), at(row + 1, column + 1), right)
    return torch.lerp(upper, lower, down)


def _gather(images: Tensor, index: Tensor) -> Tensor:
    """The pixels of each image at flat ``index`` int64 ``[B, H, W]``."""
    channels = images.shape[1]
    flat = index.flatten(1)[:, None].expand(-1, channels, -1)
    return images.flatten(2).gather(2, flat).reshape(-1, channels, *index.shape[1:])


def _mirror(index: Tensor, size: int) -> Tensor:
    """Any whole index as one of 0 to ``size`` - 1: 0 1 2 1 0 1 2 ... for 3."""
    period = max(2 * size - 2, 1)
    index = index % period
    return torch.minimum(index, period - index)
