"""BiGAN and ALI: a generator and an encoder, each the other's inverse where a judge of pairs cannot tell them apart."""

from typing import Annotated, Any

import torch
from annotated_types import Ge
from torch import Tensor
from torch.nn.functional import mse_loss

from gangen import Batch, Clock, Part, Players, Stats, UsageError, accuracy, judged, noise, scalar_from, updates
from gangen_image import ImageSpec


class BiGAN:
    """Donahue et al. (2017), equation 2; adversarially learned inference, Dumoulin et al. (2017), equation 2.

    The discriminator tells pairs (image, its code by the encoder) from pairs (image by the generator, its latent). The
    two others exchange these labels together: at their optimum both pairs have one distribution, and the encoder
    inverts the generator.

    With ``stochastic`` a code is drawn from the Gaussian that the encoder gives, as in ALI; without it is its mean, as
    in BiGAN. ``loss`` is played on logits of pairs.

    ``reconstruction`` is the weight of the squared distance of images from what generator and encoder make of them, the
    mean over pixels, which settles what the game leaves open between pairs (ALICE, Li et al., 2017, section 3.1).
    ``completion`` is the weight of the same where the encoder sees images with a grey rectangle on them, and takes the
    mean for the code: so it has a guess at what is hidden, from which a completion can start.
    """

    def __init__(
        self,
        spec: ImageSpec,
        *,
        loss: Annotated[Any, Part("losses")] = "non_saturating",
        stochastic: bool = True,
        reconstruction: Annotated[float, Ge(0)] = 0.0,
        completion: Annotated[float, Ge(0)] = 0.0,
    ) -> None:
        self.spec = spec
        self.loss = loss
        self.stochastic = stochastic
        self.reconstruction = reconstruction
        self.completion = completion

    @updates("discriminator")
    def discriminate(self, players: Players, batch: Batch, clock: Clock) -> tuple[Tensor, Stats]:
        """Tell encoded images from decoded latents."""
        images = self.spec.prepare(batch["image"])
        with torch.no_grad():
            codes, latents = self.codes(players, images), players.generator.latent(len(images))
            fakes = players.generator(latents)
        real, fake = self.judge(players, images, codes), self.judge(players, fakes, latents)
        stats = {"accuracy": accuracy(self.loss, real, fake), "real": real.mean(), "fake": fake.mean()}
        return scalar_from(self.loss, self.loss.discriminator(real, fake)), stats

    @updates("generator", "encoder")
    def generate(self, players: Players, batch: Batch, clock: Clock) -> tuple[Tensor, Stats]:
        """Have the discriminator take each kind of pairs for the other."""
        images = self.spec.prepare(batch["image"])
        codes, latents = self.codes(players, images), players.generator.latent(len(images))
        real = self.judge(players, images, codes)
        fake = self.judge(players, players.generator(latents), latents)
        loss, stats = scalar_from(self.loss, self.loss.discriminator(fake, real)), {}
        if self.reconstruction:
            stats["reconstruction"] = mse_loss(players.generator(codes), images)
            loss = loss + self.reconstruction * stats["reconstruction"]
        if self.completion:
            guess = players.encoder(images.masked_fill(rectangles(images), 0)).mean
            stats["completion"] = mse_loss(players.generator(guess), images)
            loss = loss + self.completion * stats["completion"]
        return loss, stats

    def codes(self, players: Players, images: Tensor) -> Tensor:
        """The latents that the encoder takes images to come from, float ``[B, latent_dim]``."""
        expected = players.generator.prior.dim
        if players.encoder.latent_dim != expected or players.discriminator.latent_dim != expected:
            raise UsageError(
                f"latents are of {expected} numbers in the generator, {players.encoder.latent_dim} in the encoder and "
                f"{players.discriminator.latent_dim} in the discriminator: give all the same latent_dim"
            )
        code = players.encoder(images)
        return code.sample() if self.stochastic else code.mean

    def judge(self, players: Players, images: Tensor, latents: Tensor) -> Tensor:
        return judged(players.discriminator, images, latents)


def rectangles(images: Tensor) -> Tensor:
    """Where a rectangle lies on each image, half as wide and high as it or more, the centre anywhere.

    bool ``[n, 1, size, size]``.
    """
    n, size = len(images), images.shape[-1]
    centre, extent = noise.uniform(n, 4, device=images.device, dtype=images.dtype).reshape(n, 2, 2).unbind(1)
    place = (torch.arange(size, device=images.device) + 0.5) / size
    inside = (place - centre[..., None]).abs() < (0.5 + extent[..., None]) / 2
    return (inside[:, 0, :, None] & inside[:, 1, None, :])[:, None]
