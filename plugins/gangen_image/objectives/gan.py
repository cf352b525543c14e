"""Image GANs: the discriminator tells images from fakes, the generator fools it."""

from collections.abc import Callable, Sequence
from typing import Annotated, Any

import torch
from annotated_types import Ge
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from gangen import (
    Batch,
    Clock,
    Part,
    Players,
    RunError,
    Stats,
    UsageError,
    accuracy,
    all_mean,
    at_least_float32,
    updates,
)
from gangen_image.spec import ImageSpec, PointSpec


class ImageGAN(nn.Module):
    """Goodfellow et al. (2014) with the losses, penalties and tricks that were found since.

    ``penalties`` are added to the loss of every ``discriminate``. ``lazy_penalties`` are what the turn ``penalize``
    plays, as in ``penalize: {every: 16}`` (lazy regularisation, Karras et al. 2020, appendix B): weights
    count as they are, so a penalty that is played every 16th step wants 16 times its weight.

    ``augmentation`` is applied, with gradient, to whatever the discriminator sees, real or fake, in every turn.

    ``auxiliary`` is the weight of the classification loss of AC-GAN (Odena et al. 2017) in both turns; it needs a
    discriminator with ``classify``, which ``condition: classifier`` gives ours. ``feature_matching`` is the weight of
    Salimans et al.'s (2016) loss in the generator's turn; it needs ``features``.

    With ``reuse_fakes`` the fakes of ``discriminate`` serve ``generate`` in the same step, which saves a pass through
    the generator. That is another algorithm: both players learn from the same fakes. ``discriminate`` must come first;
    where it is played several times, ``generate``, which is played once, takes the fakes of the first.

    Raises:
        UsageError: augmentation of what is no image, or an auxiliary loss without labels.
    """

    def __init__(
        self,
        spec: ImageSpec | PointSpec,
        *,
        loss: Annotated[Any, Part("losses")] = "non_saturating",
        penalties: Sequence[Annotated[Any, Part("penalties")]] = (),
        lazy_penalties: Sequence[Annotated[Any, Part("penalties")]] = (),
        augmentation: Annotated[Any, Part("augmentations")] | None = None,
        auxiliary: Annotated[float, Ge(0)] = 0.0,
        feature_matching: Annotated[float, Ge(0)] = 0.0,
        reuse_fakes: bool = False,
    ) -> None:
        super().__init__()
        if augmentation is not None and not isinstance(spec, ImageSpec):
            raise UsageError("augmentation is for images, and these data are none; take it out of the objective")
        if auxiliary and not spec.labels:
            raise UsageError("auxiliary is a loss of labels, and these data have none; take it out of the objective")
        self.spec = spec
        self.loss = loss
        self.penalties = nn.ModuleList(penalties)
        self.lazy_penalties = nn.ModuleList(lazy_penalties)
        self.augmentation = augmentation
        self.auxiliary = auxiliary
        self.feature_matching = feature_matching
        self.reuse_fakes = reuse_fakes
        asked = {"classify": auxiliary, "features": feature_matching}
        self.needs = {"discriminator": [method for method, weight in asked.items() if weight]}
        self._kept: dict[int, tuple[Clock, Tensor, Batch]] = {}

    @updates("discriminator")
    def discriminate(self, players: Players, batch: Batch, clock: Clock) -> tuple[Tensor, Stats]:
        """Tell the batch's images from as many fakes, which carry the same labels."""
        images = self.spec.prepare(batch["image"])
        fakes = self._fakes(players, batch, clock)
        judge = self._judge(players, batch)
        real, fake = judge(images), judge(fakes)
        penalty, stats = self._penalties(self.penalties, judge, images, fakes, clock)
        loss = self.loss.discriminator(real, fake) + penalty
        stats["accuracy"] = accuracy(self.loss, real, fake)
        stats["real"], stats["fake"] = real.detach().mean(), fake.detach().mean()
        if self.augmentation is not None:
            stats |= self.augmentation.observe(real.detach())
        if self.auxiliary:
            wrong = self._misclassified(players, images, batch) + self._misclassified(players, fakes, batch)
            loss = loss + self.auxiliary * wrong
        return loss, stats

    @updates("discriminator")
    def penalize(self, players: Players, batch: Batch, clock: Clock) -> tuple[Tensor, Stats]:
        """The lazy penalties alone."""
        if not self.lazy_penalties:
            raise UsageError("turn 'penalize' has nothing to play: give the objective lazy_penalties")
        images = self.spec.prepare(batch["image"])
        with torch.no_grad():
            fakes = players.generator.sample(len(images), batch)
        return self._penalties(self.lazy_penalties, self._judge(players, batch), images, fakes, clock)

    @updates("generator")
    def generate(self, players: Players, batch: Batch, clock: Clock) -> tuple[Tensor, Stats]:
        """Fool the discriminator."""
        images = self.spec.prepare(batch["image"])
        if self.reuse_fakes:
            fakes, condition = self._take_kept(clock)
        else:
            fakes, condition = players.generator.sample(len(images), batch), batch
        fake = self._judge(players, condition)(fakes)
        real = None
        if self.loss.relativistic:
            with torch.no_grad():
                real = self._judge(players, batch)(images)
        loss = self.loss.generator(real, fake)
        if self.auxiliary:
            loss = loss + self.auxiliary * self._misclassified(players, fakes, condition)
        if self.feature_matching:
            with torch.no_grad():
                target = players.discriminator.features(self.augment(images), batch)
            found = players.discriminator.features(self.augment(fakes), condition)
            loss = loss + self.feature_matching * feature_distance(target, found)
        return loss, {}

    def augment(self, images: Tensor) -> Tensor:
        return images if self.augmentation is None else self.augmentation(images)

    def _judge(self, players: Players, condition: Batch) -> Callable[[Tensor], Tensor]:
        return lambda images: at_least_float32(players.discriminator(self.augment(images), condition))

    def _misclassified(self, players: Players, images: Tensor, condition: Batch) -> Tensor:
        return cross_entropy(at_least_float32(players.discriminator.classify(self.augment(images))), condition["label"])

    def _penalties(
        self, penalties: nn.ModuleList, judge: Callable, images: Tensor, fakes: Tensor, clock: Clock
    ) -> tuple[Tensor, Stats]:
        total, stats = images.new_zeros(()), {}
        for penalty in penalties:
            size = penalty(judge, images, fakes, clock)
            total = total + size
            stats[type(penalty).__name__] = size.detach()
        return total, stats

    def _fakes(self, players: Players, batch: Batch, clock: Clock) -> Tensor:
        """Fakes without a graph, for the discriminator; kept with theirs where the generator is to use them again."""
        if not self.reuse_fakes or clock.repeat:
            with torch.no_grad():
                return players.generator.sample(len(batch["image"]), batch)
        with players.unfrozen("generator"):
            fakes = players.generator.sample(len(batch["image"]), batch)
        self._kept[clock.micro] = clock, fakes, batch
        return fakes.detach()

    def _take_kept(self, clock: Clock) -> tuple[Tensor, Batch]:
        """The fakes of this step's first ``discriminate``, micro-batch by micro-batch."""
        made, fakes, condition = self._kept.pop(clock.micro, (None, None, None))
        if made != clock:
            raise RunError(
                "reuse_fakes: generate found no fakes that the generator of this moment made in this step\n"
                "play discriminate before generate in every step, and generate once; or turn reuse_fakes off"
            )
        return fakes, condition


def feature_distance(real: Tensor, fake: Tensor) -> Tensor:
    """Feature matching (Salimans et al. 2016, section 3.1): ``|E f(x) - E f(G(z))|^2`` over the batch of all processes.

    Micro-batches are matched one by one: ``accumulate`` is not the larger batch here.

    ``real`` and ``fake`` are features, float ``[B, F]``.
    """
    real, fake = (all_mean(at_least_float32(features).mean(0)) for features in (real, fake))
    return (real - fake).square().sum()
