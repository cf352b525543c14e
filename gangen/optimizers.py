"""How players learn: torch's optimizers, whose settings may follow a schedule and differ between parameters.

An optimizer of a plugin is a class or function that is handed parameters, as torch's are, and options, which are
keyword-only. One that is a ``Schedule`` follows it as the setting of the same name in the optimizer's ``param_groups``.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cached_property
from typing import Annotated, Any

import torch
from annotated_types import Ge, Gt, Interval
from torch import Tensor

from gangen.contracts import Clock
from gangen.schedules import Schedule

Parameters = Sequence[Tensor] | Sequence[dict[str, Any]]


def adam(
    parameters: Parameters,
    *,
    lr: Annotated[Schedule, Ge(0)] = Schedule(1e-3),
    betas: tuple[Annotated[Schedule, Interval(ge=0, lt=1)], Annotated[Schedule, Interval(ge=0, lt=1)]] = (
        Schedule(0.9),
        Schedule(0.999),
    ),
    eps: Annotated[float, Gt(0)] = 1e-8,
    weight_decay: Annotated[float, Ge(0)] = 0.0,
) -> torch.optim.Optimizer:
    """Adam (Kingma and Ba, 2015).

    ``lr`` is the size of a step. ``betas`` are the shares of the means of gradients and of their squares that outlast a
    step. ``eps`` is added to the root of the latter. ``weight_decay`` times the weight is added to the gradient.
    """
    return torch.optim.Adam(parameters, lr(0.0), at(betas, 0.0), eps, weight_decay, fused=True)


def adamw(
    parameters: Parameters,
    *,
    lr: Annotated[Schedule, Ge(0)] = Schedule(1e-3),
    betas: tuple[Annotated[Schedule, Interval(ge=0, lt=1)], Annotated[Schedule, Interval(ge=0, lt=1)]] = (
        Schedule(0.9),
        Schedule(0.999),
    ),
    eps: Annotated[float, Gt(0)] = 1e-8,
    weight_decay: Annotated[float, Ge(0)] = 0.0,
) -> torch.optim.Optimizer:
    """Adam whose decay goes past the gradient (Loshchilov and Hutter, 2019).

    ``lr`` is the size of a step. ``betas`` are the shares of the means of gradients and of their squares that outlast a
    step. ``eps`` is added to the root of the latter. ``weight_decay`` times ``lr`` is the share of a weight lost.
    """
    return torch.optim.AdamW(parameters, lr(0.0), at(betas, 0.0), eps, weight_decay, fused=True)


def sgd(
    parameters: Parameters,
    *,
    lr: Annotated[Schedule, Ge(0)] = Schedule(1e-3),
    momentum: Annotated[float, Interval(ge=0, lt=1)] = 0.0,
    weight_decay: Annotated[float, Ge(0)] = 0.0,
) -> torch.optim.Optimizer:
    """Gradient descent.

    ``lr`` is the size of a step, for a gradient of 1. ``momentum`` is the share of the sum of gradients that outlasts a
    step. ``weight_decay`` times the weight is added to the gradient.
    """
    optimizer = torch.optim.SGD(parameters, lr(0.0), momentum, weight_decay=weight_decay, fused=True)
    for group in optimizer.param_groups:  # torch has no fused step for parts of tensors
        group["fused"] = not any(hasattr(it, "full_tensor") for it in group["params"])
    return optimizer


def rmsprop(
    parameters: Parameters,
    *,
    lr: Annotated[Schedule, Ge(0)] = Schedule(1e-3),
    eps: Annotated[float, Gt(0)] = 1e-8,
    momentum: Annotated[float, Interval(ge=0, lt=1)] = 0.0,
    weight_decay: Annotated[float, Ge(0)] = 0.0,
) -> torch.optim.Optimizer:
    """RMSprop (Hinton, 2012), which WGAN was trained with.

    ``lr`` is the size of a step. ``eps`` is added to the root of the mean of squares. ``momentum`` is the share of the
    sum of steps that outlasts one. ``weight_decay`` times the weight is added to the gradient.
    """
    return torch.optim.RMSprop(parameters, lr(0.0), eps=eps, momentum=momentum, weight_decay=weight_decay)


@dataclass(frozen=True)
class Learning:
    """How a player learns: ``construct`` makes an optimizer with ``options``, of which schedules follow the phase.

    ``groups`` have options of their own: each has the parameters whose names match its pattern and none before it.
    """

    construct: Callable[..., torch.optim.Optimizer]
    options: Mapping[str, Any] = field(default_factory=dict)
    groups: Sequence[tuple[str, Mapping[str, Any]]] = ()

    def optimizer(self, parameters: Mapping[str, Tensor]) -> torch.optim.Optimizer:
        """A fresh optimizer of parameters by name."""
        rest, groups = dict(parameters), []
        for pattern, options in self.groups:
            names = [name for name in rest if fnmatchcase(name, pattern)]
            groups.append({"params": [rest.pop(name) for name in names], **at(options, 0.0)})
        return self.construct([*groups, {"params": list(rest.values())}], **self.options)

    def follow(self, optimizer: torch.optim.Optimizer, clock: Clock) -> None:
        """Set what follows a schedule to its value by a turn's clock."""
        for group, moving in zip(optimizer.param_groups, self._moving, strict=True):
            group.update(at(moving, clock))

    @cached_property
    def _moving(self) -> list[dict[str, Any]]:
        """Of each group the options that follow a schedule."""
        groups = [{**self.options, **options} for _, options in self.groups] + [self.options]
        return [{name: value for name, value in group.items() if at(value, 0.0) != value} for group in groups]


def at(value: Any, when: Clock | float) -> Any:
    """A value with the place of each schedule in it taken by that schedule's value, see ``Schedule``."""
    match value:
        case Schedule():
            return value(when)
        case tuple() | list():
            return type(value)(at(item, when) for item in value)
        case Mapping():
            return {name: at(item, when) for name, item in value.items()}
    return value
