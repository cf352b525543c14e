"""Files that strangers wrote, read within bounds: a model's folder must cost no more than it is worth."""

import stat
from pathlib import Path
from typing import Any

# Recipes, descriptions of models, records of runs: the longest of gangen's own have some thousand characters.
MOST_BYTES = 2**20


def read_bytes(path: Path, most: int = MOST_BYTES) -> bytes:
    """All of a file. Raises OSError where it cannot be read, ValueError where it is no regular file, or larger."""
    found = path.stat()
    if not stat.S_ISREG(found.st_mode) and not stat.S_ISDIR(found.st_mode):  # a pipe has no end
        raise ValueError("it is no regular file")
    with path.open("rb") as file:
        content = file.read(most + 1) if found.st_size <= most else None
    if content is None or len(content) > most:
        raise ValueError(f"it is larger than {most:,} bytes")
    return content


def read_json(path: Path, most: int = MOST_BYTES) -> Any:
    """The value in a file of JSON, at most 200 levels deep. Raises as ``read_bytes``, and ValueError for other text."""
    from pydantic_core import from_json  # json.loads counts levels on the stack of C, which others may have opened up

    return from_json(read_bytes(path, most))


def lies_in(path: Path, folder: Path) -> bool:
    """Whether ``path``, all links followed, lies below ``folder``: in a stranger's one a link may lead anywhere."""
    try:
        return path.resolve().is_relative_to(folder.resolve())
    except (OSError, RuntimeError):  # links that lead to each other
        return False
