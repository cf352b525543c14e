"""What policy gradients of language models are made of: advantages within groups, clipped ratios, estimates of the KL
divergence from a reference."""

from typing import Literal

import torch
from torch import Tensor

KL = Literal["k1", "k2", "k3"]


def group_advantages(rewards: Tensor, *, scaled: bool = True) -> Tensor:
    """How much better than those of its group each reward is, float ``[n, group]`` as ``rewards`` (Shao et al., 2024).

    Less the group's mean; where ``scaled``, in units of its standard deviation, that of a sample.
    """
    advantages = rewards - rewards.mean(1, keepdim=True)
    return advantages / (rewards.std(1, keepdim=True) + 1e-4) if scaled else advantages


def clipped_gain(log_prob: Tensor, before: Tensor, advantages: Tensor, clip: float) -> Tensor:
    """What is gained by choosing as ``log_prob`` says where ``before`` chose (Schulman et al., 2017, equation 7).

    float, of the shape of all three: the ratio of probabilities times the advantage, which is no larger for a ratio
    beyond 1 + ``clip``, or one below 1 - ``clip`` of what is worse than the others. Where both are equal, its gradient
    is that of ``advantages * log_prob``.
    """
    ratio = (log_prob - before).exp()
    return torch.minimum(ratio * advantages, ratio.clamp(1 - clip, 1 + clip) * advantages)


def kl_estimate(log_prob: Tensor, reference: Tensor, form: KL) -> Tensor:
    """Estimates of KL(p || q) by what p drew, float of the shape of log p, ``log_prob``, and of log q, ``reference``.

    With r = q / p (Schulman, 2020): k1 is -log r, and k3 is r - 1 - log r, which is never negative; the mean of both is
    the divergence. k2, (log r)^2 / 2, is near it. Of their gradients, which is what they are for here, that of k2 is
    the divergence's own in the mean; that of k1 is zero, and that of k3 is the gradient of KL(q || p).
    """
    log_ratio = reference - log_prob
    if form == "k1":
        return -log_ratio
    if form == "k2":
        return log_ratio.square() / 2
    return log_ratio.expm1() - log_ratio
