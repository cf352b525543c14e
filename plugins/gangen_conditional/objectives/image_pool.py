"""A pool of images that a generator made before, for discriminators to see again."""

import torch
from torch import Tensor, nn

from gangen import all_gather, noise, rank


class ImagePool(nn.Module):
    """Shrivastava et al. (2017), section 2.3, as CycleGAN has it: up to ``size`` images, some of which come back.

    Each image of ``forward`` comes back until the pool is full. Then it does with probability one half, and otherwise
    takes the place of one in the pool, which comes back instead. The images of all processes go through one pool, which
    is the same on each of them, and part of a checkpoint. With 0 images there is no pool.
    """

    def __init__(self, size: int, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.register_buffer("images", torch.zeros(size, *shape))
        self.register_buffer("held", torch.zeros((), dtype=torch.int64))

    @torch.no_grad()
    def forward(self, images: Tensor) -> Tensor:
        """As many images, float ``[n, ...]``, without a graph, for those of this process."""
        if not len(self.images):
            return images.detach()
        chances = noise.uniform(len(images), 2, device=images.device)
        everyones = all_gather(images.detach()).flatten(0, 1)
        for row, (coin, place) in enumerate(all_gather(chances).flatten(0, 1).tolist()):
            held = int(self.held)
            if held < len(self.images):
                self.images[held] = everyones[row]
                self.held += 1
            elif coin < 0.5:
                chosen = int(place * held)
                former = self.images[chosen].clone()
                self.images[chosen] = everyones[row]
                everyones[row] = former
        return everyones[len(images) * rank() :][: len(images)]
