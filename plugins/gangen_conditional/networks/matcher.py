"""Words and the parts of images in one space, where what belongs together is alike."""

from typing import Annotated, Any, NamedTuple

import torch
from annotated_types import Ge
from torch import Tensor, nn

from gangen import Part
from gangen_conditional.networks.trunk import SMALLEST, Trunk
from gangen_conditional.networks.words import text_input
from gangen_conditional.spec import ImageFromSpec


class Views(NamedTuple):
    """Images, or texts: the vectors of ``parts``, float ``[n, m, dim]``, which count where ``mask``, bool ``[n, m]``,
    and one of the ``whole``, float ``[n, dim]``.
    """

    parts: Tensor
    mask: Tensor
    whole: Tensor


class Matcher(nn.Module):
    """The encoders of AttnGAN's matching model (Xu et al. 2018, section 3.2); both ends have ``dim`` numbers.

    ``encoder`` makes states of the words. Parts of images are places of 4x4, to which strided convolutions lead,
    ``width`` channels after the first, twice as many at each halving up to ``max_width``; all of them make the whole.

    Raises:
        UsageError: images are made from no text, or their size is no power of two from 8.
    """

    def __init__(
        self,
        spec: ImageFromSpec,
        *,
        encoder: Annotated[Any, Part("encoders")] = "conditional/words",
        dim: Annotated[int, Ge(1)] = 64,
        width: Annotated[int, Ge(1)] = 32,
        max_width: Annotated[int, Ge(1)] = 256,
    ) -> None:
        super().__init__()
        text_input(spec, "conditional/matcher")
        self.trunk = Trunk(spec, "conditional/matcher", width, max_width, "none")
        self.encoder = encoder
        self.word, self.sentence = nn.Linear(encoder.dim, dim), nn.Linear(encoder.dim, dim)
        self.place, self.image = nn.Conv2d(self.trunk.channels, dim, 1), nn.Linear(self.trunk.features, dim)

    def read(self, tokens: Tensor) -> Views:
        """Texts, int64 ``[n, length]``, by words."""
        memory = self.encoder(tokens)
        return Views(self.word(memory.states), memory.mask, self.sentence(memory.mean(memory.states)))

    def look(self, images: Tensor) -> Views:
        """Images, float ``[n, channels, size, size]`` in [-1, 1], by places."""
        seen = self.trunk(images)
        places = self.place(seen.unflatten(1, (-1, SMALLEST, SMALLEST))).flatten(2).transpose(1, 2)
        mask = torch.ones(places.shape[:2], dtype=torch.bool, device=places.device)
        return Views(places, mask, self.image(seen))
