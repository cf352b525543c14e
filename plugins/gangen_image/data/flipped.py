"""Mirror images as augmentation, in batches that stay a function of (seed, counter)."""

import random

import torch
from torch import Tensor

from gangen import Split


class Flipped:
    """A split whose every image is mirrored left to right with probability one half, anew in each batch.

    ``plain`` is the split as it is.
    """

    def __init__(self, split: Split) -> None:
        self.plain = split

    def __len__(self) -> int:
        """Rows of the split. Raises TypeError where it has no length, as a stream has none."""
        return len(self.plain)

    def batch(
        self, counter: int, rows: range, size: int, *, seed: int, device: torch.device | str
    ) -> dict[str, Tensor]:
        """``rows`` of global batch ``counter``; the coins are tossed for all of it, so that processes agree."""
        batch = self.plain.batch(counter, rows, size, seed=seed, device=device)
        generator = torch.Generator().manual_seed(random.Random(f"flip/{seed}/{counter}").getrandbits(63))
        heads = torch.rand(size, generator=generator)[rows.start : rows.stop] < 0.5
        image = batch["image"]
        return batch | {"image": torch.where(heads.to(device)[:, None, None, None], image.flip(-1), image)}
