"""CycleGAN: two translators, each the other's way back, learn from images without pairs."""

from typing import Annotated, Any

import torch
from annotated_types import Ge
from torch import Tensor, nn
from torch.nn.functional import l1_loss

from gangen import Batch, Clock, Part, Players, Stats, accuracy, at_least_float32, judged, scalar_from, updates
from gangen_conditional.objectives.image_pool import ImagePool
from gangen_conditional.spec import input_image
from gangen_image import ImageSpec

SIDES = ("image", "input")


class CycleGAN(nn.Module):
    """Zhu et al. (2017): ``to_image`` makes images of inputs, ``to_input`` inputs of images, and
    ``discriminator_image`` and ``discriminator_input`` tell what they make from real ones.

    The translators minimise, equation 3 with the term of section 5.2, for either side

        loss(D(G(x))) + ``cycle`` E|F(G(x)) - x| + ``identity`` E|G(y) - y|

    where G is the side's translator and F the way back; ``identity`` asks that what is of the right kind already be
    left alone. Discriminators see fakes of before as well, from a ``pool`` of so many (section 4). The paper's loss is
    least squares, with 10 and 5 as weights; here its squares are halved, and so are the weights.

    Batches are those of conditional/unpaired.

    ``loss`` is that of either side's game.
    """

    def __init__(
        self,
        spec: ImageSpec,
        *,
        loss: Annotated[Any, Part("losses")] = "least_squares",
        cycle: Annotated[float, Ge(0)] = 5.0,
        identity: Annotated[float, Ge(0)] = 2.5,
        pool: Annotated[int, Ge(0)] = 50,
    ) -> None:
        super().__init__()
        self.specs = {"image": spec, "input": input_image(spec, "conditional/cyclegan")}
        self.loss = loss
        self.cycle = cycle
        self.identity = identity
        self.pools = nn.ModuleDict({side: ImagePool(pool, it.shape) for side, it in self.specs.items()})

    @updates("to_image", "to_input")
    def translate(self, players: Players, batch: Batch, clock: Clock) -> tuple[Tensor, Stats]:
        """Fool both discriminators, come back to where one started, and leave alone what is right."""
        total: Tensor | float = 0.0
        stats: Stats = {}
        for side, other in (SIDES, SIDES[::-1]):
            real, start = self._real(batch, side), self._real(batch, other)
            forth, back = players[f"to_{side}"], players[f"to_{other}"]
            fake = forth(start)
            cycle = l1_loss(at_least_float32(back(fake)), start)
            total = total + self._fool(players, side, real, fake) + self.cycle * cycle
            stats[f"cycle_{other}"] = cycle.detach()
            if self.identity:
                total = total + self.identity * l1_loss(at_least_float32(forth(real)), real)
        return total, stats

    @updates("discriminator_image", "discriminator_input")
    def discriminate(self, players: Players, batch: Batch, clock: Clock) -> tuple[Tensor, Stats]:
        """Tell the real ones of either side from fakes, of now or from the pool."""
        total: Tensor | float = 0.0
        stats: Stats = {}
        for side, other in (SIDES, SIDES[::-1]):
            with torch.no_grad():
                fake = players[f"to_{side}"](self._real(batch, other))
            said_real = self._judge(players, side, self._real(batch, side))
            said_fake = self._judge(players, side, self.pools[side](fake))
            total = total + scalar_from(self.loss, self.loss.discriminator(said_real, said_fake))
            stats[f"accuracy_{side}"] = accuracy(self.loss, said_real, said_fake)
        return total, stats

    def _real(self, batch: Batch, side: str) -> Tensor:
        return self.specs[side].prepare(batch[side])

    def _judge(self, players: Players, side: str, images: Tensor) -> Tensor:
        return judged(players[f"discriminator_{side}"], images)

    def _fool(self, players: Players, side: str, real: Tensor, fake: Tensor) -> Tensor:
        said_real = None
        if self.loss.relativistic:
            with torch.no_grad():
                said_real = self._judge(players, side, real)
        return scalar_from(self.loss, self.loss.generator(said_real, self._judge(players, side, fake)))
