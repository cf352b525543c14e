"""Image GANs: the discriminator tells images from fakes, the generator fools it."""

from collections.abc import Callable, Collection, Sequence
from typing import Annotated, Any

import torch
from annotated_types import Ge, Gt
from torch import Tensor
from torch.nn.functional import cross_entropy

from gangen import (
    AdversarialGame,
    Batch,
    Clock,
    Part,
    Players,
    RunError,
    Schedule,
    Stats,
    UsageError,
    all_mean,
    at_least_float32,
    needs,
    updates,
)
from gangen_image.networks.normalization import BatchNorm
from gangen_image.objectives.orthogonal import orthogonality
from gangen_image.objectives.path_length import PathLength
from gangen_image.spec import ImageSpec, PointSpec


class ImageGAN(AdversarialGame):
    """``gangen/adversarial`` with its options, and the tricks that were found for images since.

    ``augmentation`` is applied, with gradient, to whatever the discriminator sees, real or fake, in every turn.

    ``auxiliary`` is the weight of the classification loss of AC-GAN (Odena et al. 2017) in both turns; it needs a
    discriminator with ``classify``, which ``condition: classifier`` gives ours. ``feature_matching`` is the weight of
    Salimans et al.'s (2016) loss in the generator's turn; it needs ``features``.

    With ``reuse_fakes`` the fakes of ``discriminate`` serve ``generate`` in the same step, which saves a pass through
    the generator. That is another algorithm: both players learn from the same fakes. ``discriminate`` must come first;
    where it is played several times, ``generate``, which is played once, takes the fakes of the first.

    ``san`` makes it a slicing adversarial network (Takida et al., 2024): of the discriminator's last layer only the
    direction counts, without bias, and it is taught to part the means of real and fake features, whatever the loss. It
    is for discriminators with ``directed``; what these say by themselves then has another scale than in the game.

    ``orthogonal`` is the weight of BigGAN's regularisation of its generator, in each ``generate``, see orthogonality:
    theirs is 1e-4. The turn ``settle`` makes standing statistics: the batch norms of the generator that is sampled from
    take the mean over all batches of a last phase, as ``{steps: 100, turns: {settle: 1}}``, in which nobody learns.

    ``path_length`` is the weight of StyleGAN2's regularisation of its generator, see PathLength, which the turn
    ``regularize`` plays; the weight counts as it is: for one of 2 and ``regularize: {every: 4}`` it is 8.

    Raises:
        UsageError: augmentation of what is no image, or an auxiliary loss without labels.
    """

    def __init__(
        self,
        spec: ImageSpec | PointSpec,
        *,
        augmentation: Annotated[Any, Part("augmentations")] | None = None,
        auxiliary: Annotated[float, Ge(0)] = 0.0,
        feature_matching: Annotated[float, Ge(0)] = 0.0,
        reuse_fakes: bool = False,
        san: bool = False,
        orthogonal: Annotated[float, Ge(0)] = 0.0,
        path_length: Annotated[Schedule, Gt(0)] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(spec, **options)
        if augmentation is not None and not isinstance(spec, ImageSpec):
            raise UsageError("augmentation is for images, and these data are none; take it out of the objective")
        if auxiliary and not spec.labels:
            raise UsageError("auxiliary is a loss of labels, and these data have none; take it out of the objective")
        self.augmentation = augmentation
        self.auxiliary = auxiliary
        self.feature_matching = feature_matching
        self.reuse_fakes = reuse_fakes
        self.orthogonal = orthogonal
        self.path_length = None if path_length is None else PathLength(path_length)
        self.san = san
        asked = {"classify": auxiliary, "features": feature_matching, "directed": san}
        self.needs = {"discriminator": [method for method, weight in asked.items() if weight]}
        # What fixed features of real rows and of fakes have along the direction, between two lines of a turn.
        self._along: Sequence[Tensor] = ()
        self._kept: dict[int, tuple[Clock, Tensor, Batch]] = {}

    @updates("discriminator")
    def discriminate(self, players: Players, batch: Batch, clock: Clock) -> tuple[Tensor, Stats]:
        """Tell the batch's images from as many fakes, which carry the same labels."""
        if self.augmentation is not None:
            self.augmentation.begin(clock)
        images, fakes = self.real(batch), self.fixed_fakes(players, batch, clock)
        misclassified = torch.zeros((), device=images.device)
        if self.auxiliary:  # before logits may change the augmentation
            misclassified = self._misclassified(players, images, batch) + self._misclassified(players, fakes, batch)
        loss, stats = self.tell_apart(players, batch, images, fakes, clock)
        if self.san:
            real, fake = self._along
            loss, self._along = loss + fake.mean() - real.mean(), ()
        return loss + self.auxiliary * misclassified, stats

    @updates("generator")
    def generate(self, players: Players, batch: Batch, clock: Clock) -> tuple[Tensor, Stats]:
        """Fool the discriminator."""
        if self.reuse_fakes:
            fakes, condition = self._take_kept(clock)
        else:
            fakes, condition = self.fakes(players, batch, clock), batch
        loss = self.fool(players, batch, fakes, condition)
        if self.auxiliary:
            loss = loss + self.auxiliary * self._misclassified(players, fakes, condition)
        if self.feature_matching:
            with torch.no_grad():
                target = players.discriminator.features(self.augment(self.real(batch)), batch)
            found = players.discriminator.features(self.augment(fakes), condition)
            loss = loss + self.feature_matching * feature_distance(target, found)
        if self.orthogonal:
            loss = loss + self.orthogonal * orthogonality(players.generator)
        return loss, {}

    @updates("generator")
    @needs(generator=("styles", "synthesis"))
    def regularize(self, players: Players, batch: Batch, clock: Clock) -> tuple[Tensor, Stats]:
        """Make paths through the space of styles as long everywhere."""
        loss, length = self.path_length(players.generator, len(batch["image"]), batch, clock)
        return loss, {"length": length}

    @updates()
    def settle(self, players: Players, batch: Batch, clock: Clock) -> tuple[None, Stats]:
        """Take the mean of statistics of the phase's batches into the batch norms of the averaged generator."""
        net = players.averaged("generator")
        norms = [module for module in net.modules() if isinstance(module, BatchNorm)]
        modes, momenta = [norm.training for norm in norms], [norm.momentum for norm in norms]
        for norm in norms:
            norm.train()
            norm.momentum = 1 / (clock.step * clock.accumulate + clock.micro + 1)  # each micro-batch counts
        with torch.no_grad():
            net.sample(len(batch["image"]), batch)
        for norm, mode, momentum in zip(norms, modes, momenta, strict=True):
            norm.train(mode)
            norm.momentum = momentum
        return None, {}

    def check(self, players: Players, turns: Collection[str]) -> None:
        """See AdversarialGame. Raises UsageError for a recipe that plays ``regularize`` without ``path_length``, or
        ``generate`` with a path length that it never plays.
        """
        super().check(players, turns)
        if "regularize" in turns and self.path_length is None:
            raise UsageError("turn 'regularize' has nothing to play: give the objective path_length, as in 8")
        if self.path_length is not None and "generate" in turns and "regularize" not in turns:
            raise UsageError("nothing plays path_length: give a phase its turn, as in regularize: {every: 4}")

    def augment(self, images: Tensor) -> Tensor:
        return images if self.augmentation is None else self.augmentation(images)

    def judge(self, players: Players, condition: Batch) -> Callable[[Tensor], Tensor]:
        if self.san:
            return lambda images: self._directed(players, condition, images)[0]
        judge = super().judge(players, condition)
        return lambda images: judge(self.augment(images))

    def verdicts(self, players: Players, batch: Batch, real: Tensor, fake: Tensor) -> tuple[Tensor, ...]:
        if not self.san:
            return super().verdicts(players, batch, real, fake)
        said, self._along = zip(*(self._directed(players, batch, rows) for rows in (real, fake)), strict=True)
        return said

    def _directed(self, players: Players, condition: Batch, images: Tensor) -> tuple[Tensor, Tensor]:
        fixed, along = players.discriminator.directed(self.augment(images), condition)
        return at_least_float32(fixed), at_least_float32(along)

    @property
    def log_ratio(self) -> bool:
        """See AdversarialGame: with ``san`` the discriminator says logits of another scale by itself."""
        return super().log_ratio and not self.san

    def figures(self, real: Tensor, fake: Tensor) -> Stats:
        figures = super().figures(real, fake)
        return figures if self.augmentation is None else figures | self.augmentation.observe(real.detach())

    def fixed_fakes(self, players: Players, batch: Batch, clock: Clock) -> Tensor:
        """Fakes without a graph; kept with theirs where the generator is to use them again."""
        if not self.reuse_fakes or clock.repeat:
            return super().fixed_fakes(players, batch, clock)
        with players.unfrozen("generator"):
            fakes = self.fakes(players, batch, clock)
        self._kept[clock.micro] = clock, fakes, batch
        return fakes.detach()

    def _misclassified(self, players: Players, images: Tensor, condition: Batch) -> Tensor:
        return cross_entropy(at_least_float32(players.discriminator.classify(self.augment(images))), condition["label"])

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
