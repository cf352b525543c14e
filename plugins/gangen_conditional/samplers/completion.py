"""What is missing of a picture, by the latents whose images agree with what is given."""

from pathlib import Path
from typing import Annotated

import numpy as np
import torch
from annotated_types import Ge, Gt
from PIL import Image
from torch import Tensor

from gangen import Batch, Players, UsageError
from gangen_conditional.samplers.reconstruction import Reconstruction, pixels_of
from gangen_image import open_image

Mask = str | Path | Image.Image
# Of starts around the encoder's guess.
SPREAD = 0.7


class Completion(Reconstruction):
    """Pictures with a hole are filled, given pixels kept; whole ones can be reconstructed.

    A latent z is looked for that makes ``|G(z) - x|^2 / (2 noise^2) + |z|^2 / 2`` small over the given pixels x, from
    ``starts`` points around what the encoder makes of the picture, grey where it is missing. Each takes ``steps`` steps
    of Adam with rate ``lr``. What fills the hole is the mean of the images that were found: what can be expected, where
    the given pixels leave open what is missing, with the smallest squared error. With one start it is a single image,
    sharper, and another one for each seed.

    The condition has "input", uint8 ``[n, channels, size, size]``, and of data with holes "mask", uint8
    ``[n, 1, size, size]``, 255 where the picture is missing.

    ``noise`` is the deviation of the given pixels from an image.
    """

    def __init__(
        self,
        players: Players,
        *,
        starts: Annotated[int, Ge(1)] = 16,
        steps: Annotated[int, Ge(0)] = 20,
        lr: Annotated[float, Gt(0)] = 0.1,
        noise: Annotated[float, Gt(0)] = 1.0,
    ) -> None:
        super().__init__(players)
        self.starts = starts
        self.steps = steps
        self.lr = lr
        self.noise = noise

    def sample(self, n: int, condition: Batch, *, mask: Mask | None = None) -> Tensor:
        """``n`` completed pictures, float in [-1, 1].

        ``mask`` is a picture as large as this model's, white where pixels are missing, for pictures that come without
        one. Raises UsageError for a mask that is none, of another size, or without a hole.
        """
        images = pixels_of(condition)
        if mask is not None:
            hole = read_mask(mask, images.shape[-1]).to(images.device).expand(n, 1, -1, -1)
        elif "mask" in condition:
            hole = condition["mask"] > 0
        else:
            side = images.shape[-1]
            raise UsageError(
                "nothing of this picture is missing: name a picture that is white where it is, "
                f"{side} x {side}, as setting 'mask'; or reconstruct the whole by verb 'reconstruct'"
            )
        return torch.where(hole, self.expected(images, ~hole), images)

    def expected(self, images: Tensor, given: Tensor) -> Tensor:
        """The mean image of all starts for pictures ``[n, channels, size, size]`` where ``given``, bool, says so."""
        images, given = (it.repeat_interleave(self.starts, 0) for it in (images, given))
        latents = self.encoder(images * given).mean + SPREAD * self.generator.latent(len(images))
        # Adam by hand: rows have nothing to do with each other.
        first, second = torch.zeros_like(latents), torch.zeros_like(latents)
        for step in range(1, self.steps + 1):
            with torch.enable_grad():
                latents.requires_grad_()
                (gradient,) = torch.autograd.grad(self.energy(latents, images, given).sum(), latents)
            first, second = first.lerp(gradient, 0.1), second.lerp(gradient.square(), 0.01)
            move = first / (1 - 0.9**step) / ((second / (1 - 0.99**step)).sqrt() + 1e-8)
            latents = latents.detach() - self.lr * move
        return self.generator(latents).unflatten(0, (-1, self.starts)).mean(1)

    def energy(self, latents: Tensor, images: Tensor, given: Tensor) -> Tensor:
        """What a latent costs, float ``[n]``: minus the logarithm of its density where the given pixels are known."""
        missed = ((self.generator(latents) - images) * given).square().flatten(1).sum(1)
        return missed / (2 * self.noise**2) + latents.square().sum(1) / 2


def read_mask(mask: Mask, size: int) -> Tensor:
    """Where a picture is missing, bool ``[1, 1, size, size]``: the white of a mask.

    Raises UsageError for what is no picture, one of another size, or without white.
    """
    name = "the mask" if isinstance(mask, Image.Image) else f"mask {mask}"
    try:
        picture = mask if isinstance(mask, Image.Image) else open_image({"bytes": None, "path": mask})
        grey = np.asarray(picture.convert("L"))
    except FileNotFoundError:
        raise UsageError(f"there is no {name}") from None
    except Exception as error:  # Pillow's decoders raise whatever a damaged file leads them to
        reason = "it is no picture" if isinstance(error, OSError) else str(error) or type(error).__name__
        raise UsageError(f"{name} cannot be read: {reason}") from None
    if grey.shape != (size, size):
        width, height = picture.size
        raise UsageError(f"{name} is {width} x {height}; this model's pictures are {size} x {size}, and so are masks")
    if not (grey >= 128).any():
        raise UsageError(f"{name} has no hole: make white what is to be filled, and black what is given")
    return torch.from_numpy(grey >= 128)[None, None]
