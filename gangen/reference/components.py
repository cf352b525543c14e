"""The components that are installed as pages of Markdown, one for each kind, made of signatures and docstrings."""

import inspect
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

from gangen.components.catalogue import SAMPLED, option_rows
from gangen.components.component import Component
from gangen.components.options import Use
from gangen.components.registry import Registry
from gangen.components.signatures import Parameter
from gangen.errors import PluginError, RecipeError
from gangen.hookspecs import KINDS
from gangen.recipe.load import load_recipe
from gangen.recipe.source import RecipeSource
from gangen.recipe.strict import Section

# "Zhu et al. (2017)", "Miyato and Koyama, 2018", "Kim 2014".
_NAME = r"(?:de )?(?:[A-Z][\w'-]+ )?(?:d')?[A-Z][\w'-]+"
_PAPER = re.compile(rf"\b({_NAME}(?: et al\.| and {_NAME})?),? \(?((?:19|20)\d\d)\b")


def kind_lines(registry: Registry, kind: str) -> Iterator[str]:
    """The page of a kind: of each component what it is, its options, papers that its docstring names, and recipes."""
    yield f"# {kind.capitalize()}"
    yield f"\n{KINDS[kind].about[:1].upper()}{KINDS[kind].about[1:]}."
    recipes = recipes_by_component(registry)
    for component in registry.all(kind):
        yield from _component(component, recipes.get((kind, component.name), []))


@lru_cache(maxsize=1)
def recipes_by_component(registry: Registry) -> dict[tuple[str, str], list[str]]:
    """Which recipes name a component, by its kind and full name; those that use it by default do not count."""
    found: dict[tuple[str, str], list[str]] = {}
    for name, path in sorted(registry.recipes().items()):
        try:
            recipe = load_recipe(path, registry=registry, run_code=False)
        except RecipeError:  # one with code of its own, of which nothing is run here
            continue
        written = set(_texts(RecipeSource.read(path).tree))
        for use in dict.fromkeys((use.kind, use.name) for use in _uses(vars(recipe))):
            if written & {use[1], use[1].partition("/")[2]}:
                found.setdefault(use, []).append(name)
    return found


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """A table in Markdown, after a blank line."""
    yield ""
    for row in [header, ["---"] * len(header), *rows]:
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |"


def option_table(parameters: Sequence[Parameter], title: str = "option") -> Iterator[str]:
    """Options with type and default, and what is said of them."""
    rows = [
        (f"`{name}`", words, default if default == "required" else f"`{default}`", about)
        for name, words, default, about in option_rows(parameters)
    ]
    return table((title, "type", "default", ""), rows)


def _component(component: Component, recipes: Sequence[str]) -> Iterator[str]:
    said = _docstring(component)
    opening = " ".join(said.partition("\n\n")[0].split()).replace("``", "`")
    yield f"\n## {component.name}"
    yield from (f"\n{words}" for words in (component.summary and f"*{component.summary}*", opening) if words)
    yield from _options(component)
    if papers := _PAPER.findall(" ".join(said.split())) or _PAPER.findall(component.summary):
        yield f"\nPapers: {'; '.join(dict.fromkeys(map(' '.join, papers)))}"
    if recipes:
        yield f"\nRecipes: {', '.join(f'`{name}`' for name in recipes)}"


def _options(component: Component) -> Iterator[str]:
    """What it can be told, and how it samples; why that is not known where it cannot be loaded."""
    try:
        options = component.options.parameters
        settings = component.settings.parameters if component.kind in SAMPLED else []
    except PluginError as error:
        yield f"\nIts options are not known here: {error}"
        return
    if options:
        yield from option_table(options)
    if settings:
        yield from option_table(settings, "sampling")


def _docstring(component: Component) -> str:
    """What its class or function says of itself; nothing where that cannot be loaded, as without an extra."""
    try:
        return inspect.getdoc(component.load()) or ""
    except PluginError:
        return ""


def _uses(value: Any) -> Iterator[Use]:
    """All components in a recipe, or in a part of it."""
    if isinstance(value, Use):
        yield value
        value = value.options
    if isinstance(value, Mapping):
        value = list(value.values())
    elif isinstance(value, Section):
        value = list(vars(value).values())
    for part in value if isinstance(value, list | tuple) else ():
        yield from _uses(part)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    for part in value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ():
        yield from _texts(part)
