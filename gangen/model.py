"""A trained model on disk: what is sampled from, and shared. Loading one runs none of its code."""

import inspect
import json
import shutil
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from gangen import noise
from gangen.components.messages import problems_of
from gangen.components.options import read_use
from gangen.components.registry import Registry
from gangen.contracts import Codec
from gangen.errors import RunError, UsageError, did_you_mean
from gangen.files import replacing, write_atomically
from gangen.networks import evaluating
from gangen.recipe.sections import Recipe

FORMAT = 1


class Model:
    """A generator with the codec of the data it learned from."""

    def __init__(self, generator: nn.Module, codec: Codec, name: str, device: torch.device) -> None:
        self.generator = generator.to(device).eval()
        self.codec = codec
        self.name = name
        self.device = device

    def sample(self, prompt: str | None = None, n: int = 1, *, seed: int | None = None, **settings: Any) -> list[Any]:
        """``n`` decoded samples for a label or prompt; None asks for whatever the data holds.

        ``seed`` makes them repeatable. ``settings`` go to the generator (for texts, say, ``temperature=0.8``).
        Raises UsageError for a prompt or a setting that means nothing to this model.
        """
        if n < 1:
            raise UsageError(f"n must be at least 1, got {n}")
        return self._draw(self.generator.sample, (n,), prompt, seed, settings)

    def interpolate(
        self, prompt: str | None = None, n: int = 8, *, rows: int = 1, seed: int | None = None, **settings: Any
    ) -> list[Any]:
        """``rows`` times ``n`` decoded samples, row by row: those of a row go evenly from one sample to another.

        ``prompt``, ``seed`` and ``settings`` as in ``sample``. Raises UsageError where it does, and for a model that
        knows no way between its samples.
        """
        if not hasattr(self.generator, "interpolate"):
            raise UsageError(f"{self.name} cannot interpolate: there is nothing between two of its samples")
        if n < 2 or rows < 1:
            raise UsageError(f"interpolation needs n of at least 2, in 1 row or more; got n={n} and rows={rows}")
        return self._draw(self.generator.interpolate, (rows, n), prompt, seed, settings)

    def _draw(
        self,
        method: Callable[..., Tensor],
        counts: tuple[int, ...],
        prompt: str | None,
        seed: int | None,
        settings: dict[str, Any],
    ) -> list[Any]:
        self._check(method, settings)
        seed = torch.seed() >> 1 if seed is None else seed
        with noise.shared(seed), evaluating(self.generator):
            condition = {name: tensor.to(self.device) for name, tensor in self.codec.encode(prompt, counts[0]).items()}
            return self.codec.decode(method(*counts, condition, **settings))

    def _check(self, method: Callable[..., Tensor], settings: dict[str, Any]) -> None:
        parameters = inspect.signature(method).parameters.values()
        known = {it.name: it.annotation for it in parameters if it.kind is it.KEYWORD_ONLY}
        for name, value in settings.items():
            if known.get(name) in (int, float) and (isinstance(value, bool) or not isinstance(value, int | float)):
                raise UsageError(f"sampling setting '{name}' is a number, got {value!r}")
            if name not in known:
                raise UsageError(
                    f"{self.name} has no sampling setting '{name}'{did_you_mean(name, known)}\n"
                    f"it has: {', '.join(known)}"
                )


def export(folder: Path, generator: nn.Module, codec: Codec, recipe: Recipe, distributions: dict[str, str]) -> None:
    """Write the model of a run to ``folder``: weights, codec files, and what they belong to.

    A folder that is not there yet appears whole. In one that is, files are replaced one by one, each whole; only the
    weights differ between two exports of a run.
    """
    if not folder.exists():
        new = folder.with_name(f".{folder.name}.part")
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir(parents=True)
        export(new, generator, codec, recipe, distributions)
        new.rename(folder)
        return
    generator_use = recipe.players["generator"].component.to_plain()
    about = {"format": FORMAT, "generator": generator_use, "data": recipe.data.name, "plugins": distributions}
    codec.save(folder)
    write_atomically(folder / "gangen.json", json.dumps(about, indent=1) + "\n")
    with replacing(folder / "generator.safetensors") as temporary:
        tensors = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in generator.state_dict().items()}
        save_file(tensors, temporary)


def read_model(folder: Path, registry: Registry, device: torch.device | str = "cpu") -> Model:
    """The model in ``folder``. Raises RunError where none is or it is damaged, UsageError where a plugin is missing."""
    try:
        about = json.loads((folder / "gangen.json").read_text(encoding="utf-8"))
        if about["format"] != FORMAT:
            raise RunError(
                f"{folder} was written in format {about['format']}; this version of gangen reads format {FORMAT}"
            )
        generator, data, plugins = dict(about["generator"]), str(about["data"]), dict(about["plugins"])
    except FileNotFoundError:
        raise RunError(
            f"no model in {folder}: gangen.json is missing\na run writes its model with the first checkpoint"
        ) from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunError(f"{folder / 'gangen.json'} cannot be read: {error}") from None
    codec_class = _find(registry, "data", data, plugins).load().codec_class
    component = _find(registry, "generators", str(generator.get("use")), plugins)
    try:
        use = read_use("generators", generator, registry)
    except ValidationError as error:
        message = problems_of(error)[0][1]
        raise RunError(f"{folder / 'gangen.json'} does not fit '{component.name}': {message}") from None
    try:
        codec = codec_class.load(folder)
        net = registry.build(use, spec=codec.spec)
        net.load_state_dict(load_file(folder / "generator.safetensors"))
    except (OSError, SafetensorError, ValueError, KeyError, TypeError, RuntimeError) as error:
        raise RunError(f"the model in {folder} is damaged: {error}") from None
    return Model(net, codec, component.name, torch.device(device))


def _find(registry: Registry, kind: str, name: str, plugins: dict[str, str]) -> Any:
    try:
        return registry.find(kind, name)
    except UsageError as error:
        namespace = name.partition("/")[0]
        hint = f"\nthe model was made with {plugins[namespace]}; install it" if namespace in plugins else ""
        raise UsageError(f"{error}{hint}") from None


def load(run: Path | str | None = None, *, registry: Registry | None = None, device: str = "cpu") -> Model:
    """The model of a run directory or model folder; of the newest run below ``runs/`` where none is named.

    Raises RunError where there is no model, UsageError where a plugin of its is not installed.
    """
    folder = _newest() if run is None else Path(run)
    inside = folder / "model"
    return read_model(inside if inside.is_dir() else folder, registry or Registry.discover(), device)


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
