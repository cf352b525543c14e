"""What pydantic finds wrong with a value, in plain words."""

import difflib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from gangen.errors import SHOWN, did_you_mean

if TYPE_CHECKING:
    from pydantic_core import ValidationError

Keys = tuple[str | int, ...]
Line = Mapping[str, Any]

EXPECTED = {
    "int_type": "an integer",
    "float_type": "a number",
    "finite_number": "a finite number",
    "is_instance_of": "a {class}",
    "bool_type": "true or false",
    "string_type": "text",
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


def refusal(problems: Iterable[tuple[Keys, str]]) -> "ValidationError":
    """The error to raise in a pydantic validator about what is wrong at paths inside its value.

    pydantic puts the way to the value before them, and collects them with everything else that is wrong.
    """
    from pydantic_core import InitErrorDetails, PydanticCustomError, ValidationError

    details = [
        InitErrorDetails(type=PydanticCustomError("in_words", "{message}", {"message": message}), loc=path, input=None)
        for path, message in problems
    ]
    return ValidationError.from_exception_data("recipe", details)


def problems_of(error: "ValidationError") -> list[tuple[Keys, str]]:
    """Everything that is wrong: the way to it, and what."""
    return [(line["loc"], line["msg"]) for line in error.errors()]


@contextmanager
def in_plain_words(owner: str, value: Mapping[str, Any], names: Iterable[str]) -> Iterator[None]:
    """Say in gangen's words what pydantic finds wrong with ``value``, the options ``names`` of ``owner``.

    A union reports each of its branches: those that reached deeper into the value are kept, and branches that stopped
    at one place become one complaint.
    """
    from pydantic_core import ValidationError

    try:
        yield
    except ValidationError as error:
        lines = [(_path_in(value, line["loc"]), line) for line in error.errors()]
        places: dict[Keys, list[Line]] = {}
        around = {path[:depth] for path, _ in lines for depth in range(len(path))}
        for path, line in lines:
            # What a location has more than its path names a branch of a union: "float" in ("ema", "float").
            in_branch = 1 < len(line["loc"]) > len(path)
            if not (in_branch and path in around):
                places.setdefault(path, []).append(line)
        names = list(names)
        problems = [
            # Only the first are shown, and hints take time.
            (path, words)
            for number, (path, found) in enumerate(places.items())
            for words in _complaints(found, path, owner, names if number < SHOWN else ())
        ]
        raise refusal(problems) from None


def _hint(name: str, names: Iterable[str]) -> str:
    """As ``did_you_mean``; of a name with dots the last part is what may have been meant."""
    whole: dict[str, str] = {}
    for choice in names:
        whole.setdefault(choice.rpartition(".")[2], choice)
    near = difflib.get_close_matches(name, whole, n=1)
    return f"; did you mean {whole[near[0]]!r}?" if near else ""


def any_of(words: Iterable[str]) -> str:
    """Words as in "a, b or c"."""
    *others, last = words
    return f"{', '.join(others)} or {last}" if others else last


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


def _path_in(value: Any, location: Keys) -> Keys:
    """The elements of pydantic's location that lead through the value; the others name branches of a union."""
    path: list[str | int] = []
    for element in location:
        inside = isinstance(value, Mapping) and element in value
        inside = inside or (isinstance(value, list) and isinstance(element, int) and element < len(value))
        if inside:
            path.append(element)
            value = value[element]
    return tuple(path)


def _complaints(lines: list[Line], path: Keys, owner: str, names: Iterable[str]) -> list[str]:
    said = []
    for line in lines:
        name = line["loc"][-1] if line["loc"] else ""
        match line["type"], len(line["loc"]):
            case "in_words", _:
                said.append(line["msg"])
            case "extra_forbidden", 1:
                said.append(f"unknown option {show(name)} for {owner}{_hint(str(name), names)}")
            case "missing", 1:
                said.append(f"{owner} needs {name!r}")
    if said:
        return said
    name = ".".join(map(str, path))
    for line in lines:
        if line["type"] in LENGTHS:
            return [f"{name} {LENGTHS[line['type']].format(**line.get('ctx', {}))}"]
        if line["type"] not in EXPECTED:
            return [f"{name}: {line['msg'][:1].lower()}{line['msg'][1:]}"]
    expected = dict.fromkeys(EXPECTED[line["type"]].format(**line.get("ctx", {})) for line in lines)
    given = lines[0]["input"]
    choices = "".join(line["ctx"]["expected"] for line in lines if line["type"] == "literal_error").split("'")[1::2]
    hint = did_you_mean(given, choices) if isinstance(given, str) else ""
    return [f"{name} must be {' or '.join(expected)}, got {show(given)}{hint}"]
