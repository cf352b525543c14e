"""A recipe of one's own: a copy of one that is installed."""

from pathlib import Path

from gangen.components.registry import Registry
from gangen.errors import UsageError
from gangen.recipe.load import recipe_file


def copy_recipe(name: str, target: Path, registry: Registry) -> Path:
    """Write the recipe of this name, or in this file, to ``target``, or into it where it is a folder; returns the file.

    Raises UsageError where there is no such recipe, a file that it would replace, or one that cannot be written.
    """
    source = recipe_file(name, registry)
    path = target / source.name if target.is_dir() else target
    try:
        text = source.read_bytes()
        with path.open("xb") as file:
            file.write(text)
    except FileExistsError:
        raise UsageError(f"{path} is there already: name another file") from None
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}") from None
    return path
