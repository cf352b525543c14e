"""A trained model on disk: what is sampled from, and shared. Loading one runs none of its code."""

import json
import shutil
import sys
from collections.abc import Mapping, Sequence
from functools import lru_cache, partial
from os import PathLike
from pathlib import Path
from shlex import quote
from typing import Any

import torch
from pydantic import ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import nn

from gangen.bounded import read_json
from gangen.components.component import Component
from gangen.components.messages import any_of, problems_of, show
from gangen.components.options import Use, read_use
from gangen.components.registry import LOCAL, Registry
from gangen.contracts import Codec
from gangen.errors import RunError, UsageError
from gangen.files import digest, replacing, write_atomically
from gangen.hub import fetch, is_hub_name
from gangen.model import AT_ONCE, Model, usable
from gangen.names import is_name
from gangen.networks import Players, load_state, refuse_misfit, soundness, state_of
from gangen.printing import say, visible
from gangen.recipe.players import PLAYER_KINDS, PlayerRecipe
from gangen.recipe.sections import Recipe
from gangen.samplers import Sampler
from gangen.torch_draws import seeded

FORMAT = 2
# In the header of a file of weights, so that both are replaced at once.
DIGEST = "sha256"


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
    about = {
        "format": FORMAT,
        "sampler": recipe.sampler.to_plain(),
        "networks": {name: describe(recipe.players[name]) for name in sampler.networks},
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
        write_weights(folder, name, state_of(players.averaged(name)))


def describe(player: PlayerRecipe) -> dict[str, Any]:
    """A network of a model, as gangen.json says how to build it."""
    return {"kind": player.kind, "spec": player.spec, **player.component.to_plain()}


def write_weights(folder: Path, name: str, state: Mapping[str, torch.Tensor]) -> None:
    """Write the weights of a network of a model to its folder, in the place of those that were there."""
    plain = {key: it.detach().cpu().contiguous().clone() for key, it in state.items()}
    with replacing(folder / f"{name}.safetensors") as temporary:
        save_file(plain, temporary, {DIGEST: digest(plain)})


def read_model(folder: Path, registry: Registry, device: torch.device | str = "cpu") -> Model:
    """The model in ``folder``; former names that it has are told of. Raises as ``load`` does."""
    try:
        about = read_json(folder / "gangen.json")
        if about["format"] == 1:  # one generator, which sampled by itself
            networks = {"generator": {"kind": "generators", **about.pop("generator")}}
            about |= {"sampler": {"use": "gangen/player"}, "networks": networks, "batch_size": AT_ONCE}
        elif about["format"] != FORMAT:
            raise RunError(
                f"{folder} was written in format {about['format']}; this version of gangen reads formats 1 and {FORMAT}"
            )
        data, chosen, batch_size = str(about["data"]), dict(about["sampler"]), about["batch_size"]
        networks = {str(name): dict(network) for name, network in about["networks"].items()}
        plugins = dict(about["plugins"])
        if odd := next((name for name in networks if not is_name(name)), None):
            raise ValueError(f"{show(odd)} is no name of a network")
        # Nothing else is built of what a stranger wrote: other kinds may read files, or fetch something.
        if strange := {str(network["kind"]) for network in networks.values()} - PLAYER_KINDS.keys():
            raise ValueError(f"{any_of(sorted(strange))} are no networks")
        if type(batch_size) is not int or batch_size < 1:
            raise ValueError(f"batch_size is {show(batch_size)}")
    except FileNotFoundError:
        if not folder.exists():
            raise RunError(f"there is no folder {folder}\nsee: gangen runs") from None
        raise RunError(
            f"no model in {folder}: gangen.json is missing\na run writes its model with the first checkpoint"
        ) from None
    except NotADirectoryError:
        raise RunError(f"{folder} is a file: a model is a folder, as a run has one\nsee: gangen runs") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise RunError(f"{folder / 'gangen.json'} cannot be read: {error}") from None

    def find(kind: str, name: str) -> Component:
        try:
            return registry.find(kind, name)
        except UsageError as error:
            namespace = name.partition("/")[0]
            whence = f"\nthe model was made with {plugins[namespace]}; install it" if namespace in plugins else ""
            if namespace == LOCAL:
                whence = unasked_code(folder, registry, "which does not come with it: get it from whoever made it")
            raise UsageError(f"{error}{whence}") from None

    def read(kind: str, plain: dict[str, Any]) -> Use:
        component = find(kind, str(plain.get("use")))
        try:
            return read_use(kind, plain, registry)
        except ValidationError as error:
            message = problems_of(error)[0][1]
            raise RunError(f"{folder / 'gangen.json'} does not fit '{component.name}': {message}") from None

    codec_class = find("data", data).load().codec_class
    needed = getattr(find("samplers", str(chosen.get("use"))).load(), "networks", ())
    for name in (*networks, *(needed if isinstance(needed, Sequence) else ())):
        if name not in networks or not (folder / f"{name}.safetensors").is_file():
            raise RunError(
                f"the model in {folder} lacks its {name}, with which sampler '{chosen['use']}' draws: "
                f"{name}.safetensors and its place in gangen.json\ncopy the model's folder from its run as a whole"
            )
    parts = {name: network.pop("spec", None) for name, network in networks.items()}
    uses = {name: read(network.pop("kind"), network) for name, network in networks.items()}
    use = read("samplers", chosen)
    try:
        codec = codec_class.load(folder)
        specs = {name: codec.spec if part is None else codec.spec[part] for name, part in parts.items()}
        with seeded(0):  # for weights that are replaced: what others draw meanwhile, or later, is left as it was
            for name, network in uses.items():
                refuse_misfit(folder / f"{name}.safetensors", partial(registry.build, network, spec=specs[name]))
            built = {name: registry.build(network, spec=specs[name]).to(device) for name, network in uses.items()}
        for name, network in built.items():
            load_state(network, _weights(folder / f"{name}.safetensors"))
            _stop_unless_finite(network, name, folder / f"{name}.safetensors")
    except UsageError as error:
        raise UsageError(f"{error}{unasked_code(folder, registry)}") from None
    except (OSError, SafetensorError, ValueError, LookupError, TypeError, RuntimeError, MemoryError) as error:
        raise RunError(f"the model in {folder} is damaged: {error}") from None
    sampler = registry.build(use, players=Players(built))
    for words in registry.tell_renamed():
        say(f"gangen: {folder / 'gangen.json'}: {words}", sys.stderr)
    name = next(iter(uses.values())).name if len(uses) == 1 else use.name
    return Model(sampler, built, codec, name, torch.device(device), batch_size)


def load(
    run: PathLike[str] | str | None = None,
    *,
    registry: Registry | None = None,
    device: str = "cpu",
    code: Sequence[Path | str] = (),
) -> Model:
    """The model of a run directory or model folder; of the newest run below ``runs/`` where none is named.

    Where no such folder is, user/name is a model on the hub, which is fetched unless it is here already; never any code
    of it. ``code`` are local files to run, as a recipe names them: a model that was made with such files needs them.

    Raises RunError where there is no model, or one that is damaged or has weights that are not finite, and UsageError
    where a plugin of its is not installed, and for what is no path or device.
    """
    folder, files, words = find_model(run, code)
    if words:
        say(words, sys.stderr)
    place = usable(device)
    registry = registry or Registry.discover()
    for path in files:
        registry.load_code(path)
    return read_model(folder, registry, place)


def sample(
    prompt: Any = None,
    n: int = 1,
    *,
    run: PathLike[str] | str | None = None,
    seed: int | None = None,
    code: Sequence[Path | str] = (),
    **settings: Any,
) -> list[Any]:
    """``n`` samples for a prompt, or for each of a list, from the model of a run (the newest one where none is named).

    Texts come as ``str``. ``seed`` makes them repeatable; ``settings`` are the sampler's. The model stays loaded until
    another one is asked for or its files change. See ``load`` and ``Model.sample`` for the rest, and for errors.
    """
    folder, files, words = find_model(run, code)
    model = _cached(folder.absolute(), _written(folder), tuple(files), words)
    return model.sample(prompt, n, seed=seed, **settings)


@lru_cache(maxsize=1)
def _cached(folder: Path, written: int, code: Sequence[Path], words: str) -> Model:
    if words:
        say(words, sys.stderr)
    return load(folder, code=code)


def find_model(run: PathLike[str] | str | None, code: Sequence[Path | str]) -> tuple[Path, list[Path], str]:
    """The folder of a run's model, the files of code, and where several runs might be meant, words on which it is.

    Raises UsageError for what can be no path, and RunError for a name on the hub that cannot be fetched.
    """
    files, words = [code] if isinstance(code, str | Path) else code, ""
    try:
        if isinstance(run, str) and is_hub_name(run):
            run = fetch(run)
        if run is None:
            *others, newest = _models()
            run, words = newest, f"gangen: taking {newest}, the newest of {len(others) + 1} runs" if others else ""
        folder = Path(run)
        inner = folder / "model"
        return inner if inner.is_dir() else folder, [Path(path).resolve() for path in files], words
    except (TypeError, ValueError, OSError) as error:
        raise UsageError(f"run is the path of a folder, and code are paths of files: {error!s:.200}") from None


def title_of(run: str | None, folder: Path) -> str:
    """What people call the model in ``folder``: the name of its run, of its own folder, or that on the hub."""
    if run is not None and is_hub_name(run):
        return run
    named = folder.absolute()
    return visible(named.parent.name if named.name == "model" else named.name)


def _written(folder: Path) -> int:
    """When the weights were written last, in nanoseconds."""
    return max((path.stat().st_mtime_ns for path in folder.glob("*.safetensors")), default=0)


def _models() -> list[Path]:
    """The runs below ``runs/`` that have a model, the newest last. Raises RunError where there are none."""
    models = sorted((path.parent for path in Path("runs").glob("*/model/gangen.json")), key=_written)
    if not models and any(Path("runs").glob("*/recipe.yaml")):
        raise RunError(
            "no run below runs/ has a model yet\na run writes its model with the first checkpoint; see: gangen runs"
        )
    if not models:
        raise RunError(
            "no run with a model below runs/\ntrain one (gangen recipes/text_gan.yaml), or name one with --run DIR"
        )
    return [model.parent for model in models]


def _weights(file: Path) -> dict[str, torch.Tensor]:
    """Raises ValueError where they are not those that the file was written with; earlier ones do not say which."""
    with safe_open(file, "pt") as opened:
        written = (opened.metadata() or {}).get(DIGEST)
    weights = load_file(file)
    if written is not None and digest(weights) != written:
        raise ValueError(f"{file.name} is not as it was written")
    return weights


def _stop_unless_finite(network: nn.Module, name: str, file: Path) -> None:
    for key, sound in soundness(network).items():
        if not sound:
            raise RunError(
                f"weights of {name} in {file} are not finite, as {key}: training went wrong before they were written\n"
                "sample from an earlier model, as in phases/ or best/ of its run, or train again with a lower learning "
                f"rate or gradient clipping (players.{name}.clip=1.0)"
            )


def unasked_code(folder: Path, registry: Registry, elsewhere: str = "") -> str:
    """How to ask for the code that the model in ``folder`` was made with; nothing where ``registry`` has run any.

    ``elsewhere`` is what to say of it where it is not in the folder.
    """
    files = sorted((folder / "code").glob("*.py"))
    if any(plugin.name == LOCAL for plugin in registry.plugins()) or not (files or elsewhere):
        return ""
    if not files:
        return f"\nthe model was made with code of its own, {elsewhere}; if you trust it add --code FILE"
    flags = " ".join(f"--code {quote(str(path))}" for path in files)  # a stranger chose the names
    return (
        "\nthe model was made with code of its own, which is not run unasked; read it, and if you trust it add "
        f"{flags}\nin Python: code={[str(path) for path in files]}"
    )
