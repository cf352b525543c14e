"""StarGAN: one translator carries images into any of several kinds, the labels of the data."""

from collections.abc import Callable
from typing import Annotated, Any

from annotated_types import Ge
from torch import Tensor
from torch.nn.functional import cross_entropy, l1_loss

from gangen import AdversarialGame, Batch, Clock, Players, Stats, UsageError, at_least_float32, judged, needs, updates
from gangen_conditional.spec import input_image
from gangen_image import ImageSpec


class StarGAN(AdversarialGame):
    """Choi et al. (2018), section 3.1: inputs x are made images of the labels c that the batch's real images have.

    The discriminator minimises, beside the adversarial loss, ``classification`` times the cross-entropy of the real
    images' labels (equation 2). The generator minimises, beside its own, ``classification`` times that of the labels
    which its images are to have (equation 3), and ``reconstruction`` E|G(G(x, c), c') - x|, c' being the label of x
    (equation 4). The paper's adversarial loss (equation 8) is ``loss: wasserstein``, ``penalties: [gradient_penalty]``,
    with five turns of the discriminator for one of the generator. ``identity`` E|G(x, c') - x|, which is CycleGAN's and
    not the paper's, makes for a quick start.

    Batches are those of conditional/domains; the generator is a translator that is ``labelled``.

    Raises:
        UsageError: the data are no images with images as input, or have no labels.
    """

    def __init__(
        self,
        spec: ImageSpec,
        *,
        classification: Annotated[float, Ge(0)] = 1.0,
        reconstruction: Annotated[float, Ge(0)] = 10.0,
        identity: Annotated[float, Ge(0)] = 0.0,
        **options: Any,
    ) -> None:
        super().__init__(spec, **options)
        self.input = input_image(spec, "conditional/stargan")
        if not spec.labels:
            raise UsageError("conditional/stargan carries images from label to label, and these data have none")
        self.classification = classification
        self.reconstruction = reconstruction
        self.identity = identity

    def judge(self, players: Players, condition: Batch) -> Callable[[Tensor], Tensor]:
        return lambda images: judged(players.discriminator, images)

    @updates("discriminator")
    @needs(discriminator="classify")
    def discriminate(self, players: Players, batch: Batch, clock: Clock) -> tuple[Tensor, Stats]:
        """Tell real images from fakes, and the labels of real images from each other."""
        loss, stats = super().discriminate(players, batch, clock)
        wrong = self._misclassified(players, self.real(batch), batch)
        return loss + self.classification * wrong, stats | {"misclassified": wrong.detach()}

    @updates("generator")
    @needs(discriminator="classify")
    def generate(self, players: Players, batch: Batch, clock: Clock) -> tuple[Tensor, Stats]:
        """Fool the discriminator, be of the right label, and be able to come back."""
        fakes = self.fakes(players, batch, clock)
        wrong = self._misclassified(players, fakes, batch)
        back = at_least_float32(players.generator(fakes, batch["input_label"]))
        start = self.input.prepare(batch["input"])
        cycle = l1_loss(back, start)
        loss = self.fool(players, batch, fakes, batch) + self.classification * wrong + self.reconstruction * cycle
        if self.identity:
            same = at_least_float32(players.generator(start, batch["input_label"]))
            loss = loss + self.identity * l1_loss(same, start)
        return loss, {"misclassified": wrong.detach(), "cycle": cycle.detach()}

    def _misclassified(self, players: Players, images: Tensor, batch: Batch) -> Tensor:
        return cross_entropy(at_least_float32(players.discriminator.classify(images)), batch["label"])
