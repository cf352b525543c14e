"""One plugin: the components and recipes that it registers, all of them or none."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Any

import pluggy

from gangen.components.options import Options
from gangen.components.signatures import Target, resolve
from gangen.errors import PluginError, did_you_mean
from gangen.hookspecs import HOOKS, KINDS

CORE = "gangen"


@dataclass(frozen=True)
class Component:
    """Something that a recipe can name; nothing of it is imported before it is needed.

    ``was`` are full names that it had before version ``since`` of its distribution.
    """

    kind: str
    name: str
    target: Target
    summary: str
    distribution: str
    version: str
    was: tuple[str, ...] = ()
    since: str = ""

    @property
    def bare_name(self) -> str:
        """The name without its namespace."""
        return self.name.partition("/")[2]

    def was_called(self, name: str) -> bool:
        """Whether it had this full or bare name."""
        return name in self.was or name in [former.partition("/")[2] for former in self.was]

    def __str__(self) -> str:
        return f"{KINDS[self.kind].singular} {self.name!r}"

    def load(self) -> Any:
        """The class or function itself.

        Raises:
            PluginError: its module cannot be imported or does not have it.
        """
        try:
            return resolve(self.target)
        except PluginError as error:
            raise PluginError(f"{self} of {self.distribution}: {error}") from error

    @cached_property
    def options(self) -> Options:
        """What its constructor can be told, read without importing it where possible."""
        return Options.of(str(self), self.target)

    @cached_property
    def settings(self) -> Options:
        """What its method ``sample`` can be told, where it has one."""
        return Options.of(f"sampling from {self}", self.target, "sample")


@dataclass(frozen=True)
class Plugin:
    """A namespace and what it brings."""

    name: str
    distribution: str
    version: str
    components: list[Component] = field(default_factory=list)
    recipes: dict[str, Path] = field(default_factory=dict)


def stage(module: ModuleType, namespace: str, distribution: str, version: str) -> Plugin:
    """Everything that one plugin registers; raises before any of it counts."""
    manager = pluggy.PluginManager("gangen")
    manager.add_hookspecs(HOOKS)
    known = vars(HOOKS)
    for name, value in vars(module).items():
        if hasattr(value, "gangen_impl") and name not in known:
            raise PluginError(f"there is no hook {name!r}{did_you_mean(name, known)}")
        if name in known and not hasattr(value, "gangen_impl"):
            raise PluginError(f"hook {name!r} lacks @hookimpl")
    try:
        manager.register(module, namespace)
    except pluggy.PluginValidationError as error:
        raise PluginError(str(error)) from error
    plugin = Plugin(namespace, distribution, version)
    for kind in KINDS:
        getattr(manager.hook, f"gangen_{kind}")(register=_register_into(plugin, kind, module.__name__))
    for folder in (folder for folders in manager.hook.gangen_recipes() for folder in folders):
        for path in sorted(Path(folder).glob("*.yaml")):
            plugin.recipes[path.stem if namespace == CORE else f"{namespace}/{path.stem}"] = path
    return plugin


def _register_into(plugin: Plugin, kind: str, package: str) -> Callable[..., None]:
    singular = KINDS[kind].singular

    def register(name: str, target: str, *, summary: str = "", was: Sequence[str] = (), since: str = "") -> None:
        if not (isinstance(name, str) and re.fullmatch(r"[A-Za-z0-9][\w.-]*", name)):
            raise PluginError(f"{name!r} is not a name for a {singular}: use letters, digits, '_', '-' and '.'")
        if not (isinstance(target, str) and re.fullmatch(r"[\w.]+:[\w.]+", target)):
            raise PluginError(f"{singular} {name!r} needs an import string 'module:attribute', got {target!r}")
        target = package + target if target.startswith(".") else target
        if isinstance(was, str) or bool(was) != bool(since):
            raise PluginError(f"{singular} {name!r} had other names: was=('NAME',) lists them, since='1.2' ends them")
        former = tuple(it if "/" in it else f"{plugin.name}/{it}" for it in was)
        component = Component(
            kind, f"{plugin.name}/{name}", target, summary, plugin.distribution, plugin.version, former, since
        )
        if any(other.kind == kind and other.name == component.name for other in plugin.components):
            raise PluginError(f"{component} is registered twice")
        plugin.components.append(component)

    return register
