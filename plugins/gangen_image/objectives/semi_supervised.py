"""Semi-supervised learning with a GAN: the discriminator is a classifier that also knows fakes."""

import math
from collections.abc import Callable
from typing import Annotated

import torch
from annotated_types import Ge
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from gangen import (
    AdversarialGame,
    Batch,
    Clock,
    Figure,
    MetricContext,
    NonSaturating,
    Players,
    Stats,
    UsageError,
    at_least_float32,
    evaluating,
    needs,
    updates,
)
from gangen_image.objectives.gan import feature_distance
from gangen_image.spec import ImageSpec


class SemiSupervised(AdversarialGame):
    """Salimans et al. (2016), section 5: K classes and a further one for fakes, whose logit is fixed at 0.

    With l the K logits of ``classify``, the probability that an image is real is Z / (Z + 1), Z = sum exp(l).
    ``discriminate`` minimises the cross-entropy of the labelled images, and ``unsupervised`` times
    ``-E[log D(x)] - E[log(1 - D(G(z)))]`` of all images and fakes. ``generate`` matches mean features (section 3.1).

    Batches are those of image/few_labels. ``supervise`` trains a further player, called ``supervised``, on the same
    labelled images alone: what image/accuracy then compares with.
    """

    penalize = None  # no turn: this game has no penalties
    log_ratio = False  # what is taught is `classify`

    def __init__(self, spec: ImageSpec, *, unsupervised: Annotated[float, Ge(0)] = 1.0) -> None:
        super().__init__(spec, loss=NonSaturating())
        self.unsupervised = unsupervised

    def judge(self, players: Players, condition: Batch) -> Callable[[Tensor], Tensor]:
        return lambda images: at_least_float32(players.discriminator.classify(images)).logsumexp(1)

    @updates("discriminator")
    @needs(discriminator="classify")
    def discriminate(self, players: Players, batch: Batch, clock: Clock) -> tuple[Tensor, Stats]:
        """Classify the labelled images, and tell all images from fakes."""
        fakes = self.fixed_fakes(players, batch, clock)
        supervised = self._cross_entropy(players.discriminator, batch)
        unsupervised, stats = self.tell_apart(players, batch, self.real(batch), fakes, clock)
        return supervised + self.unsupervised * unsupervised, stats | {"supervised": supervised.detach()}

    @updates("generator")
    @needs(discriminator="features")
    def generate(self, players: Players, batch: Batch, clock: Clock) -> tuple[Tensor, Stats]:
        """Match the mean of the discriminator's features."""
        fakes = self.fakes(players, batch, clock)
        with torch.no_grad():
            target = players.discriminator.features(self.real(batch))
        return feature_distance(target, players.discriminator.features(fakes)), {}

    @updates("supervised")
    @needs(supervised="classify")
    def supervise(self, players: Players, batch: Batch, clock: Clock) -> tuple[Tensor, Stats]:
        """Classify the labelled images, and nothing else."""
        return self._cross_entropy(players.supervised, batch), {}

    def _cross_entropy(self, classifier: nn.Module, batch: Batch) -> Tensor:
        if "labelled_image" not in batch:
            raise UsageError("objective image/semi_supervised needs data of image/few_labels")
        logits = classifier.classify(self.spec.prepare(batch["labelled_image"]))
        return cross_entropy(at_least_float32(logits), batch["label"])


class Accuracy:
    """Share of held-out images that a player with ``classify`` labels rightly.

    ``accuracy`` is the discriminator's, ``accuracy_NAME`` that of any further player, such as one that learned from the
    same labels without a GAN. Moving averages are judged where the recipe keeps them.

    ``batch_size`` is how many images are judged at once; it changes no figure.

    Raises:
        UsageError: held-out rows have no labels, or no player classifies.
    """

    def __init__(self, *, batch_size: Annotated[int, Ge(1)] = 500) -> None:
        self.batch_size = batch_size

    def check(self, context: MetricContext) -> None:
        if not self._judges(context) or "label" not in context.data.heldout.rows(range(1)):
            raise UsageError("metric image/accuracy needs a discriminator with classify() and held-out labels")

    def __call__(self, context: MetricContext) -> dict[str, Figure]:
        rows, prepare = context.data.heldout.rows(), context.data.codec.spec.prepare
        images, labels = rows["image"], rows["label"]
        figures = {}
        for name, net in self._judges(context).items():
            # The last rows are judged with the first ones where they make no whole group of what the network looks at.
            multiple = getattr(net, "batch_multiple", 1)
            whole, at_once = (math.ceil(count / multiple) * multiple for count in (len(images), self.batch_size))
            chunks = images[torch.arange(whole) % len(images)].split(at_once)
            with evaluating(net):
                guesses = torch.cat([net.classify(prepare(it.to(context.device))).argmax(1).cpu() for it in chunks])
            key = "accuracy" if name == "discriminator" else f"accuracy_{name}"
            figures[key] = Figure((guesses[: len(labels)] == labels).sum().item() / len(labels), good="high")
        return figures

    def protocol(self, context: MetricContext) -> dict[str, int]:
        """How many images were judged."""
        return {"held-out rows": len(context.data.heldout)}

    def _judges(self, context: MetricContext) -> dict[str, nn.Module]:
        players = context.players
        return {name: players.averaged(name) for name in players if hasattr(players[name], "classify")}
