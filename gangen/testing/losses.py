"""Losses and penalties: what they owe to the game of two."""

import math
from typing import Any

import torch
from torch import Tensor, nn

from gangen import noise
from gangen.contracts import Clock
from gangen.testing.subject import Subject, alike

_CLOCK = Clock("test", 1, 4, 8, run_step=1, run_steps=4)


def check_loss(loss: str | type, /, **options: Any) -> None:
    """``discriminator(real, fake)`` and ``generator(real, fake)`` of logits, float ``[B]`` or ``[B, parts]``, are
    finite scalars that pull the right way; one that is not ``relativistic`` does not look at ``real`` for the
    generator, and one with ``log_ratio`` is least where logits are log-ratios. Raises AssertionError where that is not
    so.
    """
    it = Subject("losses", loss, options)
    built = it.build()
    it.expect(built.relativistic in (True, False), "relativistic is true or false", built.relativistic)
    for shape in ((8,), (8, 3)):
        high, low = torch.full(shape, 0.5), torch.full(shape, -0.5)
        values = []
        for real, fake in ((high, low), (low, high)):
            real, fake = real.clone().requires_grad_(), fake.clone().requires_grad_()
            for name, given in (("discriminator", real), ("generator", real if built.relativistic else None)):
                value = getattr(built, name)(given, fake)
                it.expect(
                    isinstance(value, Tensor) and value.shape == () and value.isfinite(),
                    f"{name}(real, fake) of logits float {list(shape)} is a finite scalar, the mean over all",
                    list(value.shape) if isinstance(value, Tensor) else type(value).__name__,
                )
                (slope,) = torch.autograd.grad(value, fake, allow_unused=True)
                it.expect(slope is not None and slope.isfinite().all(), f"{name}(real, fake) is learned from by fakes")
                values.append(value.item())
        told, unfooled, mistaken, fooled = values
        it.expect(told < mistaken, "the discriminator's loss is less where real rows have the higher logits")
        it.expect(fooled < unfooled, "the generator's loss is less where fakes have the higher logits")
    if getattr(built, "log_ratio", False):
        # Two points, of which 3 in 4 real rows are one, and 3 in 4 fakes the other.
        best = torch.tensor([math.log(3), -math.log(3)], requires_grad=True)
        (slope,) = torch.autograd.grad(built.discriminator(best[[0, 0, 0, 1]], best[[0, 1, 1, 1]]), best)
        it.expect(
            slope.abs().max() < 1e-5,
            "with log_ratio the best logit is log p(real row) - log p(fake row), where the loss has no slope",
            slope.tolist(),
        )


def check_penalty(
    penalty: str | type, /, *, row_shape: tuple[int, ...] = (3,), micro_batches: bool = True, **options: Any
) -> None:
    """``penalty(discriminator, real, fake, clock)`` of rows float ``[B, *row_shape]`` is a finite scalar, repeatable by
    its noise, whose gradient reaches the discriminator; of two micro-batches it is the mean. What it remembers are
    buffers.

    ``micro_batches=False`` is for one that looks across rows. Raises AssertionError where that is not so.
    """
    it = Subject("penalties", penalty, options)
    chance = torch.Generator().manual_seed(0)
    real, fake = (torch.rand(8, *row_shape, generator=chance) * 2 - 1 for _ in range(2))
    net = nn.Sequential(nn.Flatten(), nn.Linear(math.prod(row_shape), 4), nn.Tanh(), nn.Linear(4, 1), nn.Flatten(0))
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=chance))

    def ask(part: int = 0, parts: int = 1) -> Tensor:
        """The penalty of some rows, as one that is asked for the first time gives it."""
        rows = slice(part * len(real) // parts, (part + 1) * len(real) // parts)
        built = it.build()
        with noise.shared(1, part, parts), it.drawing():
            value = built(net, real[rows], fake[rows], _CLOCK)
        it.expect(
            isinstance(value, Tensor) and value.shape == () and value.isfinite(),
            "penalty(discriminator, real, fake, clock) is a finite scalar",
        )
        kept = [name for name, entry in vars(built).items() if isinstance(entry, Tensor)]
        it.expect(not kept, "what it remembers are buffers (register_buffer), which checkpoints keep", kept)
        return value

    value = ask()
    it.expect(torch.equal(value, ask()), "the same rows and noise give the same penalty")
    gradients = torch.autograd.grad(value, list(net.parameters()), allow_unused=True)
    it.expect(
        any(gradient is not None and gradient.isfinite().all() and gradient.any() for gradient in gradients),
        "its gradient reaches the discriminator's weights",
    )
    it.expect(
        not micro_batches or alike((ask(0, 2) + ask(1, 2)) / 2, value),
        "of two micro-batches the mean is the penalty of the batch (micro_batches=False for one that looks across "
        "rows)",
    )
