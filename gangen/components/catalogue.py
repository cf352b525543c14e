"""What is installed, as lines for a terminal."""

import json
import types
import typing
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

from gangen.components.component import Component, Plugin
from gangen.components.messages import show
from gangen.components.options import Part, Use, to_plain
from gangen.components.registry import Registry
from gangen.components.signatures import REQUIRED, Parameter
from gangen.errors import UsageError, did_you_mean
from gangen.hookspecs import KINDS
from gangen.schedules import Schedule

WORDS = {
    int: "integer",
    float: "number",
    str: "text",
    bool: "true or false",
    type(None): "null",
    Schedule: "number or schedule",
    Use: "component, its options beside it",
}

# Kinds with a method ``sample``, whose settings are not options.
SAMPLED = ("generators", "samplers")


def plugin_lines(registry: Registry, names: Sequence[str] = ()) -> Iterator[str]:
    """Every plugin with its distribution and what it brings; then those that were kept out, and why.

    With ``names`` these plugins, and components of these kinds, alone; raises UsageError for one that is neither.
    """
    plugins = _chosen(registry, names)
    rows = [(plugin.name, f"{plugin.distribution} {plugin.version}", list(_brings(plugin))) for plugin in plugins]
    widths = [max((len(row[column]) for row in rows), default=0) for column in (0, 1)]
    for name, distribution, brings in rows:
        for line in brings or ["nothing"]:
            yield f"{name:{widths[0]}}  {distribution:{widths[1]}}  {line}"
            name = distribution = ""
    if not rows:
        yield "nothing"
    for name in registry.blocked:
        yield f"\nleft out by --no-plugin: {name}"
    if registry.broken:
        yield "\nkept out:"
    for name, reason in registry.broken.items():
        yield f"  {name}: {reason}"


def catalogue(registry: Registry, names: Sequence[str] = ()) -> dict[str, Any]:
    """As ``plugin_lines``, for programs: components by kind with their summaries, recipes with their files."""
    plugins = [
        {
            "name": plugin.name,
            "distribution": plugin.distribution,
            "version": plugin.version,
            "components": [
                {"kind": KINDS[it.kind].singular, "name": it.name, "summary": it.summary} for it in plugin.components
            ],
            "recipes": [
                {"name": name, "summary": _opening(path), "file": str(path)} for name, path in plugin.recipes.items()
            ],
        }
        for plugin in _chosen(registry, names)
    ]
    return {"plugins": plugins, "left_out": list(registry.blocked), "kept_out": registry.broken}


def recipe_lines(registry: Registry) -> Iterator[str]:
    """Every recipe with its file and the first line of its opening comment."""
    recipes = registry.recipes()
    width = max(map(len, recipes), default=0)
    for name in sorted(recipes):
        yield f"{name:{width}}  {_opening(recipes[name])}".rstrip()
        yield f"{'':{width}}  {_near(recipes[name])}"
    if not recipes:
        yield "no recipes are installed"


def component_lines(registry: Registry, name: str) -> Iterator[str]:
    """The components of a full or bare name, or else those that had it, with their options; nothing without any."""
    components = [component for kind in KINDS for component in registry.all(kind)]
    named = [it for it in components if name in (it.name, it.bare_name)]
    for index, component in enumerate(named or [it for it in components if it.was_called(name)]):
        if index:
            yield ""
        yield from _component(component)


def option_rows(parameters: Sequence[Parameter]) -> list[tuple[str, str, str, str]]:
    """Of each option its name, type, default, and what is said of it; and where components are listed that it takes."""
    return [
        (it.name, _words(it.annotation), "required" if it.default is REQUIRED else _written(it.default), _about(it))
        for it in parameters
    ]


def option_lines(parameters: Sequence[Parameter], title: str = "option") -> Iterator[str]:
    """Options with type and default, and what is said of them."""
    rows = [(title, "type", "default", ""), *option_rows(parameters)]
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    for option, words, default, about in rows:
        yield f"  {option:{widths[0]}}  {words:{widths[1]}}  {default}"
        if about:
            yield f"      {about}"


def _component(component: Component) -> Iterator[str]:
    yield f"{component.name}: {KINDS[component.kind].singular}, from {component.distribution} {component.version}"
    if component.summary:
        yield f"  {component.summary}"
    options = component.options.parameters
    settings = component.settings.parameters if component.kind in SAMPLED else []
    yield from option_lines(options) if options else ["  no options"]
    if settings:
        yield from option_lines(settings, "sampling")


def _chosen(registry: Registry, names: Sequence[str]) -> list[Plugin]:
    """Those of ``names``; where kinds of components are among these, no more of each plugin than that."""
    plugins = registry.plugins()
    known = [*(plugin.name for plugin in plugins), *registry.broken, *registry.blocked, *KINDS]
    for name in names:
        if name not in known:
            raise UsageError(f"{name!r} is neither a plugin nor a kind of components{did_you_mean(name, known)}")
    kinds = [name for name in names if name in KINDS]
    chosen = [plugin for plugin in plugins if plugin.name in names or len(kinds) == len(names)]
    if not kinds:
        return chosen
    parts = [[it for it in plugin.components if it.kind in kinds] for plugin in chosen]
    return [replace(plugin, components=part, recipes={}) for plugin, part in zip(chosen, parts, strict=True) if part]


def _brings(plugin: Plugin) -> Iterator[str]:
    for kind in KINDS:
        names = [component.bare_name for component in plugin.components if component.kind == kind]
        if names:
            yield f"{kind}: {', '.join(names)}"
    if plugin.recipes:
        yield f"recipes: {', '.join(name.rpartition('/')[2] for name in plugin.recipes)}"


def _words(annotation: Any) -> str:
    """A type as the author of a recipe would name it."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is Annotated:
        part = next((mark for mark in arguments[1:] if isinstance(mark, Part)), None)
        bounds = [f"{name} {bound}" for mark in arguments[1:] for name, bound in _bounds(mark)]
        return KINDS[part.kind].singular if part else f"{_words(arguments[0])} {' and '.join(bounds)}".strip()
    if origin in (typing.Union, types.UnionType):
        return " or ".join(_words(argument) for argument in arguments)
    if origin is typing.Literal:
        return " or ".join(_written(argument) for argument in arguments)
    if origin is tuple:
        return f"[{', '.join('...' if argument is ... else _words(argument) for argument in arguments)}]"
    if origin is dict:
        return f"mapping of {_words(arguments[1])}"
    if origin is not None and arguments:
        return f"list of {_words(arguments[0])}"
    if "title" in getattr(annotation, "model_config", {}):
        return str(annotation.model_config["title"])
    return WORDS.get(annotation, getattr(annotation, "__name__", str(annotation)).lower())


def _about(it: Parameter) -> str:
    kinds = [f"gangen plugins {kind} lists them" for kind in dict.fromkeys(_kinds(it.annotation))]
    return "; ".join([it.about, *kinds] if it.about else kinds)


def _kinds(annotation: Any) -> Iterator[str]:
    """Those of the components that an option takes."""
    for argument in typing.get_args(annotation):
        yield from [argument.kind] if isinstance(argument, Part) else _kinds(argument)


def _bounds(mark: Any) -> Iterator[tuple[str, Any]]:
    for sign, name in {">": "gt", ">=": "ge", "<": "lt", "<=": "le"}.items():
        bound = getattr(mark, name, None)
        if bound is not None:
            yield sign, bound


def _written(value: Any) -> str:
    plain = to_plain(value)
    return json.dumps(plain) if not isinstance(plain, str) else plain or show(plain)


def _opening(path: Path) -> str:
    first = path.read_text(encoding="utf-8").partition("\n")[0]
    return first.removeprefix("#").strip() if first.startswith("#") else ""


def _near(path: Path) -> Path:
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
