"""Labels in networks: gain and shift after each norm of a generator, and what a discriminator makes of them."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from annotated_types import Ge
from torch import Tensor, nn

from gangen import UsageError, label_of
from gangen_image.networks.minibatch import MinibatchStd, pack
from gangen_image.networks.normalization import normalization
from gangen_image.spec import ImageSpec, PointSpec

Condition = Mapping[str, Tensor]


def chosen(condition: str | None, default: str, labels: tuple[str, ...]) -> str:
    """What becomes of labels: ``condition``, or where it is None ``default`` for labelled data and "none" for others.

    Raises UsageError for a condition that wants labels where the data have none.
    """
    if condition is None:
        return default if labels else "none"
    if condition != "none" and not labels:
        raise UsageError(
            f"condition {condition!r} is for labelled data, and these have no labels; "
            "tell the data source where they are, or leave condition out"
        )
    return condition


class ConditionalNorm(nn.Module):
    """A norm whose gain and shift belong to the label: y = gain[label] * norm(x) + shift[label].

    With batch norm this is conditional batch norm (Dumoulin et al., 2017; de Vries et al., 2017), with instance norm
    AdaIN (Huang and Belongie, 2017), with none FiLM (Perez et al., 2018). With 0 ``classes`` it is the plain norm.
    """

    def __init__(self, norm: str, channels: int, classes: int) -> None:
        super().__init__()
        self.norm = normalization(norm, channels, affine=not classes)
        self.gain = nn.Embedding(classes, channels) if classes else None
        self.shift = nn.Embedding(classes, channels) if classes else None
        if classes:
            nn.init.ones_(self.gain.weight)
            nn.init.zeros_(self.shift.weight)

    def forward(self, x: Tensor, label: Tensor | None) -> Tensor:
        """float ``[n, channels, ...]`` of the same shape, for labels int64 ``[n]``."""
        x = self.norm(x)
        if self.gain is None:
            return x
        shape = (*x.shape[:2], *[1] * (x.dim() - 2))
        return self.gain(label).reshape(shape) * x + self.shift(label).reshape(shape)


class ModulatedNorm(nn.Module):
    """A norm whose gain and shift are linear in a code: y = (1 + G c) * norm(x) + S c (BigGAN, Brock et al., 2019)."""

    def __init__(self, norm: str, channels: int, dim: int) -> None:
        super().__init__()
        self.norm = normalization(norm, channels, affine=False)
        self.gain = nn.Linear(dim, channels, bias=False)
        self.shift = nn.Linear(dim, channels, bias=False)

    def forward(self, x: Tensor, code: Tensor) -> Tensor:
        """Float ``[n, channels, h, w]`` of the same shape, for codes float ``[n, dim]``."""
        gain, shift = (it(code)[:, :, None, None] for it in (self.gain, self.shift))
        return (1 + gain) * self.norm(x) + shift


class Head(nn.Module):
    """From features to logits: a linear layer, and what ``condition`` adds to it.

    "projection": the inner product of features and an embedding of the label (Miyato and Koyama, 2018, equation 3);
    the labels of packed rows add up. With ``alone`` there is no term beside it: the logit is the inner product of the
    embedding and of as many outputs of the linear layer (StyleGAN2-ADA, R3GAN). "classifier": a second linear layer for
    classes (AC-GAN, Odena et al., 2017).
    """

    def __init__(
        self, features: int, condition: str, classes: int, pac: int, *, bias: bool = True, alone: bool = False
    ) -> None:
        super().__init__()
        self.classes = classes
        self.pac = pac
        self.alone = alone and condition == "projection"
        self.output = nn.Linear(features, features if self.alone else 1, bias)
        self.projection: nn.Module | None = None
        if condition == "projection":
            self.projection = nn.Linear(classes, features, bias=False)
        self.classifier = nn.Linear(features, classes * pac) if condition == "classifier" else None
        if self.projection is not None:
            # Features of order 1 then add a term of order 1.
            nn.init.normal_(self.projection.weight, std=features**-0.5)

    def forward(self, features: Tensor, label: Tensor | None) -> Tensor:
        """Logits float ``[n / pac]`` for features float ``[n / pac, features]`` and labels int64 ``[n]``."""
        said = self.output(features)
        if self.projection is None:
            return said.squeeze(1)
        embedding = self._embedding(features, label)
        if self.alone:
            return (said * embedding).sum(1)
        return said.squeeze(1) + (features * embedding).sum(1)

    def directed(self, features: Tensor, label: Tensor | None) -> tuple[Tensor, Tensor]:
        """See Discriminator: of features as ``forward`` takes them."""
        weight = self.output.weight
        if self.alone:
            features, weight = self.output(features), self._embedding(features, label)
        elif self.projection is not None:
            weight = weight + self._embedding(features, label)
        direction = F.normalize(weight, dim=1)
        return (features * direction.detach()).sum(1), (features.detach() * direction).sum(1)

    def _embedding(self, features: Tensor, label: Tensor | None) -> Tensor:
        assert self.projection is not None
        return self.projection(one_hot(label, self.classes, features).reshape(-1, self.pac, self.classes).sum(1))


class Discriminator(nn.Module, ABC):
    """A network from images or points in [-1, 1] to logits.

    A subclass sets ``head``, defines ``trunk``, which takes ``in_channels(channels)`` channels, and ends its
    constructor with ``finish``. ``condition`` says what becomes of labels: "none", "concat" (one-hot, as further
    channels: Mirza and Osindero, 2014), "projection" or "classifier" (see Head); None is "projection" where the data
    have labels. ``pac`` rows that follow each other are judged as one (PacGAN, Lin et al., 2018). ``spectral_norm``
    divides weights by their largest singular value.
    """

    head: Head
    default_condition = "projection"

    def __init__(
        self,
        spec: ImageSpec | PointSpec,
        *,
        condition: Literal["none", "concat", "projection", "classifier"] | None = None,
        pac: Annotated[int, Ge(1)] = 1,
        spectral_norm: bool = False,
    ) -> None:
        super().__init__()
        self.spectral_norm = spectral_norm
        self.condition = chosen(condition, self.default_condition, spec.labels)
        self.labels = spec.labels if self.condition in ("concat", "projection") else ()
        self.classes = len(spec.labels)
        self.pac = pac

    @property
    def batch_multiple(self) -> int:
        """Rows come in whole packs, and packs in whole groups of minibatch standard deviation."""
        return self.pac * math.lcm(*(module.group for module in self.modules() if isinstance(module, MinibatchStd)))

    def in_channels(self, channels: int) -> int:
        return (channels + (self.classes if self.condition == "concat" else 0)) * self.pac

    @abstractmethod
    def trunk(self, x: Tensor) -> Tensor:
        """Features float ``[n / pac, features]`` of packed rows float ``[n / pac, in_channels, ...]``."""

    def features(self, images: Tensor, condition: Condition | None = None) -> Tensor:
        """What the logits are linear in, float ``[n / pac, features]``, for images float ``[n, channels, ...]``.

        Raises:
            UsageError: a label is needed and missing, or the rows cannot be packed.
        """
        label = label_of(condition, self.labels)
        if self.condition == "concat":
            planes = one_hot(label, self.classes, images).reshape(*images.shape[:1], -1, *[1] * (images.dim() - 2))
            images = torch.cat([images, planes.expand(-1, -1, *images.shape[2:])], dim=1)
        return self.trunk(pack(images, self.pac))

    def forward(self, images: Tensor, condition: Condition | None = None) -> Tensor:
        """Logits float ``[n / pac]`` for images float ``[n, channels, ...]`` or points float ``[n, dimensions]``."""
        return self.head(self.features(images, condition), label_of(condition, self.labels))

    def directed(self, images: Tensor, condition: Condition | None = None) -> tuple[Tensor, Tensor]:
        """Logits along a direction of length 1, twice, each float ``[n / pac]``, for images as ``forward`` takes them.

        The direction is that of the weights that features are multiplied with. The first teach the features alone, the
        second the direction alone (SAN, Takida et al., 2024).
        """
        return self.head.directed(self.features(images, condition), label_of(condition, self.labels))

    @property
    def classify(self) -> Callable[[Tensor], Tensor]:
        """From images float ``[n, channels, ...]`` to logits of classes, float ``[n, classes]``.

        Only a discriminator with condition "classifier" has it: a game that needs it is refused before training.
        """
        if self.head.classifier is None:
            raise AttributeError("classify")
        return self._classify

    def _classify(self, images: Tensor) -> Tensor:
        return self.head.classifier(self.features(images)).reshape(len(images), self.classes)


def one_hot(label: Tensor, classes: int, like: Tensor) -> Tensor:
    """Labels int64 ``[n]`` as ``[n, classes]`` of the dtype of ``like``."""
    return F.one_hot(label, classes).to(like.dtype)
