"""What pydantic finds wrong with a value, in plain words."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from gangen.errors import did_you_mean

EXPECTED = {
    "int_type": "an integer",
    "int_parsing": "an integer",
    "int_from_float": "an integer",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "string_type": "text",
    "path_type": "a path",
    "list_type": "a list",
    "tuple_type": "a list",
    "set_type": "a list",
    "dict_type": "a mapping",
    "none_required": "null",
    "literal_error": "{expected}",
    "greater_than": "more than {gt}",
    "greater_than_equal": "at least {ge}",
    "less_than": "less than {lt}",
    "less_than_equal": "at most {le}",
    "multiple_of": "a multiple of {multiple_of}",
}
LENGTHS = {
    "too_short": "needs {min_length} or more entries, got {actual_length}",
    "too_long": "takes {max_length} entries or fewer, got {actual_length}",
    "missing": "has too few entries",
}


class Finding(NamedTuple):
    """One thing wrong with a value: the way to it from where the reading began, and what."""

    path: tuple[str | int, ...]
    message: str


def raise_findings(findings: Iterable[Finding]) -> None:
    """Hand findings to the pydantic validator that is running; it puts its own path before theirs."""
    from pydantic_core import InitErrorDetails, PydanticCustomError, ValidationError

    details = [
        InitErrorDetails(type=PydanticCustomError("finding", "{message}", {"message": message}), loc=path, input=None)
        for path, message in findings
    ]
    if details:
        raise ValidationError.from_exception_data("value", details)


def findings_of(errors: Iterable[Mapping[str, Any]], value: Any, label: str) -> list[Finding]:
    """Findings from the ``errors()`` of a ValidationError about ``value``; ``label`` names the value.

    A union reports each of its branches: those that reached deeper into the value are kept, and branches that stopped
    at one place become one sentence.
    """
    places: dict[tuple[str | int, ...], list[Mapping[str, Any]]] = {}
    for error in errors:
        places.setdefault(_path_in(value, error["loc"]), []).append(error)
    deepest = [path for path in places if not any(other[: len(path)] == path and other != path for other in places)]
    return [Finding(path, message) for path in deepest for message in _messages(places[path], path, label)]


def show(value: Any) -> str:
    """A value as the author of a recipe would name it."""
    match value:
        case None:
            return "null"
        case bool():
            return str(value).lower()
        case str():
            return repr(value if len(value) <= 60 else value[:57] + "...")
        case Mapping():
            return "a mapping" if value else "an empty mapping"
        case list() | tuple():
            return "a list" if value else "an empty list"
    return repr(value)


def _path_in(value: Any, location: tuple[str | int, ...]) -> tuple[str | int, ...]:
    """The elements of pydantic's location that lead through the value; the others name branches of a union."""
    path: list[str | int] = []
    for element in location:
        inside = isinstance(value, Mapping) and element in value
        inside = inside or (isinstance(value, list) and isinstance(element, int) and element < len(value))
        if inside:
            path.append(element)
            value = value[element]
    return tuple(path)


def _messages(errors: list[Mapping[str, Any]], path: tuple[str | int, ...], label: str) -> list[str]:
    name = ".".join(map(str, (label, *path)))
    found = [error["msg"] for error in errors if error["type"] == "finding"]
    if found:
        return found
    for error in errors:
        if error["type"] in LENGTHS:
            return [f"{name} {LENGTHS[error['type']].format(**error.get('ctx', {}))}"]
        if error["type"] not in EXPECTED:
            return [f"{name}: {error['msg'][:1].lower()}{error['msg'][1:]}"]
    expected = dict.fromkeys(EXPECTED[error["type"]].format(**error.get("ctx", {})) for error in errors)
    given = errors[0]["input"]
    choices = "".join(error["ctx"]["expected"] for error in errors if error["type"] == "literal_error").split("'")[1::2]
    hint = did_you_mean(given, choices) if isinstance(given, str) else ""
    return [f"{name} must be {' or '.join(expected)}, got {show(given)}{hint}"]
