"""A component's options: the keyword-only parameters of its constructor, checked against what a recipe gives."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Protocol, Self

from annotated_types import Interval

from gangen.components.messages import in_plain_words, refusal, show
from gangen.components.signatures import REQUIRED, Parameter, Target, keyword_parameters
from gangen.errors import PluginError, UsageError
from gangen.hookspecs import KINDS
from gangen.schedules import Schedule

# In a JSON Schema of options, stands for a reference to a definition; pydantic resolves references of its own.
DEFINITION = "gangen-definition"


# What an option ``seed`` may be: torch's generators take no more.
Seed = Annotated[int, Interval(ge=0, lt=2**63)]


class Components(Protocol):
    """Where components are looked up; pydantic's validators get it as their context."""

    def find(self, kind: str, name: str) -> Any:
        """The component, which has ``name`` and ``options``. Raises UsageError where there is none."""


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
        from pydantic_core import core_schema

        return core_schema.with_info_plain_validator_function(
            lambda value, info: read_use(self.kind, value, info.context)
        )

    def __get_pydantic_json_schema__(self, schema: Any, handler: Any) -> dict[str, Any]:
        return {DEFINITION: self.kind}


@dataclass(frozen=True)
class Options:
    """What can be told to ``owner``, for instance to ``generator 'text/lstm'``."""

    owner: str
    parameters: list[Parameter]

    @classmethod
    def of(cls, owner: str, target: Target, method: str = "__init__") -> Self:
        """The options of the component at an import string, without importing it where its source is plain enough."""
        return cls(owner, keyword_parameters(target, {"Part": Part, "Schedule": Schedule}, method))

    @property
    def names(self) -> list[str]:
        return [parameter.name for parameter in self.parameters]

    @cached_property
    def adapter(self) -> Any:
        """pydantic's reader of a mapping of these options."""
        from pydantic import ConfigDict, Field, PydanticUserError, TypeAdapter, with_config
        from typing_extensions import TypedDict

        fields = {
            it.name: Annotated[
                it.annotation, Field(default=self.defaults.get(it.name, ...), description=it.about or None)
            ]
            for it in self.parameters
        }
        # A dictionary of types and not a model: an option may have any name, also that of a method of models.
        mapping = TypedDict(self.owner, fields)  # type: ignore[misc]
        try:
            return TypeAdapter(with_config(ConfigDict(extra="forbid", strict=True))(mapping))
        except PydanticUserError as error:
            reason = error.message.splitlines()[0]
            raise PluginError(f"an option of {self.owner} has a type that no recipe can give: {reason}") from error

    @cached_property
    def defaults(self) -> dict[str, Any]:
        """What options are that are not given, as a recipe would write it."""
        return {it.name: to_plain(it.default) for it in self.parameters if it.default is not REQUIRED}

    def read(
        self, given: Mapping[str, Any], components: Components | None = None, others: Iterable[str] = ()
    ) -> dict[str, Any]:
        """Every option with its value or default, as the constructor takes it.

        ``others`` are what may be meant by an unknown option besides the options there are.

        Values are read strictly and as JSON: "3" and true are not integers, but 1 is a number and a list a tuple.

        Raises:
            ValidationError: all that is wrong, in plain words.
        """
        # Defaults are written as in a recipe, and so are read like what is given. As JSON: in pydantic's mode for
        # Python a strict tuple could not be a list, nor a path text, and YAML has nothing else.
        values = self.defaults | dict(given)
        with in_plain_words(self.owner, values, [*self.names, *others]):
            return self.adapter.validate_json(json.dumps(values), context=components)


def read_use(kind: str, value: Any, components: Components, others: Iterable[str] = ()) -> Use:
    """The component that a name, or a mapping of ``use`` and options, chooses; see ``Options.read`` for ``others``.

    Raises:
        ValidationError: all that is wrong, in plain words.
    """
    place = ("use",) if isinstance(value, Mapping) else ()
    options = dict(value) if isinstance(value, Mapping) else {"use": value}
    if "use" not in options:
        raise refusal([((), f"no {KINDS[kind].singular} is chosen: 'use' must be its name")])
    name = options.pop("use")
    if not isinstance(name, str):
        raise refusal([(place, f"{kind} are chosen by a name or a mapping with 'use', got {show(name)}")])
    try:
        component = components.find(kind, name)
        return Use(kind, component.name, component.options.read(options, components, others))
    except UsageError as error:
        raise refusal([(place, str(error))]) from None


def to_plain(value: Any) -> Any:
    """Options as a recipe writes them: mappings, lists, text, numbers, true, false and null."""
    if hasattr(value, "to_plain"):
        return value.to_plain()
    match value:
        case Mapping():
            return {str(key): to_plain(item) for key, item in value.items()}
        case list() | tuple():
            return [to_plain(item) for item in value]
        case Path():
            return str(value)
    return value
