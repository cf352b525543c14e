"""Path length regularisation: a step in style changes an image by as much everywhere, whatever its direction."""

from typing import Any

import torch
from torch import Tensor, nn

from gangen import Batch, Clock, Schedule, all_mean, at_least_float32, noise


class PathLength(nn.Module):
    """StyleGAN2 (Karras et al., 2020), equation 4: ``weight * E[(|J' y| - a)^2]``.

    J is what an image changes by with its styles, y normal noise, divided by the root of the number of pixels: the
    length is the root of the mean over places of squared norms. ``a`` is the moving average of the lengths in the
    batches of all processes, one micro-batch at a time, that keeps 99 %; it starts at 0 and is part of a checkpoint.
    """

    average: Tensor
    differentiates_twice = True

    def __init__(self, weight: Schedule | float) -> None:
        super().__init__()
        self.weight = Schedule.of(weight)
        self.register_buffer("average", torch.zeros(()))

    def forward(self, generator: Any, n: int, condition: Batch, clock: Clock) -> tuple[Tensor, Tensor]:
        """The penalty and the mean length of ``n`` images, scalars.

        ``generator`` has ``styles(n, condition)``, float ``[n, places, dim]``, and makes images of these by
        ``synthesis``.
        """
        with torch.autocast(self.average.device.type, enabled=False):
            styles = at_least_float32(generator.styles(n, condition))
            images = generator.synthesis(styles)
            drawn = noise.normal(*images.shape, device=images.device, dtype=images.dtype)
            across = (images * drawn).sum() / images[0, 0].numel() ** 0.5
            (slope,) = torch.autograd.grad(across, styles, create_graph=True)
            lengths = slope.square().sum(2).mean(1).sqrt()
            mean = all_mean(lengths.detach().mean())
            self.average.lerp_(mean.to(self.average.dtype), 0.01)
            return self.weight(clock) * (lengths - self.average).square().mean(), mean
