"""A package with a plugin that works: one network, one game, one recipe, tests."""

import re
import shutil
from collections.abc import Collection
from pathlib import Path

from gangen import __version__
from gangen.components.registry import Registry
from gangen.errors import UsageError

TEMPLATE = Path(__file__).parent / "template"
NAME = "acme"


def write_plugin(name: str, folder: Path, registry: Registry) -> Path:
    """Write the package ``gangen-NAME`` into ``folder``, which appears whole; returns it.

    Raises UsageError for a name that cannot be that of a plugin or that another one has, and where the folder is there
    already or cannot be written.
    """
    taken: Collection[str] = {plugin.name for plugin in registry.plugins()} | registry.broken.keys() | {"local"}
    if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name) or len(name) > 50:
        raise UsageError(f"{name!r} cannot be the name of a plugin: use small letters, digits and '_' between them")
    if name in taken:
        raise UsageError(f"the name {name!r} is already taken by a plugin that is installed: choose another")
    if folder.exists():
        raise UsageError(f"{folder} is there already: name another folder")
    new = folder.with_name(f".{folder.name}.part")
    try:
        shutil.rmtree(new, ignore_errors=True)
        for source in sorted(path for path in TEMPLATE.rglob("*") if path.is_file() and path.suffix != ".pyc"):
            path = new / _renamed(source.relative_to(TEMPLATE).as_posix(), name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(_renamed(source.read_text(encoding="utf-8"), name), encoding="utf-8")
        new.rename(folder)
    except OSError as error:
        raise UsageError(f"cannot write {folder}: {error.strerror}") from None
    return folder


def _renamed(text: str, name: str) -> str:
    text = text.replace("gangen>=0.1.0", f"gangen>={__version__}")
    return text.replace(f"gangen-{NAME}", f"gangen-{name.replace('_', '-')}").replace(NAME, name)
