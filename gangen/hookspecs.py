"""The hooks that a plugin may implement: one per kind of component, all of one shape, and one for recipes.

A hook is handed ``register(name, target, summary="")`` and calls it once per component. ``target`` is an import string,
``"module:attribute"``, or ``".module:attribute"`` below the plugin's own package. It is resolved only when a recipe
names the component: listing plugins imports no networks.
"""

from collections.abc import Callable, Iterable
from pathlib import Path

import pluggy

hookspec = pluggy.HookspecMarker("gangen")
hookimpl = pluggy.HookimplMarker("gangen")

Register = Callable[..., None]

SINGULAR = {
    "generators": "generator",
    "discriminators": "discriminator",
    "encoders": "encoder",
    "objectives": "objective",
    "losses": "loss",
    "penalties": "penalty",
    "augmentations": "augmentation",
    "data": "data source",
    "metrics": "metric",
    "extractors": "extractor",
    "callbacks": "callback",
}
KINDS = tuple(SINGULAR)
# What a component of a kind must have; gangen.contracts and gangen.penalties say what it means.
MEMBERS = {
    "losses": ("relativistic", "discriminator", "generator"),
    "penalties": ("forward", "state_dict"),
    "augmentations": ("forward", "state_dict"),
    "data": ("codec_class", "codec", "train", "heldout"),
    "metrics": ("__call__",),
    "extractors": ("name", "key", "check", "fit", "features"),
    "callbacks": ("start", "after_step", "watch", "finish", "close"),
}


@hookspec
def gangen_generators(register: Register) -> None:
    """Networks that make samples: ``__init__(self, spec, *, options)``."""


@hookspec
def gangen_discriminators(register: Register) -> None:
    """Networks that judge samples: ``__init__(self, spec, *, options)``."""


@hookspec
def gangen_encoders(register: Register) -> None:
    """Networks that map samples to latent variables: ``__init__(self, spec, *, options)``."""


@hookspec
def gangen_objectives(register: Register) -> None:
    """Games, whose methods are turns: ``__init__(self, spec, *, options)``."""


@hookspec
def gangen_losses(register: Register) -> None:
    """Adversarial losses, from logits to a scalar: ``__init__(self, *, options)``."""


@hookspec
def gangen_penalties(register: Register) -> None:
    """Regularisers of a discriminator, see gangen.penalties: modules, ``__init__(self, *, options)``."""


@hookspec
def gangen_augmentations(register: Register) -> None:
    """Random changes of what a discriminator sees: modules, ``__init__(self, *, options)``."""


@hookspec
def gangen_data(register: Register) -> None:
    """Data sources with their codec: ``__init__(self, *, options)``."""


@hookspec
def gangen_metrics(register: Register) -> None:
    """Measures of a trained game: ``__init__(self, *, options)``."""


@hookspec
def gangen_extractors(register: Register) -> None:
    """Feature networks that metrics compare samples with: ``__init__(self, *, options)``."""


@hookspec
def gangen_callbacks(register: Register) -> None:
    """Observers of a run: ``__init__(self, *, options)``."""


@hookspec
def gangen_recipes() -> Iterable[Path]:
    """Folders whose ``*.yaml`` files are recipes; they are listed as ``namespace/stem``."""
