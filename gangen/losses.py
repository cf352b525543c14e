"""Adversarial losses on raw logits: float ``[batch]`` in, scalar out; ``real`` and ``fake`` are discriminator outputs.

Logits may also be ``[batch, parts]``, several for each row, all of which count alike.

Each loss is a pair of functions: what the discriminator minimises and what the generator minimises. The generator's
function looks at ``real`` only where the loss is ``relativistic``; it may be None elsewhere.
``softplus(x) = log(1 + exp(x)) = -log(1 - sigmoid(x))``.
"""

import torch
from torch import Tensor
from torch.nn.functional import relu, softplus

from gangen.collectives import all_mean
from gangen.contracts import Loss


def at_least_float32(tensor: Tensor) -> Tensor:
    """What losses and penalties are computed in: under mixed precision networks answer in half, which is too coarse."""
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32))


def accuracy(loss: Loss, real: Tensor, fake: Tensor) -> Tensor:
    """How often a discriminator is right, a scalar without a graph: positive ``real`` and negative ``fake``.

    A relativistic loss leaves the sign of logits open, so there it is the share of pairs with ``real`` above ``fake``.
    """
    with torch.no_grad():
        if loss.relativistic:
            return (real > fake).float().mean()
        return ((real > 0).float().mean() + (fake < 0).float().mean()) / 2


class Minimax:
    """The zero-sum game of Goodfellow et al. (2014), equation 1.

    D: ``-E[log sigmoid(real)] - E[log(1 - sigmoid(fake))]``; G: ``E[log(1 - sigmoid(fake))]``. The best D says
    ``log p(real) - log p(fake)`` of any row (proposition 1).
    """

    relativistic = False
    log_ratio = True

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        return softplus(-real).mean() + softplus(fake).mean()

    def generator(self, real: Tensor | None, fake: Tensor) -> Tensor:
        return -softplus(fake).mean()


class NonSaturating(Minimax):
    """Minimax for D; G: ``-E[log sigmoid(fake)]``, with a gradient where D wins (Goodfellow et al. 2014, section 3)."""

    def generator(self, real: Tensor | None, fake: Tensor) -> Tensor:
        return softplus(-fake).mean()


class LeastSquares:
    """Least squares GAN (Mao et al. 2017), equation 2, with a = 0 and b = c = 1.

    D: ``E[(real - 1)^2] / 2 + E[fake^2] / 2``; G: ``E[(fake - 1)^2] / 2``.
    """

    relativistic = False

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        return ((real - 1).square().mean() + fake.square().mean()) / 2

    def generator(self, real: Tensor | None, fake: Tensor) -> Tensor:
        return (fake - 1).square().mean() / 2


class Wasserstein:
    """Wasserstein GAN (Arjovsky et al. 2017): D: ``E[fake] - E[real]``; G: ``-E[fake]``. D must be kept Lipschitz."""

    relativistic = False

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        return fake.mean() - real.mean()

    def generator(self, real: Tensor | None, fake: Tensor) -> Tensor:
        return -fake.mean()


class Hinge(Wasserstein):
    """Hinge loss (Lim and Ye 2017; Miyato et al. 2018, equations 16, 17).

    D: ``E[max(0, 1 - real)] + E[max(0, 1 + fake)]``; G: ``-E[fake]``.
    """

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        return relu(1 - real).mean() + relu(1 + fake).mean()


class RelativisticPaired:
    """Relativistic pairing GAN (Jolicoeur-Martineau 2018, equation 7; R3GAN, Huang et al. 2024, equation 2).

    D: ``E[-log sigmoid(real - fake)]``; G: ``E[-log sigmoid(fake - real)]``, each fake paired with one real.
    """

    relativistic = True

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        return softplus(fake - real).mean()

    def generator(self, real: Tensor, fake: Tensor) -> Tensor:
        return softplus(real - fake).mean()


class RelativisticAverage:
    """Relativistic average GAN (Jolicoeur-Martineau 2018, equation 9, halved).

    D: ``(E[-log sigmoid(real - E fake)] + E[-log sigmoid(E real - fake)]) / 2``; G: the same with the roles exchanged.
    The inner expectations run over the batch of all processes, one micro-batch at a time.
    """

    relativistic = True

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        real_mean, fake_mean = all_mean(real.mean()), all_mean(fake.mean())
        return (softplus(fake_mean - real).mean() + softplus(fake - real_mean).mean()) / 2

    def generator(self, real: Tensor, fake: Tensor) -> Tensor:
        return self.discriminator(fake, real)
