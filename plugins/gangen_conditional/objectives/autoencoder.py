"""Autoencoders as latent diffusion wants them: sharpened by a game, whose gradient weighs as much as that of errors."""

from collections.abc import Callable, Iterable
from typing import Annotated, Any

import torch
from annotated_types import Ge
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, l1_loss, mse_loss

from gangen import (
    AdversarialGame,
    Batch,
    Clock,
    Part,
    Players,
    Stats,
    UsageError,
    all_mean,
    at_least_float32,
    from_code,
    updates,
)
from gangen_image import ImageSpec

# The largest weight of the adversarial term, and what keeps it finite: section 3.1 of the paper, and its code.
MOST, LEAST_NORM = 1e4, 1e-6


class Autoencoder(AdversarialGame):
    """VQGAN (Esser et al., 2021, equations 5 to 7), and the autoencoder of latent diffusion (Rombach et al., 2022).

    ``reconstruct`` teaches encoder and generator by |x - x'|, the mean over pixels, by ``perceptual`` times the mean
    squared difference of features, and by what codes cost, see conditional/grid. ``generate`` adds ``adversarial``
    times lambda times the loss of fooling the discriminator, lambda being the norm of the gradient of the first two at
    the generator's last layer over that of the last one: both of the batch of all processes, each micro-batch by
    itself. ``discriminate`` tells images from reconstructions. A discriminator from step N on is a phase of N steps of
    ``reconstruct`` alone before the one of ``discriminate`` and ``generate``.

    ``features`` are those of a player, as "discriminator", by its ``features(images, condition)``; or of a module, as
    "my_features:vgg": what my_features.py holds or imports, a file of ``code``, that is one, or the class of one, from
    images in [-1, 1] to a tensor or several. It stays as it is. Turn ``classify`` teaches a player "classifier" the
    labels of images, for features that know what images show.

    ``loss`` is played on logits of images and reconstructions.

    Raises:
        UsageError: no such module, or a perceptual distance without features.
    """

    def __init__(
        self,
        spec: ImageSpec,
        *,
        loss: Annotated[Any, Part("losses")] = "hinge",
        perceptual: Annotated[float, Ge(0)] = 1.0,
        features: str = "discriminator",
        adversarial: Annotated[float, Ge(0)] = 0.5,
        **options: Any,
    ) -> None:
        super().__init__(spec, loss=loss, **options)
        self.perceptual = perceptual
        self.features = features
        self.adversarial = adversarial
        # Beside the modules of this one: what a path names is no state of the game, and in no checkpoint.
        self._module = [of_code(features)] if perceptual and ":" in features else []
        self.needs = {} if self._module or not perceptual else {features: ("features",)}

    @updates("classifier")
    def classify(self, players: Players, batch: Batch, clock: Clock) -> tuple[Tensor, Stats]:
        """Learn labels, to see by what matters to them."""
        if "label" not in batch:
            raise UsageError("turn 'classify' learns labels, and these data have none; choose other features")
        return cross_entropy(at_least_float32(players.classifier.classify(self.real(batch))), batch["label"]), {}

    @updates("encoder", "generator")
    def reconstruct(self, players: Players, batch: Batch, clock: Clock) -> tuple[Tensor, Stats]:
        """Give back what there was."""
        _, error, cost, stats = self.encode_and_decode(players, batch)
        return error + cost, stats

    @updates("encoder", "generator")
    def generate(self, players: Players, batch: Batch, clock: Clock) -> tuple[Tensor, Stats]:
        """Give back what there was, and fool the discriminator."""
        again, error, cost, stats = self.encode_and_decode(players, batch)
        fooled = self.fool(players, batch, again, batch)
        weight = balancing_weight(error, fooled, players.generator.last)
        return error + cost + self.adversarial * weight * fooled, stats | {"weight": weight}

    def fakes(self, players: Players, batch: Batch, clock: Clock) -> Tensor:
        return players.generator(players.encoder(self.real(batch)).sample())

    def encode_and_decode(self, players: Players, batch: Batch) -> tuple[Tensor, Tensor, Tensor, Stats]:
        """Reconstructions, how far they are from the images, what their codes cost, and figures."""
        images = self.real(batch)
        code = players.encoder(images)
        cost, stats = players.encoder.learn(code, images)
        again = players.generator(code.sample())
        error = stats["l1"] = l1_loss(at_least_float32(again), images)
        if self.perceptual:
            stats["perceptual"] = self.distance(players, batch, images, again)
            error = error + self.perceptual * stats["perceptual"]
        return again, error, cost, stats

    def distance(self, players: Players, batch: Batch, images: Tensor, again: Tensor) -> Tensor:
        """The mean squared difference of features, with gradient to the reconstructions; of several, the sum."""
        see = self.seeing(players, batch)
        with torch.no_grad():
            wanted = see(images)
        return torch.stack([mse_loss(*pair) for pair in zip(see(again), wanted, strict=True)]).sum()

    def seeing(self, players: Players, batch: Batch) -> Callable[[Tensor], list[Tensor]]:
        """What maps images to features, one tensor or more."""
        if self._module:
            module = self._module[0].to(next(players.generator.parameters()))
            return lambda images: several(module(images))
        return lambda images: several(players[self.features].features(images, batch))


def balancing_weight(error: Tensor, fooled: Tensor, last: Tensor) -> Tensor:
    """|d error / d last| / |d fooled / d last|, equation 7, a scalar without a graph.

    Norms are those of the mean gradient of all processes: a mean of their norms would be another weight.
    """
    wanted, found = (all_mean(torch.autograd.grad(loss, last, retain_graph=True)[0]).norm() for loss in (error, fooled))
    return (wanted / (found + LEAST_NORM)).clamp(max=MOST).detach()


def several(features: Tensor | Iterable[Tensor]) -> list[Tensor]:
    found = [features] if isinstance(features, Tensor) else list(features)
    return [at_least_float32(it) for it in found]


def of_code(path: str) -> nn.Module:
    """The module "my_features:name" of the recipe's code, or a new one of the class there, in evaluation mode, frozen.

    Raises UsageError where there is neither: functions are not called, whatever a recipe names.
    """
    try:
        found = from_code(path)
    except (ValueError, AttributeError) as error:
        raise UsageError(f"features {path!r} cannot be found: {error}") from None
    if isinstance(found, type) and issubclass(found, nn.Module):
        found = found()
    if not isinstance(found, nn.Module):
        raise UsageError(f"features {path!r} is neither a torch module nor the class of one")
    return found.eval().requires_grad_(False)
