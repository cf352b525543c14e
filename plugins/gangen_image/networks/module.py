"""Networks that people already have: any module of torch in a file of ``code``, as generator or discriminator."""

from collections.abc import Sequence
from math import prod
from typing import Annotated, Any, Literal

import torch
from annotated_types import Ge
from torch import Tensor, nn

from gangen import UsageError, evaluating, label_of, open_module
from gangen_image.networks.conditioning import Condition
from gangen_image.networks.latent import LatentGenerator
from gangen_image.spec import ImageSpec, PointSpec

# What modules raise that take something else.
UNFIT = (RuntimeError, TypeError, ValueError, AttributeError, LookupError)


class ModuleGenerator(LatentGenerator):
    """A module of torch that makes samples in [-1, 1] of noise, such as a decoder that was trained elsewhere.

    ``network`` is its class, or a function that is annotated to return one, of a file of ``code``: "my_net:Class" is
    what my_net.py holds or imports. ``network_options`` are what it is called with. The run's ``start_from:
    {generator: FILE}`` puts in weights that it has already, of safetensors; without, they are drawn.

    It is left as it is laid out: a function that returns ``Net().to(memory_format=torch.channels_last)`` makes most
    convolutions faster.

    It takes ``latent_shape`` numbers for each sample, [64] or [4, 8, 8], whose distribution is ``latent``, and, with
    ``labelled``, labels int64 ``[n]`` after them.

    Raises:
        UsageError: there is no such module, or it makes no samples of the data's shape.
    """

    def __init__(
        self,
        spec: ImageSpec | PointSpec,
        *,
        network: str,
        network_options: dict[str, Any] | None = None,
        latent_shape: Sequence[Annotated[int, Ge(1)]],
        latent: Literal["normal", "uniform", "hypersphere"] = "normal",
        labelled: bool = False,
    ) -> None:
        super().__init__(spec, latent_dim=prod(latent_shape), latent=latent, condition="none")
        self.labels = _labels(spec, labelled, "generator")
        self.latent_shape = tuple(latent_shape)
        self.net = open_module(network, "generator image/module", options=network_options or {})
        self.net.to(torch.get_default_dtype())
        label = torch.zeros(2, dtype=torch.int64) if labelled else None
        made = _tried(self, f"generator image/module: {network}", torch.zeros(2, self.prior.dim), label)
        if made.shape[1:] != spec.shape:
            raise UsageError(
                f"generator image/module: {network} makes samples of {list(made.shape[1:])}, and these data have "
                f"{list(spec.shape)}"
            )

    def forward(self, latent: Tensor, label: Tensor | None = None) -> Tensor:
        """Samples float ``[n, *shape]`` of latents float ``[n, product of latent_shape]``."""
        latent = latent.unflatten(1, self.latent_shape)
        return self.net(latent) if label is None else self.net(latent, label)


class ModuleDiscriminator(nn.Module):
    """A module of torch that judges samples: its output are logits, ``[n]``, ``[n, parts]`` or a map of them.

    ``network`` and ``network_options`` are as for the generator of this name, and so is how it starts with weights of
    its own. With ``labelled`` it takes labels int64 ``[n]`` after samples float in [-1, 1].

    Raises:
        UsageError: there is no such module, or it takes no samples of the data's shape.
    """

    def __init__(
        self,
        spec: ImageSpec | PointSpec,
        *,
        network: str,
        network_options: dict[str, Any] | None = None,
        labelled: bool = False,
    ) -> None:
        super().__init__()
        self.labels = _labels(spec, labelled, "discriminator")
        self.net = open_module(network, "discriminator image/module", options=network_options or {})
        self.net.to(torch.get_default_dtype())
        label = {"label": torch.zeros(2, dtype=torch.int64)}
        _tried(self, f"discriminator image/module: {network}", torch.zeros(2, *spec.shape), label)

    def forward(self, samples: Tensor, condition: Condition | None = None) -> Tensor:
        """Logits float ``[n]`` or ``[n, parts]`` of samples float ``[n, *shape]``."""
        label = label_of(condition, self.labels)
        logits = self.net(samples) if label is None else self.net(samples, label)
        return logits.flatten(1).squeeze(1) if isinstance(logits, Tensor) and logits.dim() > 1 else logits


def _labels(spec: ImageSpec | PointSpec, labelled: bool, kind: str) -> tuple[str, ...]:
    if labelled and not spec.labels:
        raise UsageError(f"{kind} image/module is labelled, and these data have no labels; leave that out")
    return spec.labels if labelled else ()


def _tried(network: nn.Module, who: str, rows: Tensor, label: Any) -> Tensor:
    """What comes of two rows. Raises UsageError where that is nothing for each of them."""
    try:
        with evaluating(network):
            made: Any = network(rows, label)
        if isinstance(made, Tensor) and made.shape[:1] == (2,):
            return made
        reason = f"they become {list(made.shape) if isinstance(made, Tensor) else type(made).__name__}"
    except UNFIT as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
    raise UsageError(f"{who} cannot take two rows of {list(rows.shape[1:])}: {reason}")
