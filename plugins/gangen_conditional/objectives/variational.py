"""What games with a variational autoencoder in them share (Kingma and Welling, 2014)."""

from torch import Tensor

from gangen import Players, Stats, UsageError
from gangen_conditional.networks.gaussian import Gaussian


def encoded(players: Players, images: Tensor) -> Gaussian:
    """The latents that images may come from, as the player ``encoder`` has it.

    Raises:
        UsageError: latents of the generator have another size.
    """
    if players.encoder.latent_dim != players.generator.prior.dim:
        raise UsageError(
            f"latents are of {players.generator.prior.dim} numbers in the generator and "
            f"{players.encoder.latent_dim} in the encoder: give both the same latent_dim"
        )
    return players.encoder(images)


def of_pixels(images: Tensor, again: Tensor, deviation: float) -> Tensor:
    """Minus the log-likelihood of pixels with ``deviation`` around ``again``, up to a constant: the mean over rows."""
    return (again - images).square().flatten(1).sum(1).mean() / (2 * deviation**2)


def bound(images: Tensor, again: Tensor, code: Gaussian, prior: float, deviation: float) -> tuple[Tensor, Stats]:
    """Minus the evidence lower bound of images of which ``again`` was decoded, the divergence ``prior`` times."""
    divergence, pixels = code.divergence().mean(), of_pixels(images, again, deviation)
    return prior * divergence + pixels, {"divergence": divergence, "pixels": pixels}
