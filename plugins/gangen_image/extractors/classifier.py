"""What image metrics see with: a small convolutional network that learns the data's own labels."""

from itertools import pairwise
from typing import Annotated

import torch
import torch.nn.functional as F
from annotated_types import Ge
from torch import Tensor, nn

from gangen import Data, Seed, UsageError, digest, seeded, training_rows
from gangen_image.networks.resampling import shift
from gangen_image.spec import ImageSpec

BATCH_SIZE = 100
LEARNING_RATE = 3e-3
SMALLEST = 4
# Images that are looked at in one go.
CHUNK = 500


class Classifier:
    """A network like LeNet (LeCun et al., 1998), fitted in ``steps`` batches of 100 training images.

    ``features`` are its ``hidden_dim`` hidden units. While it learns, images are moved at random by up to a sixteenth
    of their size. It is float32 at any precision of the run, and the same in every run with the same data, ``seed``
    and hardware. ``width`` is how many channels the first convolution has. Fitting takes no part in collectives, so one
    process of several may do it alone.
    """

    name = "classifier"

    def __init__(
        self,
        *,
        width: Annotated[int, Ge(1)] = 16,
        hidden_dim: Annotated[int, Ge(1)] = 128,
        steps: Annotated[int, Ge(1)] = 500,
        seed: Seed = 0,
    ) -> None:
        self.width = width
        self.hidden_dim = hidden_dim
        self.steps = steps
        self.seed = seed
        self.key = type(self), width, hidden_dim, steps, seed
        self._data: Data | None = None

    def check(self, data: Data) -> None:
        """Raises UsageError for data that are not labelled images."""
        spec = data.codec.spec
        if not isinstance(spec, ImageSpec) or not spec.labels:
            raise UsageError(
                "extractor image/classifier learns from labelled images, which these data are not; "
                "take the metrics that use it out of the recipe, or give them extractor: image/rotations, for images "
                "without labels, or image/identity"
            )

    def fit(self, data: Data, device: torch.device) -> None:
        """Learn the labels of ``data``, unless that is done already."""
        if self._data is data:
            return
        spec = data.codec.spec
        with (
            torch.enable_grad(),
            seeded(self.seed),  # on the CPU, where everything is drawn
            torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False),
        ):
            self._net = ConvNet(spec, self.width, self.hidden_dim).to(device).train()
            self._learn(data, device)
        self._net.eval().requires_grad_(False)
        self._data = data

    def _learn(self, data: Data, device: torch.device) -> None:
        """Adam on the cross-entropy, with a learning rate that falls to 0."""
        spec, rows, training = data.codec.spec, range(BATCH_SIZE), training_rows(data)
        optimizer = torch.optim.Adam(self._net.parameters(), fused=True)
        for step in range(self.steps):
            batch = training.batch(step, rows, BATCH_SIZE, seed=self.seed, device=device)
            # The labels of image/few_labels belong to images of their own.
            few = batch.get("labelled_image")
            images = seen(data.codec.samples_of(batch) if few is None else spec.prepare(few))
            moves = torch.randint(-(spec.size // 16), spec.size // 16 + 1, (BATCH_SIZE, 2)).to(device)
            loss = F.cross_entropy(self._net(shift(images, moves, mirrored=True)), batch["label"])
            optimizer.param_groups[0]["lr"] = LEARNING_RATE * (1 - step / self.steps)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    @property
    def digest(self) -> str:
        """SHA-256 of what was learned."""
        return digest(self._net.state_dict())

    @torch.no_grad()
    def features(self, samples: Tensor) -> Tensor:
        """Float32 ``[n, hidden_dim]`` of images ``[n, channels, size, size]`` as generators make them.

        They are looked at as a file would show them: clipped to [-1, 1], in 256 shades.
        """
        return torch.cat([self._net.features(seen(chunk)) for chunk in samples.split(CHUNK)])

    @torch.no_grad()
    def logits(self, samples: Tensor) -> Tensor:
        """Float32 ``[n, labels]`` of images as ``features`` takes them."""
        return self._net.head(self.features(samples))


class ConvNet(nn.Module):
    """Strided convolutions with batch norm down to 4 x 4 or less, a hidden layer and a linear one; for any size."""

    def __init__(self, spec: ImageSpec, width: int, hidden_dim: int) -> None:
        super().__init__()
        sides = [spec.size]
        while sides[-1] > SMALLEST:
            sides.append((sides[-1] + 1) // 2)
        channels = [spec.channels, *(width * 2 ** min(stage, 2) for stage in range(len(sides) - 1))]
        layers: list[nn.Module] = []
        for before, after in pairwise(channels):
            convolution = nn.Conv2d(before, after, 3, stride=2, padding=1, bias=False, dtype=torch.float32)
            layers += [convolution, nn.BatchNorm2d(after, dtype=torch.float32), nn.ReLU()]
        hidden = nn.Linear(channels[-1] * sides[-1] ** 2, hidden_dim, dtype=torch.float32)
        self.features = nn.Sequential(*layers, nn.Flatten(), hidden, nn.ReLU())
        self.head = nn.Linear(hidden_dim, len(spec.labels), dtype=torch.float32)
        self.to(memory_format=torch.channels_last)

    def forward(self, images: Tensor) -> Tensor:
        """Logits, float32 ``[n, labels]``, of images float32 ``[n, channels, size, size]``."""
        return self.head(self.features(images))


def as_bytes(samples: Tensor) -> Tensor:
    """Images in [-1, 1] as a file has them: uint8, clipped; nan is black."""
    return ((samples.float().clamp(-1, 1) + 1) * 127.5).nan_to_num().round().to(torch.uint8)


def seen(samples: Tensor) -> Tensor:
    """Images in [-1, 1] as a file would show them: float32, clipped, in 256 shades; nan is black."""
    return as_bytes(samples).float() / 127.5 - 1
