"""VAE-GAN: a variational autoencoder that measures its errors in the features of the discriminator it plays against."""

from typing import Annotated, Any, ClassVar

import torch
from annotated_types import Ge, Gt
from torch import Tensor

from gangen import AdversarialGame, Batch, Clock, Players, Stats, at_least_float32, updates
from gangen_conditional.networks.gaussian import Gaussian
from gangen_conditional.objectives.variational import bound, encoded
from gangen_image import ImageSpec


class VAEGAN(AdversarialGame):
    """Larsen et al. (2016), algorithm 1: the decoder of an autoencoder is the generator of a GAN.

    The prior term is ``KL(q(z|x) || N(0, 1))``, the likelihood term ``|D_l(x) - D_l(G(z))|^2 / 2``, D_l being
    ``features`` of the discriminator. Each player has a turn, and its part of these:

    - ``discriminate``: tell images from reconstructions and from images of fresh latents; never by the likelihood.
    - ``encode``: the encoder alone, by ``prior`` times the prior term and the likelihood term.
    - ``decode``: the generator alone, by ``gamma`` times the likelihood term and by fooling the discriminator, which
      the encoder has no part in.

    ``autoencode`` is the turn of a plain variational autoencoder (Kingma and Welling, 2014), to compare with: encoder
    and generator by the prior term and the likelihood of pixels, which have ``deviation`` around their reconstruction.
    """

    needs: ClassVar = {"discriminator": ("features",)}

    def __init__(
        self,
        spec: ImageSpec,
        *,
        gamma: Annotated[float, Ge(0)] = 0.01,
        prior: Annotated[float, Ge(0)] = 1.0,
        deviation: Annotated[float, Gt(0)] = 0.3,
        **options: Any,
    ) -> None:
        super().__init__(spec, **options)
        self.gamma = gamma
        self.prior = prior
        self.deviation = deviation

    @updates("discriminator")
    def discriminate(self, players: Players, batch: Batch, clock: Clock) -> tuple[Tensor, Stats]:
        """Tell images from both kinds of fakes, which weigh alike."""
        images = self.real(batch)
        with torch.no_grad():
            again, fresh = self.again(players, images)[0], self.fakes(players, batch, clock)
        by_again, stats = self.tell_apart(players, batch, images, again, clock)
        by_fresh, _ = self.tell_apart(players, batch, images, fresh, clock)
        return (by_again + by_fresh) / 2, stats

    @updates("encoder")
    def encode(self, players: Players, batch: Batch, clock: Clock) -> tuple[Tensor, Stats]:
        """Codes that are near the prior, and tell what the discriminator would see."""
        images = self.real(batch)
        again, code = self.again(players, images)
        divergence, unlike = code.divergence().mean(), self.unlikeness(players, batch, images, again)
        return self.prior * divergence + unlike, {"divergence": divergence, "features": unlike}

    @updates("generator")
    def decode(self, players: Players, batch: Batch, clock: Clock) -> tuple[Tensor, Stats]:
        """Reconstructions with the features of the images, that fool the discriminator as fresh images do."""
        images = self.real(batch)
        with torch.no_grad():
            latents = encoded(players, images).sample()
        again, fresh = players.generator(latents), self.fakes(players, batch, clock)
        fooled = (self.fool(players, batch, again, batch) + self.fool(players, batch, fresh, batch)) / 2
        return fooled + self.gamma * self.unlikeness(players, batch, images, again), {}

    @updates("encoder", "generator")
    def autoencode(self, players: Players, batch: Batch, clock: Clock) -> tuple[Tensor, Stats]:
        """The plain variational autoencoder."""
        images = self.real(batch)
        again, code = self.again(players, images)
        return bound(images, again, code, self.prior, self.deviation)

    def again(self, players: Players, images: Tensor) -> tuple[Tensor, Gaussian]:
        """Reconstructions by a draw of each code, float ``[B, channels, size, size]``, and the codes."""
        code = encoded(players, images)
        return players.generator(code.sample()), code

    def unlikeness(self, players: Players, batch: Batch, images: Tensor, again: Tensor) -> Tensor:
        """The likelihood term: half the squared distance of the discriminator's features, summed, mean over rows."""
        with torch.no_grad():
            wanted = players.discriminator.features(images, batch)
        off = at_least_float32(players.discriminator.features(again, batch)) - wanted
        return off.square().sum(1).mean() / 2
