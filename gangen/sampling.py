"""Sampling from trained runs: the function that applications call."""

from functools import lru_cache
from pathlib import Path
from typing import Any

from gangen import model
from gangen.errors import RunError
from gangen.model import Model
from gangen.registry import Registry


def load(run: Path | str | None = None, *, registry: Registry | None = None, device: str = "cpu") -> Model:
    """The model of a run directory or model folder; of the newest run below ``runs/`` where none is named.

    Raises RunError where there is no model, UsageError where a plugin of its is not installed.
    """
    folder = _newest() if run is None else Path(run)
    inside = folder / "model"
    return model.load(inside if inside.is_dir() else folder, registry or Registry.discover(), device)


def sample(
    prompt: str | None = None, n: int = 1, *, run: Path | str | None = None, seed: int | None = None, **settings: Any
) -> list[Any]:
    """``n`` samples for a label or prompt from the model of a run (the newest one where none is named).

    Texts come as ``str``. ``seed`` makes them repeatable; ``settings`` go to the generator's ``sample``. The model
    stays loaded until another one is asked for or its files change. See ``load`` and ``Model.sample`` for errors.
    """
    folder = _newest() if run is None else Path(run)
    inside = folder / "model"
    weights = (inside if inside.is_dir() else folder) / "generator.safetensors"
    return _cached(folder.resolve(), weights.stat().st_mtime_ns if weights.exists() else 0).sample(
        prompt, n, seed=seed, **settings
    )


@lru_cache(maxsize=1)
def _cached(folder: Path, written: int) -> Model:
    return load(folder)


def _newest() -> Path:
    models = sorted(
        Path("runs").glob("*/model/gangen.json"),
        key=lambda path: path.with_name("generator.safetensors").stat().st_mtime,
    )
    if not models:
        raise RunError(
            "no run with a model below runs/\ntrain one (gangen recipes/text_gan.yaml), or name one with --run DIR"
        )
    return models[-1].parent.parent
