"""Differentiable augmentation of what a discriminator sees, so that it does not learn little data by heart."""

import math
from collections.abc import Sequence
from typing import Annotated, Literal

import torch
from annotated_types import Gt, Interval, MinLen
from torch import Tensor, nn

from gangen import Clock, Schedule, Stats, all_mean, noise
from gangen_image.networks.resampling import resample, shift, window


class Augmentation(nn.Module):
    """Images float ``[B, C, S, S]`` in [-1, 1] to changed ones of the same shape, with gradient; draws per image.

    ``begin`` is told the time before the discriminator learns from a micro-batch. ``observe`` is then shown the logits
    of its real images, float ``[B]`` without a graph; it returns figures to log.
    """

    def begin(self, clock: Clock) -> None:
        pass

    def observe(self, logits: Tensor) -> Stats:
        return {}


class DiffAugment(Augmentation):
    """Zhao et al. (2020): ``color`` (brightness, saturation, contrast), ``translation`` and ``cutout``.

    With u ~ U[0, 1): brightness adds u - 1/2, saturation scales the distance to the pixel's mean over channels by 2u,
    contrast that to the image's mean by u + 1/2. Translation shifts by up to an eighth of the size, with 0 (grey)
    coming in; cutout makes a square of half the size 0, of which half may lie outside.

    ``policy`` says which of the three.
    """

    def __init__(
        self,
        *,
        policy: Annotated[Sequence[Literal["color", "translation", "cutout"]], MinLen(1)] = (
            "color",
            "translation",
            "cutout",
        ),
    ) -> None:
        super().__init__()
        self.policy = tuple(policy)

    def forward(self, images: Tensor) -> Tensor:
        for name in self.policy:
            images = getattr(self, name)(images)
        return images

    def color(self, images: Tensor) -> Tensor:
        brightness, saturation, contrast = _draws(images, 3)
        images = images + (brightness - 0.5)
        images = torch.lerp(images.mean(1, keepdim=True), images, 2 * saturation)
        return torch.lerp(images.mean((1, 2, 3), keepdim=True), images, contrast + 0.5)

    def translation(self, images: Tensor) -> Tensor:
        return shift(images, _steps(images, round(images.shape[-1] / 8)))

    def cutout(self, images: Tensor) -> Tensor:
        size = images.shape[-1]
        side = max(size // 2, 1)
        first = _steps(images, size // 2) + (size - side) // 2
        return images * ~window(images, first, side)


class Adaptive(Augmentation):
    """Adaptive discriminator augmentation (Karras et al. 2020): transforms whose probability follows overfitting.

    The share r of real images with a positive logit less that with a negative one, averaged over about four batches,
    tells how much the discriminator overfits (their r_t). Where r is above ``target`` the probability grows, else it
    falls, by 1 in ``samples`` images; it starts at ``start``. (Theirs moves once in four batches, this one a quarter
    as far in each.) Losses that compare logits with each other leave their sign open and r without a meaning: for these
    ``scheduled`` is a probability that follows a schedule instead of ``target``, ``samples`` and ``start`` (R3GAN,
    Huang et al. 2024: from 0 to 0.55 for CIFAR-10).

    ``transforms``: ``pixels`` (mirroring, quarter turns, whole-pixel shifts), ``geometry`` (scale, rotation, stretch,
    rotation, shift, one after the other, in one bilinear resampling with mirrored borders) and ``color`` (brightness,
    contrast, luma flip and, for RGB, hue and saturation), each drawn from the distributions of the paper's appendix B;
    and ``cutout``, which makes a square of half the size, centred anywhere, 0 (grey). Each transform of colours has
    ``color_share`` of the probability that others have.
    """

    def __init__(
        self,
        *,
        target: Annotated[float, Interval(gt=-1, lt=1)] = 0.6,
        samples: Annotated[int, Gt(0)] = 500_000,
        start: Annotated[float, Interval(ge=0, le=1)] = 0.0,
        scheduled: Annotated[Schedule, Interval(ge=0, le=1)] | None = None,
        color_share: Annotated[float, Interval(ge=0, le=1)] = 1.0,
        transforms: Annotated[Sequence[Literal["pixels", "geometry", "color", "cutout"]], MinLen(1)] = (
            "pixels",
            "geometry",
            "color",
        ),
    ) -> None:
        super().__init__()
        self.target = target
        self.samples = samples
        self.scheduled = scheduled
        self.color_share = color_share
        self.transforms = tuple(transforms)
        self.register_buffer("probability", torch.tensor(float(start)))
        self.register_buffer("overfitting", torch.tensor(0.0))
        self._clock = Clock("", 0, 1)
        self._signs: list[Tensor] = []

    def begin(self, clock: Clock) -> None:
        self._clock = clock
        if clock.micro == 0:
            self._signs = []
        if self.scheduled is not None:
            self.probability.fill_(self.scheduled(clock))

    def observe(self, logits: Tensor) -> Stats:
        """Follows the whole batch, and has figures of it, when all of its micro-batches were seen."""
        self._signs.append(all_mean(logits.sign().to(self.overfitting.dtype).mean()))
        if len(self._signs) < self._clock.accumulate:
            return {}
        self.overfitting.lerp_(torch.stack(self._signs).mean(), 0.25)
        if self.scheduled is None:
            step = self._clock.batch_size / self.samples
            self.probability.add_((self.overfitting - self.target).sign() * step).clamp_(0, 1)
        return {"augmentation": self.probability.clone(), "overfitting": self.overfitting.clone()}

    def forward(self, images: Tensor) -> Tensor:
        for name in self.transforms:
            images = getattr(self, name)(images)
        return images

    def pixels(self, images: Tensor) -> Tensor:
        mirrored, turned, shifted = (self._chosen(images) for _ in range(3))
        (coin, quarter) = _draws(images, 2)
        images = torch.where(mirrored & (coin < 0.5), images.flip(3), images)
        for turns in (1, 2, 3):
            images = torch.where(turned & ((4 * quarter).floor() == turns), images.rot90(turns, (2, 3)), images)
        steps = _steps(images, round(images.shape[-1] / 8))
        return shift(images, steps * shifted.flatten(1), mirrored=True)

    def geometry(self, images: Tensor) -> Tensor:
        scaled, stretched, moved = (self._chosen(images).flatten() for _ in range(3))
        # Of the two rotations one is there with the probability of any other transform.
        each = 1 - (1 - self.probability).sqrt()
        before, after = ((it < each).flatten() for it in _draws(images, 2))
        scale, stretch, across, down = noise.normal(len(images), 4, device=images.device, dtype=images.dtype).unbind(1)
        first, second = ((2 * it.flatten() - 1) * math.pi for it in _draws(images, 2))
        scale = torch.where(scaled, (0.2 * math.log(2) * scale).exp(), 1.0)
        stretch = torch.where(stretched, (0.2 * math.log(2) * stretch).exp(), 1.0)
        # From a place in the result to the place it is taken from, in units of half an image: what is done to the
        # image first is undone last.
        stretching = torch.diag_embed(torch.stack([stretch, 1 / stretch], dim=1))
        matrix = scale[:, None, None] * _rotation(first * before) @ stretching @ _rotation(second * after)
        offset = matrix @ (torch.stack([across, down], dim=1) * 0.25 * moved[:, None])[:, :, None]
        touched = (scaled | before | stretched | after | moved)[:, None, None, None]
        return torch.where(touched, resample(images, matrix, offset.squeeze(2)), images)

    def color(self, images: Tensor) -> Tensor:
        chosen = (self._chosen(images, self.color_share) for _ in range(5))
        brighter, contrasted, inverted, turned, saturated = chosen
        drawn = noise.normal(len(images), 3, device=images.device, dtype=images.dtype)
        brightness, contrast, saturation = (it.view(-1, 1, 1, 1) for it in drawn.unbind(1))
        coin, angle = _draws(images, 2)
        images = torch.where(brighter, images + 0.2 * brightness, images)
        images = torch.where(contrasted, images * (0.5 * math.log(2) * contrast).exp(), images)
        luma = images.mean(1, keepdim=True)
        images = torch.where(inverted & (coin < 0.5), images - 2 * luma, images)
        if images.shape[1] == 3:
            images = torch.where(turned, _turn_hue(images, (2 * angle - 1) * math.pi), images)
            grey = images.mean(1, keepdim=True)
            images = torch.where(saturated, torch.lerp(grey, images, (math.log(2) * saturation).exp()), images)
        return images

    def cutout(self, images: Tensor) -> Tensor:
        chosen, size = self._chosen(images), images.shape[-1]
        side = max(size // 2, 1)
        centre = noise.uniform(len(images), 2, device=images.device, dtype=images.dtype) * size
        first = (centre - side / 2).round().long()
        return torch.where(chosen & window(images, first, side), 0.0, images)

    def _chosen(self, images: Tensor, share: float = 1.0) -> Tensor:
        """Whether each image is changed, bool ``[B, 1, 1, 1]``."""
        return _draws(images, 1)[0] < self.probability * share


def _rotation(angle: Tensor) -> Tensor:
    """Matrices float ``[B, 2, 2]`` that turn by ``angle`` float ``[B]``."""
    cosine, sine = angle.cos(), angle.sin()
    return torch.stack([cosine, -sine, sine, cosine], dim=1).reshape(-1, 2, 2)


def _turn_hue(images: Tensor, angle: Tensor) -> Tensor:
    """Turn colours about the grey axis (Rodrigues' formula), for ``angle`` float ``[B, 1, 1, 1]``."""
    grey = images.mean(1, keepdim=True)
    # The cross product of the unit vector along grey with the colour.
    across = (images.roll(1, 1) - images.roll(-1, 1)) / math.sqrt(3)
    return grey + (images - grey) * angle.cos() + across * angle.sin()


def _draws(images: Tensor, count: int) -> list[Tensor]:
    """``count`` uniform numbers per image, each float ``[B, 1, 1, 1]``."""
    drawn = noise.uniform(len(images), count, device=images.device, dtype=images.dtype)
    return [it.view(-1, 1, 1, 1) for it in drawn.unbind(1)]


def _steps(images: Tensor, most: int) -> Tensor:
    """Whole steps down and across from -``most`` to ``most``, int64 ``[B, 2]``."""
    drawn = noise.uniform(len(images), 2, device=images.device, dtype=images.dtype)
    return (drawn * (2 * most + 1)).floor().long() - most
