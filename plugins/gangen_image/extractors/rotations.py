"""What image metrics see with where there are no labels: a small network that learns which way up images are."""

from types import SimpleNamespace
from typing import Annotated

import torch
from annotated_types import Ge
from torch import Tensor

from gangen import Data, Seed, Split, UsageError, training_rows
from gangen_image.extractors.classifier import Classifier
from gangen_image.spec import ImageSpec

TURNS = ("0", "90", "180", "270")


class Rotations:
    """The features of image/classifier, whose labels are by how many degrees training images were turned: Gidaris et
    al. (2018), of images without labels. It wants pictures that have an upper side.

    ``features`` are its ``hidden_dim`` hidden units, fitted in ``steps`` batches of 100 images. ``width`` is how many
    channels the first convolution has. Everything is drawn by ``seed``.
    """

    name = "rotations"

    def __init__(
        self,
        *,
        width: Annotated[int, Ge(1)] = 16,
        hidden_dim: Annotated[int, Ge(1)] = 128,
        steps: Annotated[int, Ge(1)] = 500,
        seed: Seed = 0,
    ) -> None:
        self._classifier = Classifier(width=width, hidden_dim=hidden_dim, steps=steps, seed=seed)
        self.key = type(self), self._classifier.key
        self._data: Data | None = None

    def check(self, data: Data) -> None:
        """Raises UsageError for data that are no images."""
        if not isinstance(data.codec.spec, ImageSpec):
            raise UsageError("extractor image/rotations learns from images, which these data are not")

    def fit(self, data: Data, device: torch.device) -> None:
        """Learn which way up the images of ``data`` are, unless that is done already."""
        if self._data is data:
            return
        spec = data.codec.spec
        codec = SimpleNamespace(spec=ImageSpec(spec.channels, spec.size, TURNS), samples_of=data.codec.samples_of)
        self._classifier.fit(SimpleNamespace(codec=codec, train=_Turned(training_rows(data))), device)
        self._data = data

    @property
    def digest(self) -> str:
        """SHA-256 of what was learned."""
        return self._classifier.digest

    def features(self, samples: Tensor) -> Tensor:
        """Float32 ``[n, hidden_dim]`` of images ``[n, channels, size, size]`` as generators make them."""
        return self._classifier.features(samples)


class _Turned:
    """A split of images whose labels are quarter turns, one after the other."""

    def __init__(self, split: Split) -> None:
        self._split = split

    def batch(self, counter: int, rows: range, size: int, *, seed: int, device: torch.device) -> dict[str, Tensor]:
        images = self._split.batch(counter, rows, size, seed=seed, device=device)["image"]
        label = torch.arange(len(images), device=device) % len(TURNS)
        turned = [image.rot90(turn, (1, 2)) for image, turn in zip(images, label.tolist(), strict=True)]
        return {"image": torch.stack(turned), "label": label}
