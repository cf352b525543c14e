"""A trained model on disk: what is sampled from, and shared. Loading one runs none of its code."""

import json
import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache, partial
from numbers import Integral
from pathlib import Path
from shlex import quote
from typing import Any

import torch
from pydantic import ConfigDict, PydanticInvalidForJsonSchema, TypeAdapter, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from gangen import noise
from gangen.components.component import Component
from gangen.components.messages import EXPECTED, any_of, problems_of, show
from gangen.components.options import Use, read_use
from gangen.components.registry import LOCAL, Registry
from gangen.contracts import Batch, Codec
from gangen.errors import RunError, UsageError, did_you_mean
from gangen.files import replacing, write_atomically
from gangen.networks import Players, load_state, state_of
from gangen.recipe.players import PLAYER_KINDS
from gangen.recipe.sections import Recipe
from gangen.samplers import Sampler, drawing, drawn, settings_of

FORMAT = 2
# How many samples are drawn at once, at most, where a model does not say, as those of format 1 do not.
AT_ONCE = 500
# A few samples show how large one is; then so many are drawn at once that they hold no more numbers than this. What
# networks of images make on the way is hundreds of times as large as the image, and slower where no cache holds it.
FIRST_AT_ONCE, NUMBERS_AT_ONCE = 8, 2**18
MOST = 10_000_000
_SETTING = ConfigDict(strict=True, allow_inf_nan=False, arbitrary_types_allowed=True)


class Model:
    """The sampler of a trained game, with the codec of the data it learned from.

    ``batch_size`` is how many samples are drawn at once at most: of large ones it is fewer.
    """

    def __init__(
        self,
        sampler: Sampler,
        networks: Mapping[str, nn.Module],
        codec: Codec,
        name: str,
        device: torch.device,
        batch_size: int = AT_ONCE,
    ) -> None:
        self.sampler = sampler
        self.networks = {name: network.eval() for name, network in networks.items()}
        self.codec = codec
        self.name = name
        self.device = device
        self.batch_size = batch_size

    def sample(self, prompt: Any = None, n: int = 1, *, seed: int | None = None, **settings: Any) -> list[Any]:
        """``n`` decoded samples for a prompt; None asks for whatever the data holds.

        A prompt is what the codec takes: a label, a text, an image. A list holds several, and the samples come prompt
        by prompt, ``n`` for each. ``settings`` are the sampler's (for texts, say, ``temperature=0.8``); a tensor among
        them has a row for each sample.

        ``seed``, from 0, makes samples repeatable: sample i of a prompt is the same for any ``n``, and whatever prompts
        follow. That is so of noise that comes from ``gangen.noise``; of a network that draws by torch's own generators
        the same call gives the same samples, and no other call. How floats are rounded depends on how many samples are
        computed at once: rarely, a pixel differs by 1 of 255, or a token is another.

        Raises UsageError for a prompt or a setting that means nothing to this model, and for values out of range.
        """
        return self.draw("sample", prompt, n, seed=seed, **settings)

    def interpolate(
        self, prompt: Any = None, n: int = 8, *, rows: int = 1, seed: int | None = None, **settings: Any
    ) -> list[Any]:
        """``rows`` times ``n`` decoded samples, row by row: those of a row go evenly from one sample to another.

        ``prompt``, ``seed`` and ``settings`` as in ``sample``; row r of a seed is the same for any number of rows.
        Raises UsageError where it does, and for a model that knows no way between its samples.
        """
        method: Any = getattr(self.sampler, "interpolate", None)
        if method is None:
            raise UsageError(f"{self.name} cannot interpolate: there is nothing between two of its samples")
        n, rows = _count("n", n, 2), _count("rows", rows)
        self._check(method, settings, rows)

        def ways(count: int, condition: Batch, chosen: Mapping[str, Any]) -> Tensor:
            return method(count, n, condition, **chosen)

        with drawing(seed := _seed(seed), self.device, *self.networks.values()):
            return list(self._decoded(ways, rows, self._condition(prompt, rows), settings, seed, range(1)))

    def draw(self, verb: str, prompt: Any = None, n: int = 1, *, seed: int | None = None, **settings: Any) -> list[Any]:
        """What a method of the sampler's makes, decoded: ``draw("reconstruct", image)``. The rest is as in ``sample``.

        Raises UsageError where ``sample`` does, and where the sampler has no such method.
        """
        n = _count("n", n)
        if verb == "interpolate":
            return self.interpolate(prompt, n, seed=seed, **settings)
        method: Callable[..., Any] | None = None if verb.startswith("_") else getattr(self.sampler, verb, None)
        if not callable(method):
            raise UsageError(f"{self.name} cannot {verb}")
        prompts = prompt if isinstance(prompt, list) else [prompt]
        self._check(method, settings, n * len(prompts))
        made: list[Any] = []
        with drawing(seed := _seed(seed), self.device, *self.networks.values()):
            for which, condition in _together([self._condition(each, n) for each in prompts]):
                here = _rows_of(settings, slice(len(made), len(made) + n * len(which)))
                made += self._decoded(partial(drawn, method), n, condition, here, seed, which)
        return made

    def _decoded(
        self,
        make: Callable[[int, Batch, Mapping[str, Any]], Tensor],
        n: int,
        condition: Batch,
        settings: Mapping[str, Any],
        seed: int,
        prompts: range,
    ) -> Iterator[Any]:
        """What ``make`` makes of ``n`` rows of ``condition`` for each of the prompts with these numbers, decoded.

        The noise of a row follows from ``seed``, the number of its prompt and its own behind this prompt. Rows are made
        in parts, so that memory grows by no more than what is decoded.
        """
        start, total, at_once = 0, n * len(prompts), FIRST_AT_ONCE
        while start < total:
            count = min(at_once, self.batch_size, total - start)
            rows = slice(start, start + count)
            with noise.by_row([(seed, prompts[row // n], row % n) for row in range(start, rows.stop)]):
                made = make(count, _rows_of(condition, rows), _rows_of(settings, rows))
            if made.is_floating_point() and not made.isfinite().all():
                raise RunError(
                    f"{self.name} makes samples that are not finite: its weights have grown out of all measure\n"
                    "sample from an earlier one, if phases/ or best/ have it, or train by a lower learning rate"
                )
            yield from self.codec.decode(made)
            start, at_once = rows.stop, max(1, NUMBERS_AT_ONCE * count // max(1, made.numel()))

    def _check(self, verb: Callable[..., Any], settings: Mapping[str, Any], n: int) -> None:
        """Raises UsageError for a setting that ``verb`` does not have, or that is not of its type or of ``n`` rows."""
        known = settings_of(verb)
        for name, value in settings.items():
            if name not in known:
                raise UsageError(
                    f"{self.name} has no sampling setting '{name}'{did_you_mean(name, known)}\n{_has(known)}"
                )
            try:
                TypeAdapter(known[name], config=_SETTING).validate_python(value)
            except ValidationError as error:
                wrong = [EXPECTED.get(it["type"], it["msg"]).format(**it.get("ctx", {})) for it in error.errors()]
                where = "" if _writable(known[name]) else "\nit can be given in Python alone"
                raise UsageError(
                    f"sampling setting '{name}' must be {any_of(wrong)}, got {show(value)}{where}"
                ) from None
            if isinstance(value, Tensor) and value.shape[:1] != (n,):
                shape = list(value.shape)
                raise UsageError(f"sampling setting '{name}' has a row for each of {n} samples, got shape {shape}")

    def _condition(self, prompt: Any, n: int) -> Batch:
        if prompt is not None and not isinstance(prompt, getattr(self.codec, "prompt_types", str)):
            takes = getattr(self.codec, "takes", "text")
            raise UsageError(f"{self.name} has no use for a prompt of type {type(prompt).__name__}: it takes {takes}")
        return {name: tensor.to(self.device) for name, tensor in self.codec.encode(prompt, n).items()}


def export(
    folder: Path,
    players: Players,
    sampler: Sampler,
    codec: Codec,
    recipe: Recipe,
    distributions: Mapping[str, str],
    code: Mapping[str, str],
) -> None:
    """Write the model of a run to ``folder``: the sampler's networks, codec files, and what they belong to.

    Of players that have a moving average it is taken. ``code``, the texts of local files by name, travels along in
    ``code/``. A folder that is not there yet appears whole. In one that is, files are replaced one by one, each whole;
    only the weights differ between two exports of a run.
    """
    if not folder.exists():
        new = folder.with_name(f".{folder.name}.part")
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir(parents=True)
        export(new, players, sampler, codec, recipe, distributions, code)
        new.rename(folder)
        return
    chosen = {name: recipe.players[name] for name in sampler.networks}
    about = {
        "format": FORMAT,
        "sampler": recipe.sampler.to_plain(),
        "networks": {
            name: {"kind": player.kind, "spec": player.spec, **player.component.to_plain()}
            for name, player in chosen.items()
        },
        "batch_size": recipe.trainer.eval_batch_size,
        "data": recipe.data.name,
        "plugins": distributions,
    }
    codec.save(folder)
    for name, text in code.items():
        (folder / "code").mkdir(exist_ok=True)
        write_atomically(folder / "code" / name, text)
    write_atomically(folder / "gangen.json", json.dumps(about, indent=1) + "\n")
    for name in sampler.networks:
        with replacing(folder / f"{name}.safetensors") as temporary:
            state = state_of(players.averaged(name))
            save_file({key: it.detach().cpu().contiguous().clone() for key, it in state.items()}, temporary)


def read_model(folder: Path, registry: Registry, device: torch.device | str = "cpu") -> Model:
    """The model in ``folder``. Raises as ``load`` does."""
    try:
        about = json.loads((folder / "gangen.json").read_text(encoding="utf-8"))
        if about["format"] == 1:  # one generator, which sampled by itself
            networks = {"generator": {"kind": "generators", **about.pop("generator")}}
            about |= {"sampler": {"use": "gangen/player"}, "networks": networks, "batch_size": AT_ONCE}
        elif about["format"] != FORMAT:
            raise RunError(
                f"{folder} was written in format {about['format']}; this version of gangen reads formats 1 and {FORMAT}"
            )
        data, chosen, batch_size = str(about["data"]), dict(about["sampler"]), int(about["batch_size"])
        networks = {str(name): dict(network) for name, network in about["networks"].items()}
        plugins = dict(about["plugins"])
        # Nothing else is built of what a stranger wrote: other kinds may read files, or fetch something.
        if strange := {str(network["kind"]) for network in networks.values()} - PLAYER_KINDS.keys():
            raise ValueError(f"{any_of(sorted(strange))} are no networks")
        if batch_size < 1:
            raise ValueError(f"batch_size is {batch_size}")
    except FileNotFoundError:
        raise RunError(
            f"no model in {folder}: gangen.json is missing\na run writes its model with the first checkpoint"
        ) from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise RunError(f"{folder / 'gangen.json'} cannot be read: {error}") from None

    def find(kind: str, name: str) -> Component:
        try:
            return registry.find(kind, name)
        except UsageError as error:
            raise UsageError(f"{error}{_whence(name.partition('/')[0], plugins, folder)}") from None

    def read(kind: str, plain: dict[str, Any]) -> Use:
        component = find(kind, str(plain.get("use")))
        try:
            return read_use(kind, plain, registry)
        except ValidationError as error:
            message = problems_of(error)[0][1]
            raise RunError(f"{folder / 'gangen.json'} does not fit '{component.name}': {message}") from None

    codec_class = find("data", data).load().codec_class
    parts = {name: network.pop("spec", None) for name, network in networks.items()}
    uses = {name: read(network.pop("kind"), network) for name, network in networks.items()}
    use = read("samplers", chosen)
    try:
        codec = codec_class.load(folder)
        specs = {name: codec.spec if part is None else codec.spec[part] for name, part in parts.items()}
        built = {name: registry.build(network, spec=specs[name]).to(device) for name, network in uses.items()}
        for name, network in built.items():
            load_state(network, load_file(folder / f"{name}.safetensors"))
            _stop_unless_finite(network, name, folder / f"{name}.safetensors")
    except (OSError, SafetensorError, ValueError, LookupError, TypeError, RuntimeError) as error:
        raise RunError(f"the model in {folder} is damaged: {error}") from None
    sampler = registry.build(use, players=Players(built))
    name = next(iter(uses.values())).name if len(uses) == 1 else use.name
    return Model(sampler, built, codec, name, torch.device(device), batch_size)


def load(
    run: Path | str | None = None,
    *,
    registry: Registry | None = None,
    device: str = "cpu",
    code: Sequence[Path | str] = (),
) -> Model:
    """The model of a run directory or model folder; of the newest run below ``runs/`` where none is named.

    ``code`` are local files to run, as a recipe names them: a model that was made with such files needs them.

    Raises RunError where there is no model, or one that is damaged or has weights that are not finite, and UsageError
    where a plugin of its is not installed.
    """
    folder = _newest() if run is None else Path(run)
    registry = registry or Registry.discover()
    for path in code:
        registry.load_code(Path(path))
    return read_model(_model_in(folder), registry, device)


def sample(
    prompt: Any = None,
    n: int = 1,
    *,
    run: Path | str | None = None,
    seed: int | None = None,
    code: Sequence[Path | str] = (),
    **settings: Any,
) -> list[Any]:
    """``n`` samples for a prompt, or for each of a list, from the model of a run (the newest one where none is named).

    Texts come as ``str``. ``seed`` makes them repeatable; ``settings`` are the sampler's. The model stays loaded until
    another one is asked for or its files change. See ``load`` and ``Model.sample`` for the rest, and for errors.
    """
    folder = _newest() if run is None else Path(run)
    model = _cached(folder.resolve(), _written(_model_in(folder)), tuple(map(str, code)))
    return model.sample(prompt, n, seed=seed, **settings)


@lru_cache(maxsize=1)
def _cached(folder: Path, written: int, code: Sequence[str]) -> Model:
    return load(folder, code=code)


def _model_in(folder: Path) -> Path:
    return folder / "model" if (folder / "model").is_dir() else folder


def _written(folder: Path) -> int:
    """When the weights were written last, in nanoseconds."""
    return max((path.stat().st_mtime_ns for path in folder.glob("*.safetensors")), default=0)


def _newest() -> Path:
    models = sorted((path.parent for path in Path("runs").glob("*/model/gangen.json")), key=_written)
    if not models:
        raise RunError(
            "no run with a model below runs/\ntrain one (gangen recipes/text_gan.yaml), or name one with --run DIR"
        )
    return models[-1].parent


def _stop_unless_finite(network: nn.Module, name: str, file: Path) -> None:
    """Raises RunError for parameters that are not finite, and for nan in buffers, where a mask may hold infinity."""
    parameters = {key for key, _ in network.named_parameters(remove_duplicate=False)}
    for key, tensor in state_of(network).items():
        if not (tensor.isfinite() if key in parameters else ~tensor.isnan()).all():
            raise RunError(
                f"weights of {name} in {file} are not finite, as {key}: training went wrong before they were written\n"
                "sample from an earlier model, as in phases/ or best/ of its run, or train again with a lower learning "
                f"rate or gradient clipping (players.{name}.clip=1.0)"
            )


def _seed(given: int | None) -> int:
    if given is None:
        return secrets.randbits(63)
    if not _whole(given) or not 0 <= given < 2**64:
        raise UsageError(f"a seed is a whole number from 0 to 2^64 - 1, got {given!r}")
    return int(given)


def _count(name: str, given: int, least: int = 1) -> int:
    if not _whole(given) or not least <= given <= MOST:
        raise UsageError(f"{name} must be a whole number from {least} to {MOST:,}, got {given!r}")
    return int(given)


def _whole(number: Any) -> bool:
    return isinstance(number, Integral) and not isinstance(number, bool)


def _writable(setting: Any) -> bool:
    """Whether a setting of this type can be written down, which a tensor cannot."""
    try:
        TypeAdapter(setting, config=_SETTING).json_schema()
    except PydanticInvalidForJsonSchema:
        return False
    return True


def _has(known: Mapping[str, Any]) -> str:
    """The settings in words, apart from each other what can be written down and what only Python can give."""
    written = [name for name, setting in known.items() if _writable(setting)]
    others = [name for name in known if name not in written]
    words = [f"it has: {', '.join(written)}"] if written else []
    words += [f"in Python alone: {', '.join(others)}"] if others else []
    return "\n".join(words) or "it has none"


def _rows_of(columns: Mapping[str, Any], rows: slice) -> dict[str, Any]:
    """``rows`` of all tensors among ``columns``."""
    return {name: value[rows] if isinstance(value, Tensor) else value for name, value in columns.items()}


def _together(conditions: Sequence[Batch]) -> list[tuple[range, Batch]]:
    """All conditions as one, with the range of their numbers, where their tensors are alike; else one by one."""
    alike = {tuple((name, tensor.shape[1:], tensor.dtype) for name, tensor in it.items()) for it in conditions}
    if len(alike) > 1:
        return [(range(number, number + 1), condition) for number, condition in enumerate(conditions)]
    names = conditions[0] if conditions else ()
    return [(range(len(conditions)), {name: torch.cat([it[name] for it in conditions]) for name in names})]


def _whence(namespace: str, plugins: Mapping[str, str], folder: Path) -> str:
    """Where a component might be had that a model was made with."""
    files = sorted((folder / "code").glob("*.py"))
    if namespace == LOCAL and files:
        flags = " ".join(f"--code {quote(str(path))}" for path in files)  # a stranger chose the names
        return (
            "\nthe model was made with code of its own, which is not run unasked; read it, and if you trust it add "
            f"{flags}\nin Python: gangen.load({str(folder)!r}, code={[str(path) for path in files]})"
        )
    return f"\nthe model was made with {plugins[namespace]}; install it" if namespace in plugins else ""
