"""JSON Schema of recipes, with the options of every installed component, for completion and checks in editors."""

import json
from typing import Any

from pydantic.json_schema import GenerateJsonSchema

from gangen.components.component import Component
from gangen.components.options import DEFINITION
from gangen.components.registry import Registry
from gangen.errors import PluginError
from gangen.hookspecs import KINDS
from gangen.recipe.players import PLAYER_KINDS, PlayerSettings
from gangen.recipe.sections import Recipe


class _Untitled(GenerateJsonSchema):
    """Every option has a title else, which is its name again."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def recipe_schema(registry: Registry) -> dict[str, Any]:
    """The schema of a recipe that uses what is in ``registry``."""
    schema, player = (section.model_json_schema(schema_generator=_Untitled) for section in (Recipe, PlayerSettings))
    schema["required"].remove("run")
    definitions = schema["$defs"] | player["$defs"] | {kind: _choice(registry, kind, {}) for kind in KINDS}
    for kind in PLAYER_KINDS:
        definitions[f"player_{kind}"] = _choice(registry, kind, {"kind": {"const": kind}, **player["properties"]})
    group = {"type": "object", "properties": {"match": {"type": "string"}}, "required": ["match"]}
    groups = {"type": "array", "items": group}
    definitions["player_optimizer"] = _choice(registry, "optimizers", {"groups": groups}, default="gangen/adam")
    schema |= {"$defs": definitions}
    schema |= {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "a gangen recipe"}
    # pydantic looks up references itself and does not know ours.
    return json.loads(json.dumps(schema).replace(f'"{DEFINITION}": "', '"$ref": "#/$defs/'))


def _choice(registry: Registry, kind: str, settings: dict[str, Any], default: str | None = None) -> dict[str, Any]:
    """A name alone, or a mapping whose ``use`` decides which options there are, those of ``default`` without any."""
    components = registry.all(kind)
    names = {component.name: _names(component, components) for component in components}
    known = {"enum": [name for choices in names.values() for name in choices]}
    branches = [
        {
            "if": {
                "properties": {"use": {"enum": names[component.name]}},
                "required": [] if component.name == default else ["use"],
            },
            "then": _options(component, settings),
        }
        for component in components
    ]
    required = [] if default else ["use"]
    mapping = {"type": "object", "properties": {"use": known}, "required": required, "allOf": branches}
    # Without a component of the kind nothing can be chosen; an empty allOf is not a schema.
    return {"description": KINDS[kind].singular, "anyOf": [known, mapping]} if components else {"not": {}}


def _options(component: Component, settings: dict[str, Any]) -> dict[str, Any]:
    try:
        schema = component.options.adapter.json_schema(schema_generator=_Untitled)
    except PluginError:  # its options are unknown, and so anything may be given
        return {}
    return {**schema, "properties": {"use": {"description": component.summary}, **schema["properties"], **settings}}


def _names(component: Component, components: list[Component]) -> list[str]:
    unique = sum(other.bare_name == component.bare_name for other in components) == 1
    return [component.name, component.bare_name] if unique else [component.name]
