"""What a discriminator sees of several rows at once: packed rows, and how much the rows of a group differ."""

import torch
from torch import Tensor, nn

from gangen import UsageError, at_least_float32


def pack(images: Tensor, pac: int) -> Tensor:
    """Float ``[n / pac, pac * channels, ...]`` from ``[n, channels, ...]``: rows that follow each other become one.

    PacGAN (Lin et al., 2018). Raises UsageError for rows that do not come in whole packs.
    """
    if pac == 1:
        return images
    if len(images) % pac:
        raise UsageError(f"pac {pac} needs batches of a multiple of {pac} rows on each process, got {len(images)}")
    return images.reshape(-1, pac * images.shape[1], *images.shape[2:])


class MinibatchStd(nn.Module):
    """Appends one channel: the mean standard deviation within a row's group (Karras et al., 2018, section 3).

    A group is ``group`` rows that follow each other. It never reaches over processes or micro-batches, which must
    therefore have whole groups each: many processes then compute what one does.
    """

    def __init__(self, group: int) -> None:
        super().__init__()
        self.group = group

    def forward(self, x: Tensor) -> Tensor:
        """Float ``[n, channels + 1, h, w]`` from ``[n, channels, h, w]``.

        Raises:
            UsageError: rows that do not come in whole groups.
        """
        n, _, height, width = x.shape
        if n % self.group:
            raise UsageError(
                f"minibatch_std {self.group} needs batches of a multiple of {self.group} rows on each process, got {n}"
            )
        # fp16 has no 1e-8, without which the slope at equal rows is infinite, and no variance above 65,504.
        groups = at_least_float32(x.reshape(n // self.group, self.group, -1))
        std = (groups.var(1, correction=0) + 1e-8).sqrt().mean(1).to(x.dtype)
        plane = std.repeat_interleave(self.group).reshape(n, 1, 1, 1).expand(n, 1, height, width)
        return torch.cat([x, plane], dim=1)
