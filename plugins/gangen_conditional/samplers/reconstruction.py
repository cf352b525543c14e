"""What an encoder and a generator make of pictures."""

from torch import Tensor

from gangen import Batch, Players
from gangen_image import ImageSpec


class Reconstruction:
    """Pictures, "input" of the condition, by way of their codes: the mean of what the encoder gives, decoded."""

    networks = ("generator", "encoder")

    def __init__(self, players: Players) -> None:
        self.generator, self.encoder = players.generator, players.encoder

    def sample(self, n: int, condition: Batch) -> Tensor:
        """``n`` reconstructions, float in [-1, 1]."""
        return self.reconstruct(n, condition)

    def reconstruct(self, n: int, condition: Batch) -> Tensor:
        """``n`` reconstructions, float in [-1, 1]."""
        return self.generator(self.encoder(pixels_of(condition)).mean)


def pixels_of(condition: Batch) -> Tensor:
    """The pictures of a condition, float ``[n, channels, size, size]`` in [-1, 1]."""
    channels, size, _ = condition["input"].shape[1:]
    return ImageSpec(channels, size).prepare(condition["input"])
