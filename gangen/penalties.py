"""Regularisers of a discriminator: real and fake samples in, a scalar to add to its loss out.

A penalty is a module, so that what it remembers is saved with the run. It is called as
``penalty(discriminator, real, fake, clock)``: ``discriminator`` maps samples ``[B, ...]`` to logits float ``[B]`` (its
condition and augmentation are bound already), ``real`` and ``fake`` are float ``[B, ...]`` without a graph, and the
result is a scalar whose gradient reaches the discriminator's weights. All of it runs in float32 or better, under
mixed precision too: a squared gradient in half precision is a few per cent off.

A discriminator that judges packs of n samples (PacGAN) has one logit for n rows that follow each other. Such a pack is
then the sample: means are over packs, and slopes and distances those of all rows of one together.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection
from typing import Annotated

import torch
from annotated_types import Ge, Gt, Interval
from torch import Tensor, nn

from gangen import noise
from gangen.collectives import all_mean
from gangen.contracts import Clock
from gangen.losses import at_least_float32
from gangen.schedules import Schedule


class Judge:
    """What maps samples ``[B, ...]`` to logits, float ``[B]``: ``ask``, but for samples that it was asked about before.

    ``known`` are pairs of such samples and their logits, with their graph. Of these very tensors the loss and all
    penalties see one pass of the discriminator: the same dropout and augmentation. Where there are logits for
    parts of a sample, float ``[B, parts]``, penalties see their mean.
    """

    def __init__(self, ask: Callable[[Tensor], Tensor], *known: tuple[Tensor, Tensor]) -> None:
        self.ask = ask
        self.known = known

    def __call__(self, samples: Tensor) -> Tensor:
        for seen, logits in self.known:
            if seen is samples:
                return one_each(logits)
        return one_each(self.ask(samples))


def one_each(logits: Tensor) -> Tensor:
    """One logit for each sample, float ``[B]``: the mean where there are several, float ``[B, parts]``."""
    return logits if logits.dim() == 1 else logits.flatten(1).mean(1)


class Penalty(nn.Module, ABC):
    """``weight``, which may change over the phase, times ``size``.

    ``differentiates`` says at which samples it takes ``gradient``: "real" and "fake" as they are. A game that asks the
    discriminator about these anyway lets it keep a graph to them, and hands the logits on. ``differentiates_twice``
    says whether its gradient is one of ``gradient``, for ``gangen check``.
    """

    differentiates: Collection[str] = ()
    differentiates_twice = False

    def __init__(self, *, weight: Schedule) -> None:
        super().__init__()
        self.weight = Schedule.of(weight)  # a number too, as the defaults below

    def forward(self, discriminator: Judge, real: Tensor, fake: Tensor, clock: Clock) -> Tensor:
        with torch.autocast(real.device.type, enabled=False):
            return self.weight(clock) * self.size(discriminator, at_least_float32(real), at_least_float32(fake))

    @staticmethod
    def gradient(discriminator: Judge, samples: Tensor) -> Tensor:
        """The gradient of each logit by what it judges, float ``[logits, features]``; can be differentiated by the
        weights.

        The one way for a penalty to differentiate twice that works with compiled networks too.
        """
        if not any(samples is seen and seen.requires_grad for seen, _ in getattr(discriminator, "known", ())):
            samples = samples.detach().requires_grad_()
        logits = discriminator(samples)
        (slope,) = torch.autograd.grad(logits.sum(), samples, create_graph=True)
        return slope.reshape(len(logits), -1)

    @abstractmethod
    def size(self, discriminator: Judge, real: Tensor, fake: Tensor) -> Tensor:
        """The penalty before its weight, a scalar."""


class GradientPenalty(Penalty):
    """WGAN-GP (Gulrajani et al. 2017, equation 3): ``E[(|grad D(x)| - center)^2]`` between real and fake samples.

    x = e real + (1 - e) fake with one e ~ U[0, 1) per pair. ``center: 0`` is the zero-centred penalty of
    Thanh-Tung et al. (2019).

    ``weight`` multiplies the penalty.
    """

    differentiates_twice = True

    def __init__(self, *, weight: Schedule = 10.0, center: Annotated[float, Ge(0)] = 1.0) -> None:  # type: ignore[assignment]
        super().__init__(weight=weight)
        self.center = center

    def size(self, discriminator: Judge, real: Tensor, fake: Tensor) -> Tensor:
        share = noise.uniform(len(real), *[1] * (real.dim() - 1), device=real.device, dtype=real.dtype)
        slopes = self.gradient(discriminator, torch.lerp(fake, real, share)).norm(dim=1)
        return (slopes - self.center).square().mean()


class R1(Penalty):
    """Mescheder et al. (2018), equation 9: ``E[|grad D(x)|^2] / 2`` on real samples; their gamma is ``weight``."""

    differentiates = ("real",)
    differentiates_twice = True

    def __init__(self, *, weight: Schedule = 10.0) -> None:  # type: ignore[assignment]
        super().__init__(weight=weight)

    def size(self, discriminator: Judge, real: Tensor, fake: Tensor) -> Tensor:
        slopes = self.gradient(discriminator, real)
        return slopes.square().sum() / (2 * len(slopes))


class R2(R1):
    """Mescheder et al. (2018), equation 10: R1 on fake samples."""

    differentiates = ("fake",)

    def size(self, discriminator: Judge, real: Tensor, fake: Tensor) -> Tensor:
        return super().size(discriminator, fake, real)


class ApproximateR1(Penalty):
    """R1 by finite differences (APT, Lin et al., 2025): ``E[(D(x + sigma n) - D(x))^2] / (2 sigma^2)``, n ~ N(0, 1).

    As ``sigma`` falls its mean becomes R1's, but each step sees the slope along one direction alone: it is rougher. It
    wants no second derivative, which fused attention and sharded networks have not; elsewhere take ``r1``.

    ``weight`` multiplies the penalty; that of APT counts 2 sigma^2 times less, so that their 100 is 0.02.
    """

    def __init__(self, *, weight: Schedule = 10.0, sigma: Annotated[float, Gt(0)] = 0.01) -> None:  # type: ignore[assignment]
        super().__init__(weight=weight)
        self.sigma = sigma

    def size(self, discriminator: Judge, real: Tensor, fake: Tensor) -> Tensor:
        moved = real + self.sigma * noise.normal(*real.shape, device=real.device, dtype=real.dtype)
        return (discriminator(moved) - discriminator(real)).square().mean() / (2 * self.sigma**2)


class ApproximateR2(ApproximateR1):
    """R2 by finite differences, as ``approximate_r1`` on fake samples."""

    def size(self, discriminator: Judge, real: Tensor, fake: Tensor) -> Tensor:
        return super().size(discriminator, fake, real)


class Centring(Penalty):
    """``((E[D(real)] + E[D(fake)]) / 2)^2``: logits stay around 0, which losses of differences leave open.

    For relativistic losses and ``wasserstein``. Means are over the batch of all processes, one micro-batch at a time.

    ``weight`` multiplies the penalty.
    """

    def __init__(self, *, weight: Schedule = 0.01) -> None:  # type: ignore[assignment]
        super().__init__(weight=weight)

    def size(self, discriminator: Judge, real: Tensor, fake: Tensor) -> Tensor:
        return (all_mean(discriminator(real).mean() + discriminator(fake).mean()) / 2).square()


class LeCam(Penalty):
    """Tseng et al. (2021), section 3.2: ``E[(D(real) - a_fake)^2] + E[(D(fake) - a_real)^2]``, for little data.

    ``a_real`` and ``a_fake`` are moving averages of the logits of real and fake samples over the batches of all
    processes, one micro-batch at a time, with ``decay``. They start at the first one's own means and are part of a
    checkpoint. With ``one_sided``, as in the programs that came with the paper, a square counts only where real logits
    are above ``a_fake``, and fake ones below ``a_real``.

    ``weight`` multiplies the penalty. What it should be depends on how large the loss lets logits become: the paper has
    0.3 for BigGAN, with the hinge loss, and 3e-7 for StyleGAN2, with the non-saturating one.
    """

    anchors: Tensor

    def __init__(
        self, *, weight: Schedule, decay: Annotated[float, Interval(ge=0, lt=1)] = 0.99, one_sided: bool = False
    ) -> None:
        super().__init__(weight=weight)
        self.decay = decay
        self.one_sided = one_sided
        self.anchors: Tensor
        self.register_buffer("anchors", torch.full((2,), torch.nan))

    def size(self, discriminator: Judge, real: Tensor, fake: Tensor) -> Tensor:
        real, fake = discriminator(real), discriminator(fake)
        means = all_mean(torch.stack([real.detach().mean(), fake.detach().mean()]))
        # Where there is no average yet, without asking the device for it.
        self.anchors.copy_(torch.lerp(means, self.anchors.nan_to_num(), self.decay).where(~self.anchors.isnan(), means))
        anchor_real, anchor_fake = self.anchors
        above, below = real - anchor_fake, anchor_real - fake
        if self.one_sided:
            above, below = above.relu(), below.relu()
        return above.square().mean() + below.square().mean()


class VirtualAdversarial(Penalty):
    """Virtual adversarial training (Miyato et al. 2018): how far logits of real samples move in the worst direction.

    ``E[KL(p(x) || p(x + r))]`` with p = sigmoid of the logit and r of norm ``epsilon`` along the direction in which the
    divergence grows fastest, found by ``iterations`` steps of the power method from noise (their section 3.3, with a
    finite difference ``xi`` in place of second derivatives). Logits of several classes, float ``[B, K]``, use softmax.

    The discriminator must say the same of the same sample twice: leave dropout and augmentation out.

    ``weight`` multiplies the penalty.
    """

    def __init__(
        self,
        *,
        weight: Schedule = 1.0,  # type: ignore[assignment]
        epsilon: Annotated[float, Gt(0)] = 1.0,
        iterations: Annotated[int, Ge(1)] = 1,
        xi: Annotated[float, Gt(0)] = 1e-2,
    ) -> None:
        super().__init__(weight=weight)
        self.epsilon = epsilon
        self.iterations = iterations
        self.xi = xi

    def size(self, discriminator: Judge, real: Tensor, fake: Tensor) -> Tensor:
        fixed = discriminator(real).detach()
        direction = noise.normal(*real.shape, device=real.device, dtype=real.dtype)
        for _ in range(self.iterations):
            moved = (real + self.xi * _unit(direction, len(fixed))).requires_grad_()
            (direction,) = torch.autograd.grad(_divergence(fixed, discriminator(moved)), moved)
        return _divergence(fixed, discriminator(real + self.epsilon * _unit(direction, len(fixed))))


def _divergence(fixed: Tensor, moved: Tensor) -> Tensor:
    """Mean of KL(p_fixed || p_moved) over samples; a lone logit is that of the first of two classes."""
    if fixed.dim() == 1:
        fixed, moved = (torch.stack([it, torch.zeros_like(it)], dim=1) for it in (fixed, moved))
    difference = fixed.log_softmax(1) - moved.log_softmax(1)
    return (fixed.softmax(1) * difference).sum(1).mean()


def _unit(direction: Tensor, count: int) -> Tensor:
    """``direction`` scaled so that the norm of each of ``count`` packs of its rows is 1."""
    packs = direction.reshape(count, -1)
    length = packs.norm(dim=1, keepdim=True).clamp(min=torch.finfo(direction.dtype).tiny)
    return (packs / length).reshape(direction.shape)
