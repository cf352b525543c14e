"""What an encoder and a generator make of pictures."""

from torch import Tensor

from gangen import Batch, Players, UsageError
from gangen_image import ImageSpec


class Reconstruction:
    """Pictures, "input" of the condition, by way of their codes: the mean of what the encoder gives, decoded.

    Without a picture the generator draws one of its own, where it starts from latents that can be drawn.
    """

    networks = ("generator", "encoder")

    def __init__(self, players: Players) -> None:
        self.generator, self.encoder = players.generator, players.encoder

    def sample(self, n: int, condition: Batch) -> Tensor:
        """``n`` reconstructions, or fresh pictures where there is nothing to start from, float in [-1, 1]."""
        if "input" in condition:
            return self.reconstruct(n, condition)
        if not hasattr(self.generator, "sample"):
            raise UsageError("this model only gives back what it is given: name a picture")
        return self.generator.sample(n)

    def reconstruct(self, n: int, condition: Batch) -> Tensor:
        """``n`` reconstructions, float in [-1, 1]."""
        if "input" not in condition:
            raise UsageError("there is no picture to reconstruct: name one")
        return self.generator(self.encoder(pixels_of(condition)).mean)


def pixels_of(condition: Batch) -> Tensor:
    """The pictures of a condition, float ``[n, channels, size, size]`` in [-1, 1]."""
    channels, size, _ = condition["input"].shape[1:]
    return ImageSpec(channels, size).prepare(condition["input"])
