"""Images from images, learned from pairs."""

from typing import Annotated

import torch
from annotated_types import Ge
from torch import Tensor
from torch.nn.functional import l1_loss

from gangen import AdversarialGame, Batch, Clock, Players, Stats, at_least_float32, updates
from gangen_conditional.spec import ImageFromSpec


class Pix2Pix(AdversarialGame):
    """Isola et al. (2017), equation 4: fool a discriminator that sees the input, and stay near the truth.

    ``generate`` minimises the adversarial loss plus ``l1`` times ``E |y - G(x)|``, the mean over pixels and channels of
    images in [-1, 1]. ``feature_matching`` is the weight of pix2pixHD's loss (Wang et al. 2018, equation 3): the same
    distance in every layer of the discriminator, summed over layers and averaged over scales; it needs
    ``activations``. ``regress`` minimises the L1 distance alone, the paper's control; it may also come first, as a
    phase of its own. Loss and penalties are those of ``gangen/adversarial``.
    """

    def __init__(
        self,
        spec: ImageFromSpec,
        *,
        l1: Annotated[float, Ge(0)] = 100.0,
        feature_matching: Annotated[float, Ge(0)] = 0.0,
        **options,
    ) -> None:
        super().__init__(spec, **options)
        self.l1 = l1
        self.feature_matching = feature_matching
        self.needs = {"discriminator": ["activations"] if feature_matching else []}

    @updates("generator")
    def generate(self, players: Players, batch: Batch, clock: Clock) -> tuple[Tensor, Stats]:
        """Fool the discriminator, near the truth."""
        fakes = self.fakes(players, batch, clock)
        distance = self._distance(batch, fakes)
        loss = self.fool(players, batch, fakes, batch) + self.l1 * distance
        if self.feature_matching:
            loss = loss + self.feature_matching * self._feature_distance(players, batch, fakes)
        return loss, {"l1": distance.detach()}

    @updates("generator")
    def regress(self, players: Players, batch: Batch, clock: Clock) -> tuple[Tensor, Stats]:
        """Come near the truth, with no discriminator."""
        distance = self._distance(batch, self.fakes(players, batch, clock))
        return distance, {"l1": distance.detach()}

    def _distance(self, batch: Batch, fakes: Tensor) -> Tensor:
        return l1_loss(at_least_float32(fakes), at_least_float32(self.real(batch)))

    def _feature_distance(self, players: Players, batch: Batch, fakes: Tensor) -> Tensor:
        with torch.no_grad():
            real = players.discriminator.activations(self.real(batch), batch)
        fake = players.discriminator.activations(fakes, batch)
        # The last of a scale's are logits.
        distances = [
            l1_loss(at_least_float32(found), at_least_float32(target))
            for scale in zip(fake, real, strict=True)
            for found, target in list(zip(*scale, strict=True))[:-1]
        ]
        return torch.stack(distances).sum() / len(real)
