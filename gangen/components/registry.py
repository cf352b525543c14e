"""What the installed plugins bring, by kind and name."""

import importlib.metadata
import importlib.util
import inspect
import os
import re
import sys
import traceback
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

from gangen import __version__
from gangen.components.component import CORE, Component, Plugin, stage
from gangen.components.messages import show
from gangen.components.options import Use
from gangen.errors import PluginError, UsageError, did_you_mean
from gangen.failures import summary
from gangen.hookspecs import KINDS
from gangen.printing import say

LOCAL = "local"
_BUILT: dict[type, str] = {}
_OF_THIS_PROCESS: dict[str, Callable] = {}
# Plugins by name in the place of those that are installed, where tests ask for it.
_UNDER_TEST: dict[str, ModuleType] | None = None
_ABSENT = object()


Type = TypeVar("Type", bound=Callable)


def how_to_install(namespace: str) -> str:
    """In words, the command that brings what a plugin that nobody has here is called by."""
    return f"where plugins are called as usual, this installs it: pip install gangen-{namespace}"


class Registry:
    """Components and recipes of all plugins.

    ``broken`` says why a plugin was kept out, by name; ``blocked`` names those that were not wanted. ``renamed`` says,
    of each former name by which something was found, what to call it now; ``tell_renamed`` says so once.
    """

    def __init__(self) -> None:
        self.broken: dict[str, str] = {}
        self.blocked: tuple[str, ...] = ()
        self.renamed: dict[str, str] = {}
        self._told: set[str] = set()
        self._plugins: dict[str, Plugin] = {}
        self._components: dict[str, dict[str, Component]] = {kind: {} for kind in KINDS}
        self._code: dict[Path, ModuleType] = {}

    @classmethod
    def discover(cls, blocked: Collection[str] = (), code: Sequence[Path] = ()) -> "Registry":
        """Load gangen's own components, every installed plugin except the ``blocked`` ones, and local ``code`` files.

        A plugin that cannot be loaded is kept out and named in ``broken``.

        Raises:
            PluginError: a local file cannot be loaded, or a plugin where GANGEN_STRICT_PLUGINS is 1.
            UsageError: a blocked plugin is not installed.
        """

        from gangen.components import builtin

        registry = cls()
        registry._commit(stage(builtin, CORE, "gangen", __version__))
        points = sorted(importlib.metadata.entry_points(group="gangen"), key=_first_party_first)
        if _UNDER_TEST is not None:
            points = [point for point in points if not _first_party_first(point)[0]]
        names = {point.name for point in points}
        for name in blocked:
            if name not in names:
                hint = did_you_mean(name, names)
                raise UsageError(f"no plugin {name!r} is installed that --no-plugin could leave out{hint}")
        registry.blocked = tuple(blocked)
        owners = {CORE: "gangen", LOCAL: "gangen"}
        for point in points:
            distribution: Any = point.dist
            owner = owners.setdefault(point.name, distribution.name)
            if point.name in blocked:
                continue
            try:
                if owner != distribution.name or point.name in (CORE, LOCAL):
                    raise PluginError(f"the name {point.name!r} is already taken by {owner}")
                registry._commit(stage(point.load(), point.name, distribution.name, distribution.version))
            except (Exception, SystemExit) as error:
                reason = summary(error)
                if os.environ.get("GANGEN_STRICT_PLUGINS") == "1":
                    raise PluginError(f"plugin {point.name!r} of {distribution.name}: {reason}") from error
                taken = point.name in registry.broken or owner != distribution.name
                registry.broken[f"{point.name} ({distribution.name})" if taken else point.name] = reason
        for name, module in (_UNDER_TEST or {}).items():
            registry._commit(stage(module, name, module.__name__, "under test"))
        for path in code:
            registry.load_code(path)
        return registry

    def load_code(self, path: Path) -> None:
        """Run a local file as a plugin of namespace ``local``; its targets name module ``gangen_local_<stem>``."""
        path = path.resolve()
        if path in self._code:
            return
        if not path.is_file():
            raise PluginError(f"there is no file {path}")
        if os.environ.get("RANK", "0") == "0":
            say(f"gangen: running code from {path}", sys.stderr)
        name = "gangen_local_" + re.sub(r"\W", "_", path.stem)  # as import strings can say it
        if any(module.__name__ == name for module in self._code.values()):
            raise PluginError(f"{path}: there is another local file of this name")
        spec = importlib.util.spec_from_file_location(name, path)
        if spec is None or spec.loader is None:
            raise PluginError(f"{path} is not a Python file")
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        try:
            spec.loader.exec_module(module)
            self._commit(stage(module, LOCAL, path.name, "local"))
        except (Exception, SystemExit) as error:
            del sys.modules[name]
            lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
            place = ":".join(map(str, [path, *lines[-1:]]))
            raise PluginError(f"{place}: cannot be loaded: {summary(error)}") from error
        self._code[path] = module

    def all(self, kind: str) -> list[Component]:
        """The components of one kind, by name."""
        return [self._components[kind][name] for name in sorted(self._components[kind])]

    def find(self, kind: str, name: str) -> Component:
        """The component with a full name (``text/lstm``), or with a bare one where only one plugin has it.

        A name that nothing has is also looked for among former names.

        Raises:
            UsageError: there is none, or a bare name is not unique.
        """
        found = self._matches(kind, name)
        if not found and len(found := self._formerly(kind, name)) == 1:
            it = found[0]
            self.renamed[name] = f"{it} is not called {name!r} since {it.distribution} {it.since}: give the new name"
        if len(found) == 1:
            return found[0]
        if found:
            names = ", ".join(repr(component.name) for component in found)
            raise UsageError(f"{name!r} could be any of {names}: give the full name")
        elsewhere = [component for other in KINDS for component in self._matches(other, name)]
        if elsewhere:
            raise UsageError(f"{elsewhere[0].name!r} is among the {elsewhere[0].kind}, not the {kind}")
        raise UsageError(f"no {KINDS[kind].singular} is called {show(name)}{self._hint(name, self._components[kind])}")

    def tell_renamed(self) -> list[str]:
        """What ``renamed`` says that was not told before."""
        told, self._told = self._told, set(self.renamed)
        return [words for name, words in self.renamed.items() if name not in told]

    def recipes(self) -> dict[str, Path]:
        """Recipes that come with plugins, as ``namespace/stem``; gangen's own have no namespace."""
        return {name: path for plugin in self._plugins.values() for name, path in plugin.recipes.items()}

    def plugins(self) -> list[Plugin]:
        """The plugins that were loaded, gangen's own components first."""
        return list(self._plugins.values())

    def has(self, namespace: str) -> bool:
        """Whether a plugin of this name was loaded."""
        return any(plugin.name == namespace for plugin in self._plugins.values())

    def build(self, use: Use, **at_hand: Any) -> Any:
        """Construct a component with its options; options that are components themselves are built first.

        Each is handed what its kind is handed, out of what is ``at_hand``: a network ``spec``, a sampler ``players``.

        Raises PluginError for one that lacks what all of its kind have, or has no place here.
        """
        component, kind = self.find(use.kind, use.name), KINDS[use.kind]
        absent = [name for name in kind.handed if name not in at_hand]
        if absent:
            raise PluginError(f"{component} cannot be built here, where {absent[0]} is not known")
        options = {name: self._built(value, at_hand) for name, value in use.options.items()}
        constructor = component.load()
        try:
            built = constructor(*(at_hand[name] for name in kind.handed), **options)
        except OSError as error:  # a file that an option names
            raise UsageError(f"{component} cannot be built: {error}") from error
        except Exception as error:
            described = f", for data described by a {type(at_hand['spec']).__name__}" if "spec" in kind.handed else ""
            error.add_note(f"while building {component} of {component.distribution} {component.version}{described}")
            raise
        # Looked up without a call: what is a property may not be ready yet.
        lacks = [name for name in kind.members if inspect.getattr_static(built, name, _ABSENT) is _ABSENT]
        if lacks:
            raise PluginError(
                f"{component} of {component.distribution} lacks {', '.join(lacks)}, which every {kind.singular} has; "
                "see gangen docs contract"
            )
        _BUILT[type(built)] = str(component)
        return built

    def _built(self, value: Any, at_hand: Mapping[str, Any]) -> Any:
        match value:
            case Use():
                return self.build(value, **at_hand)
            case list() | tuple():
                return type(value)(self._built(item, at_hand) for item in value)
            case dict():
                return {key: self._built(item, at_hand) for key, item in value.items()}
        return value

    def _matches(self, kind: str, name: str) -> list[Component]:
        components = self._components[kind]
        if "/" in name:
            of_this = _OF_THIS_PROCESS.get(name)
            here = [Component(kind, name, of_this, "", of_this.__module__, "local")] if of_this else []
            return [components[name]] if name in components else here
        return [component for component in components.values() if component.bare_name == name]

    def _formerly(self, kind: str, name: str) -> list[Component]:
        """The components that had this full or bare name."""
        return [component for component in self._components[kind].values() if component.was_called(name)]

    def _hint(self, name: str, choices: Iterable[str]) -> str:
        """A near name; else the plugins that might have had it."""
        namespace, _, bare = name.rpartition("/")
        if namespace == LOCAL and LOCAL not in self._plugins:
            return "; what is local comes from a file that code: [FILE] names, or in Python from @gangen.component"
        full_names = {choice.partition("/")[2]: choice for choice in choices}
        if namespace:
            hint = did_you_mean(name, choices) or did_you_mean(full_names.get(bare, ""), choices)
        else:
            hint = did_you_mean(name, full_names)
        absent = {key: f"could not be loaded: {reason}" for key, reason in self.broken.items()}
        absent |= {key: "is left out by --no-plugin" for key in self.blocked}
        named = {key: why for key, why in absent.items() if key.partition(" ")[0] == namespace}
        if not hint and not named and namespace.isidentifier() and not self.has(namespace):
            return f"; no plugin {namespace!r} is installed: {how_to_install(namespace)}"
        return hint + "".join(f"; plugin {key!r} {why}" for key, why in (named or absent).items())

    def _commit(self, plugin: Plugin) -> None:
        before = self._plugins.get(plugin.name)
        if before:
            for component in plugin.components:
                if component.name in self._components[component.kind]:
                    raise PluginError(f"{component} is registered twice")
            before.components.extend(plugin.components)
            before.recipes.update(plugin.recipes)
        else:
            self._plugins[plugin.name] = plugin
        for component in plugin.components:
            self._components[component.kind][component.name] = component


def component(target: Type) -> Type:
    """Decorator of a class or function: recipes that this process plays may name it as ``local/ItsName``, of any kind.

    For notebooks, and whatever else is no package: see ``gangen.train``, which takes the class itself, too. One that is
    defined again takes the place of the one before.

    Raises UsageError for what is neither, and where another file has given one by this name.
    """
    if not inspect.isclass(target) and not inspect.isfunction(target):
        raise UsageError(f"a component is a class or a function, got {target!r:.60}")
    name = f"{LOCAL}/{target.__name__}"
    former = _OF_THIS_PROCESS.get(name, target)
    if (_home(former), former.__qualname__) != (_home(target), target.__qualname__):
        raise UsageError(
            f"{former.__module__}.{former.__qualname__} and {target.__module__}.{target.__qualname__} would both be "
            f"{name!r}: rename one"
        )
    _OF_THIS_PROCESS[name] = target
    return target


def _home(target: Callable) -> str:
    """The file that it stands in, which a program may import and a recipe run as its ``code``; or its module."""
    file = getattr(sys.modules.get(target.__module__), "__file__", None)
    return os.path.realpath(file) if file else target.__module__


@contextmanager
def instead_of_installed(modules: Mapping[str, ModuleType]) -> Iterator[None]:
    """Within this context registries have gangen's own plugins and ``modules``, by their names, and no others.

    What ``component`` is given meanwhile is forgotten.
    """
    global _UNDER_TEST
    before, named = _UNDER_TEST, dict(_OF_THIS_PROCESS)
    _UNDER_TEST = dict(modules)
    try:
        yield
    finally:
        _UNDER_TEST = before
        _OF_THIS_PROCESS.clear()
        _OF_THIS_PROCESS.update(named)


def name_of(thing: object) -> str:
    """As which component a thing was built: "metric 'acme/radius'"; its class where it is none."""
    return _BUILT.get(type(thing), type(thing).__qualname__)


def _first_party_first(point: Any) -> tuple[bool, str, str]:
    return point.dist.name != "gangen", point.name, point.dist.name
