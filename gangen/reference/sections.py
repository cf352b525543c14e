"""What may be written into the sections of a recipe, as lines for a terminal, and as a page of Markdown."""

import typing
from collections.abc import Iterator
from typing import Any

from gangen.components.catalogue import option_lines
from gangen.components.registry import Registry
from gangen.components.signatures import Parameter
from gangen.errors import UsageError, did_you_mean
from gangen.hookspecs import KINDS
from gangen.recipe.sections import Recipe
from gangen.recipe.strict import Section
from gangen.reference.components import option_table


def _sections(section: type[Section]) -> dict[str, type[Section]]:
    """All sections in one, by the key that they stand under."""
    found: dict[str, type[Section]] = {}
    for name, field in section.model_fields.items():
        for inner in _classes(field.annotation):
            found |= {name: inner, **_sections(inner)}
    return found


def _classes(annotation: Any) -> list[type[Section]]:
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return [annotation]
    return [found for argument in typing.get_args(annotation) for found in _classes(argument)]


SECTIONS: dict[str, type[Section]] = {"recipe": Recipe, **_sections(Recipe)}


def section_lines(registry: Registry, name: str) -> Iterator[str]:
    """The section of a recipe under a key, with its own keys.

    Raises:
        UsageError: no section is called so.
    """
    if name not in SECTIONS:
        components = [it for kind in KINDS for it in registry.all(kind)]
        choices = [*(it.name for it in components), *(it.bare_name for it in components), *SECTIONS]
        raise UsageError(f"nothing is called {name!r}{did_you_mean(name, choices)}\nsee: gangen plugins")
    section = SECTIONS[name]
    yield f"{name}: {'all of a recipe' if section is Recipe else 'a section of recipes'}"
    yield f"  {_opening(section).replace('`', '')}"
    yield from option_lines(_keys(section), "key")


def recipe_lines() -> Iterator[str]:
    """The page of all sections, the recipe as a whole first."""
    yield "# Recipes, key by key"
    yield "\nWhat stands under a key that is a heading here has keys of its own."
    for name, section in SECTIONS.items():
        yield f"\n## {name}\n\n{_opening(section)}"
        yield from option_table(_keys(section), "key")


def _opening(section: type[Section]) -> str:
    return (section.__doc__ or "").replace("``", "`").splitlines()[0]


def _keys(section: type[Section]) -> list[Parameter]:
    """Those of a section; a section in it has defaults of its own."""
    return [it._replace(default={}) if isinstance(it.default, Section) else it for it in section.parameters()]
