"""What all sections of a recipe have in common: fixed keys, strict types, and errors in plain words."""

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, GetJsonSchemaHandler, model_validator
from pydantic_core import PydanticKnownError

from gangen.components.messages import Keys, in_plain_words, refusal
from gangen.components.options import to_plain
from gangen.components.signatures import REQUIRED, Parameter, description_of


class Section(BaseModel):
    """A part of a recipe. Its title names it in errors: ``class Every(Section, title="every")``.

    ``shorthand`` names the field that a bare value fills: ``discriminate: 5`` says ``discriminate: {times: 5}``.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False, protected_namespaces=())
    shorthand: ClassVar[str | None] = None

    def check(self) -> Iterable[tuple[Keys, str]]:
        """What is wrong with the values taken together: where, and what."""
        return ()

    @model_validator(mode="wrap")
    @classmethod
    def _read(cls, value: Any, handler: Any) -> Self:
        if isinstance(value, cls):
            return value
        if cls.shorthand and isinstance(value, str | int | float):
            value = {cls.shorthand: value}
        if not isinstance(value, Mapping):
            raise PydanticKnownError("dict_type")
        # Around pydantic's own reading of the value: only here it is known whose keys these are.
        with in_plain_words(str(cls.model_config["title"]), value, [*cls.model_fields, *cls.inner()]):
            section = handler(value)
        if problems := list(section.check()):
            raise refusal(problems)
        return section

    @classmethod
    def parameters(cls) -> list[Parameter]:
        """Its keys, as options; a component is written as ``use`` and what stands beside it."""
        text = "\n\n".join(it.__doc__ or "" for it in cls.__mro__ if issubclass(it, Section))
        found = []
        for field_name, field in cls.model_fields.items():
            name = "use" if field_name == "component" else field_name
            default = REQUIRED if field.is_required() else field.default
            if not field.exclude:
                found.append(Parameter(name, field.rebuild_annotation(), default, description_of(name, text)))
        return found

    @classmethod
    def inner(cls) -> list[str]:
        """The keys of the sections in it, with dots."""
        return [
            f"{name}.{key}"
            for name, field in cls.model_fields.items()
            if isinstance(field.annotation, type) and issubclass(field.annotation, Section)
            for key in field.annotation.model_fields
        ]

    def to_plain(self) -> dict[str, Any]:
        return {name: to_plain(getattr(self, name)) for name in type(self).model_fields}

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: Any, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        mapping = handler.resolve_ref_schema(handler(schema))
        for it in cls.parameters():
            if it.about and it.name in mapping["properties"]:
                mapping["properties"][it.name]["description"] = it.about
        return {"anyOf": [{"type": ["string", "number"]}, dict(mapping)]} if cls.shorthand else mapping
