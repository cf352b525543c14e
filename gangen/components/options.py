"""A component's options: the keyword-only parameters of its constructor, checked against what a recipe gives."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

from gangen.components.messages import Finding, findings_of, raise_findings, show
from gangen.components.signatures import REQUIRED, Parameter, from_object, keyword_parameters
from gangen.errors import PluginError, UsageError, did_you_mean
from gangen.hookspecs import SINGULAR
from gangen.schedules import Schedule

if TYPE_CHECKING:
    from gangen.components.registry import Registry

# In a JSON Schema of options, stands for a reference to a definition; pydantic resolves references of its own.
DEFINITION = "gangen-definition"


@dataclass(frozen=True)
class Use:
    """A component that a recipe chose: its kind, full name and complete, validated options."""

    kind: str
    name: str
    options: dict[str, Any]

    def to_plain(self) -> dict[str, Any]:
        return {"use": self.name, **to_plain(self.options)}


@dataclass(frozen=True)
class Part:
    """Marks an option that is itself a component: ``loss: Annotated[Any, Part("losses")] = "hinge"``.

    A recipe gives its name, or a mapping of ``use`` and its options; the constructor receives the built component.
    """

    kind: str

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        def validate(value: Any, info: Any) -> Use:
            use, findings = read_use(self.kind, value, info.context)
            raise_findings(findings)
            return use

        from pydantic_core import core_schema

        return core_schema.with_info_plain_validator_function(validate)

    def __get_pydantic_json_schema__(self, schema: Any, handler: Any) -> dict[str, Any]:
        return {DEFINITION: self.kind}


class Section:
    """A part of a recipe with fixed keys: a keyword-only frozen dataclass whose fields are read like options.

    ``shorthand`` names the field that a bare value fills: ``discriminate: 5`` says ``discriminate: {times: 5}``.
    """

    title: ClassVar[str]
    shorthand: ClassVar[str | None] = None

    @classmethod
    def read(cls, value: Any, registry: "Registry | None" = None) -> Self:
        """Validate a mapping; runs inside a pydantic validator, which collects what is wrong."""
        from pydantic_core import PydanticKnownError

        if cls.shorthand and isinstance(value, str | int | float):
            value = {cls.shorthand: value}
        if not isinstance(value, Mapping):
            raise PydanticKnownError("dict_type")
        values, findings = cls.options().validate(value, registry)
        raise_findings(findings)
        section = cls(**values)
        raise_findings(section.check())
        return section

    @classmethod
    def options(cls) -> "OptionSet":
        return OptionSet(cls.title, from_object(cls))

    def check(self) -> Iterable[Finding]:
        """What is wrong with the values taken together."""
        return ()

    def to_plain(self) -> dict[str, Any]:
        return {field.name: to_plain(getattr(self, field.name)) for field in fields(self)}

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        from pydantic_core import core_schema

        return core_schema.with_info_plain_validator_function(lambda value, info: cls.read(value, info.context))

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: Any, handler: Any) -> dict[str, Any]:
        mapping = cls.options().json_schema()
        return {"anyOf": [{"type": ["string", "number"]}, mapping]} if cls.shorthand else mapping


@dataclass(frozen=True)
class OptionSet:
    """The options of ``owner``, for instance of ``generator 'text/lstm'``."""

    owner: str
    parameters: list[Parameter]

    @classmethod
    def of(cls, owner: str, target: str) -> "OptionSet":
        """The options of the component at an import string, without importing it where its source is plain enough."""
        return cls(owner, keyword_parameters(target, {"Part": Part, "Schedule": Schedule}))

    @property
    def names(self) -> list[str]:
        return [parameter.name for parameter in self.parameters]

    @cached_property
    def _adapters(self) -> dict[str, Any]:
        from pydantic import PydanticUserError, TypeAdapter

        try:
            return {parameter.name: TypeAdapter(parameter.annotation) for parameter in self.parameters}
        except PydanticUserError as error:
            reason = error.message.splitlines()[0]
            raise PluginError(f"an option of {self.owner} has a type that no recipe can give: {reason}") from error

    def validate(self, given: Mapping[str, Any], registry: "Registry | None") -> tuple[dict[str, Any], list[Finding]]:
        """Every option with its validated value or default, and all that is wrong with what was given.

        Values are checked strictly and as JSON: "3" and true are not integers, but 1 is a number and a list a tuple.
        """
        from pydantic import ValidationError

        findings = [
            Finding((name,), f"unknown option {name!r} for {self.owner}{did_you_mean(name, self.names)}")
            for name in given
            if name not in self.names
        ]
        values = {}
        for name, _, default in self.parameters:
            value = to_plain(given.get(name, default))
            if value is REQUIRED:
                findings.append(Finding((), f"{self.owner} needs {name!r}"))
                continue
            try:
                values[name] = self._adapters[name].validate_json(json.dumps(value), strict=True, context=registry)
            except ValidationError as error:
                found = findings_of(error.errors(), value, name)
                findings += [Finding((name, *path), message) for path, message in found]
        return values, findings

    def json_schema(self) -> dict[str, Any]:
        """JSON Schema of a mapping of these options."""
        properties = {}
        for name, _, default in self.parameters:
            properties[name] = self._adapters[name].json_schema()
            if default is not REQUIRED:
                properties[name]["default"] = to_plain(default)
        required = [name for name, _, default in self.parameters if default is REQUIRED]
        return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def read_use(kind: str, value: Any, registry: "Registry") -> tuple[Use | None, list[Finding]]:
    """The component that a name, or a mapping of ``use`` and options, chooses; and all that is wrong with it."""
    if isinstance(value, str):
        value, place = {"use": value}, ()
    else:
        place = ("use",)
    if not isinstance(value, Mapping):
        return None, [Finding((), f"{kind} are chosen by a name or a mapping with 'use', got {show(value)}")]
    options = dict(value)
    name = options.pop("use", None)
    if not isinstance(name, str):
        return None, [Finding((), f"no {SINGULAR[kind]} is chosen: 'use' must be its name")]
    try:
        component = registry.find(kind, name)
        values, findings = component.options().validate(options, registry)
    except UsageError as error:
        return None, [Finding(place, str(error))]
    return Use(kind, component.name, values), findings


def to_plain(value: Any) -> Any:
    """Options as a recipe writes them: mappings, lists, text, numbers, true, false and null."""
    match value:
        case Use() | Schedule() | Section():
            return value.to_plain()
        case Mapping():
            return {str(key): to_plain(item) for key, item in value.items()}
        case list() | tuple():
            return [to_plain(item) for item in value]
        case Path():
            return str(value)
    return value
