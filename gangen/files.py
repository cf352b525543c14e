"""Files that are whole or not there, their locks, JSON without NaN, and digests of tensors and files."""

import hashlib
import json
import math
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from pathlib import Path
from types import ModuleType
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

fcntl: ModuleType | None
try:
    import fcntl
except ImportError:  # not on Windows
    fcntl = None


def to_json(content: object, indent: int | None = None) -> str:
    """JSON of mappings, lists, dataclasses, words and numbers; nan and infinity are null: JSON has no word for them."""

    def plain(value: object) -> object:
        if is_dataclass(value):
            value = {field.name: getattr(value, field.name) for field in fields(value)}
        if isinstance(value, Mapping):
            return {key: plain(entry) for key, entry in value.items()}
        if isinstance(value, list | tuple):
            return [plain(entry) for entry in value]
        return value if not isinstance(value, float) or math.isfinite(value) else None

    return json.dumps(plain(content), indent=indent, allow_nan=False) + "\n"


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path beside ``path`` that takes its place, whole and on disk, when the block ends well."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    temporary.unlink(missing_ok=True)  # in a stranger's folder it might be a link
    try:
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_atomically(path: Path, text: str) -> None:
    """Write UTF-8 text to ``path``: killed at any moment, what was there before or all of the new text is there."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def take_lock(file: IO[Any]) -> bool:
    """Hold a lock of the operating system on an open file, which ends with the process, however that ends; False where
    another process holds it. File systems that know no locks go without.
    """
    try:
        if fcntl is not None:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        pass
    return True


def digest(tensors: Mapping[str, "Tensor"]) -> str:
    """SHA-256, in hexadecimal digits, of tensors and their names."""
    from safetensors.torch import save  # and torch with it, which other files do not need

    # Cloned, since tensors that share memory, as tied weights do, cannot be written.
    plain = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in sorted(tensors.items())}
    return hashlib.sha256(save(plain)).hexdigest()


def file_digests(folder: Path) -> dict[str, str]:
    """SHA-256 of every file below ``folder``, in hexadecimal digits, by its path from there."""
    found = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        with path.open("rb") as file:
            found[path.relative_to(folder).as_posix()] = hashlib.file_digest(file, "sha256").hexdigest()
    return found
