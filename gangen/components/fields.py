"""Descriptions that codecs keep in a model's folder, read with their types and ranges."""

from pathlib import Path
from typing import Any, get_type_hints

from gangen.bounded import read_json
from gangen.components.messages import in_plain_words, problems_of
from gangen.errors import DataError

# A hundred thousand long labels.
MOST_BYTES = 2**25


def read_fields(path: Path, kind: Any) -> Any:
    """What a file of JSON holds, of which ``kind``, a TypedDict, says all keys with their types.

    Types are read strictly, and may have ranges: ``Annotated[int, Interval(ge=1, le=4)]``.

    Raises:
        DataError: the file is missing, too large, no JSON, or holds anything else; the message says what.
    """
    from pydantic import ConfigDict, TypeAdapter, ValidationError, with_config
    from typing_extensions import TypedDict  # pydantic takes no other before Python 3.12

    known = get_type_hints(kind, include_extras=True)
    fields = TypedDict(path.name, known, total=kind.__total__)  # type: ignore[misc]
    strictly = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)
    try:
        found = read_json(path, MOST_BYTES)
        if not isinstance(found, dict):
            raise ValueError("it holds no mapping")
        with in_plain_words(path.name, found, known):
            return TypeAdapter(with_config(strictly)(fields)).validate_python(found)
    except ValidationError as error:
        words = "; ".join(message for _, message in problems_of(error)[:3])
    except (OSError, ValueError) as error:
        words = str(error)
    raise DataError(f"{path} cannot be read: {words}")
