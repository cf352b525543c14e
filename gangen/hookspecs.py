"""The hooks that a plugin may implement: one per kind of component, all of one shape, and one for recipes.

The hook ``gangen_KIND`` is handed ``register(name, target, summary="")`` and calls it once per component. ``target`` is
an import string, ``"module:attribute"``, or ``".module:attribute"`` below the plugin's own package. It is resolved only
when a recipe names the component: listing plugins imports no networks. Of one that was renamed ``was=("old",)`` lists
the names that recipes and models may still have for it, and ``since="1.2"`` the version that renamed it.
"""

from collections.abc import Callable, Iterable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import pluggy

hookspec = pluggy.HookspecMarker("gangen")
hookimpl = pluggy.HookimplMarker("gangen")

Register = Callable[..., None]


class Kind(NamedTuple):
    """A kind of component.

    ``handed`` is what a constructor is given before its options, which are keyword-only: ``spec``, the description of
    the data; ``players``, a ``gangen.Players``; ``parameters``, those to be learned. ``members`` are what every
    component of the kind must have; ``gangen.contracts`` and the module of the kind's own name say what they mean.
    ``player`` says that it may play as a network of its own.
    """

    name: str
    singular: str
    about: str
    handed: tuple[str, ...] = ()
    members: tuple[str, ...] = ()
    player: bool = False


_MODULE = ("forward", "state_dict")
_ALL = (
    Kind("generators", "generator", "networks that make samples", ("spec",), player=True),
    Kind("discriminators", "discriminator", "networks that judge samples", ("spec",), player=True),
    Kind("encoders", "encoder", "networks that map samples to latent variables", ("spec",), player=True),
    Kind("objectives", "objective", "games, whose methods are turns", ("spec",)),
    Kind("samplers", "sampler", "how a trained game is sampled from", ("players",), ("networks", "sample")),
    Kind("optimizers", "optimizer", "how a player learns from its gradients", ("parameters",)),
    Kind("losses", "loss", "from logits to a scalar", (), ("relativistic", "discriminator", "generator")),
    Kind("penalties", "penalty", "modules that regularise a discriminator", (), _MODULE),
    Kind("augmentations", "augmentation", "modules that change what a discriminator sees", (), _MODULE),
    Kind("data", "data source", "rows with their codec", (), ("codec_class", "codec", "train", "heldout")),
    Kind("metrics", "metric", "measures of a trained game", (), ("__call__",)),
    Kind("extractors", "extractor", "what metrics compare in", (), ("name", "key", "check", "fit", "features")),
    Kind("callbacks", "callback", "observers of a run", (), ("start", "after_step", "watch", "finish", "close")),
    Kind("commands", "command", "what gangen does from the command line besides", (), ("__call__",)),
)
KINDS = {kind.name: kind for kind in _ALL}


def _hook(kind: Kind) -> Any:
    def register_components(register: Register) -> None: ...

    register_components.__doc__ = f"{kind.about[:1].upper()}{kind.about[1:]}."
    return hookspec(register_components)


@hookspec
def gangen_recipes() -> Iterable[Path]:  # type: ignore[empty-body]
    """Folders whose ``*.yaml`` files are recipes; they are listed as ``namespace/stem``."""


HOOKS: Any = SimpleNamespace(
    gangen_recipes=gangen_recipes, **{f"gangen_{name}": _hook(kind) for name, kind in KINDS.items()}
)
