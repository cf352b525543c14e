"""What torch has once for a whole process, while runs play in it, maybe several in threads."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Any

import torch

from gangen.recipe.sections import Recipe

_LOCK = Lock()
_PLAYING: list[str] = []
_BEFORE: list[Any] = []


@contextmanager
def sharing(recipe: Recipe) -> Iterator[None]:
    """Around what plays or measures ``recipe``: when the last one is done, torch computes as it did before the first.

    Raises RecipeError where another thread plays in another precision, of which torch has one for all.
    """
    precision = recipe.trainer.precision
    with _LOCK:
        if others := set(_PLAYING) - {precision}:
            message = f"another thread of this process plays in {others.pop()}: play one after the other"
            recipe.fail(("trainer", "precision"), message)
        if not _PLAYING:
            _BEFORE[:] = torch.get_default_dtype(), torch.get_num_threads(), *(it.allow_tf32 for it in _backends())
        _PLAYING.append(precision)
    try:
        yield
    finally:
        with _LOCK:
            _PLAYING.remove(precision)
            if not _PLAYING:
                dtype, threads, *allowed = _BEFORE
                torch.set_default_dtype(dtype)
                torch.set_num_threads(threads)
                for backend, allow in zip(_backends(), allowed, strict=True):
                    backend.allow_tf32 = allow


def _backends() -> tuple[Any, ...]:
    return torch.backends.cudnn, torch.backends.cuda.matmul
