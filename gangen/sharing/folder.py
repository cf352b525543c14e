"""A trained model as a folder for others: what it draws with, and a card that says what it is."""

import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fnmatch import fnmatch
from os import PathLike
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from safetensors.torch import load_file

from gangen import hub
from gangen.bounded import lies_in, read_json
from gangen.components.registry import Registry
from gangen.errors import RunError, UsageError, did_you_mean
from gangen.files import to_json, write_atomically
from gangen.printing import say
from gangen.recipe.load import load_recipe
from gangen.run_directory import RunDirectory
from gangen.runs import is_run
from gangen.saved_model import describe, find_model, read_model, write_weights
from gangen.sharing.card import CARD, licence_of, read_licence, write_card
from gangen.training import checkpoint


def export(
    run: PathLike[str] | str,
    folder: PathLike[str] | str,
    *,
    license: str | None = None,
    data_license: str | None = None,
    players: Sequence[str] = (),
    code: Sequence[Path | str] = (),
    registry: Registry | None = None,
) -> Path:
    """Write the model of a run, or of a model folder, to a new ``folder`` for others, with a card; returns the folder.

    The card, README.md, says what is known of the recipe, the data, figures and samples, and under which ``license``
    others may use it, and ``data_license`` the data, as in "apache-2.0". A card that is there already stays as it is.
    ``players`` are further ones of the newest checkpoint, which others need to go on with the training:
    "discriminator". The whole is loaded once before it is there. ``code`` are files to run, as in ``gangen.load``.

    Raises:
        UsageError: the folder is there already, or holds what is not of a model; there is no such player or licence.
        RunError: there is no model, or one that cannot be loaded.
    """
    folder, registry = Path(folder), registry or Registry.discover()
    if folder.exists():
        raise UsageError(f"{folder} is there already: name a folder that is not")
    with _new(folder) as new:
        _write(run, new, folder.name, str(folder), license, data_license, players, code, registry)
    return folder


def publish(
    run: PathLike[str] | str,
    name: str,
    *,
    license: str | None = None,
    data_license: str | None = None,
    players: Sequence[str] = (),
    private: bool = False,
    dry_run: bool = False,
    code: Sequence[Path | str] = (),
    registry: Registry | None = None,
) -> dict[str, int]:
    """Put the model of a run, or of a folder that ``export`` wrote, on the hub; returns its files with bytes.

    ``name`` is user/name, where ``gangen.load`` finds it. What is there already is replaced, in one commit. With
    ``dry_run`` nothing is sent. The rest is as in ``export``.

    Raises:
        UsageError: as in ``export``; the card names no licence; the name is of something else on the hub.
        RunError: as in ``export``; nobody is logged in; the hub does not answer.
    """
    hub.refuse_name(name)
    with TemporaryDirectory() as temporary:
        folder = Path(temporary) / "model"
        folder.mkdir()
        title = name.partition("/")[2]
        _write(run, folder, title, name, license, data_license, players, code, registry or Registry.discover())
        if not read_licence(folder / CARD):
            raise UsageError(
                f"the card of {name} does not say under which licence others may use it\n"
                "say it by --license, as in --license apache-2.0; in a README.md of your own, as 'license:' at its top"
            )
        if not dry_run:
            hub.upload(folder, name, private=private)
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        return {path.relative_to(folder).as_posix(): path.stat().st_size for path in files}


def _write(
    run: PathLike[str] | str,
    folder: Path,
    title: str,
    name: str,
    license: str | None,
    data_license: str | None,
    players: Sequence[str],
    code: Sequence[Path | str],
    registry: Registry,
) -> None:
    """Fill an empty folder; the card calls the model ``title``, and says how to load ``name``."""
    license, data_license = licence_of(license), licence_of(data_license)
    source, files, words = find_model(run, code)
    if words:
        say(words, sys.stderr)
    for file in files:
        registry.load_code(file)
    trained = next((RunDirectory(it) for it in source.absolute().parents[:2] if is_run(it)), None)
    if trained:
        trained.refuse_ways_out()
    model = read_model(source, registry)  # what others could not load is not given away
    _copy(source, folder)
    if players:
        _add(players, folder, source, trained, registry)
        model = read_model(folder, registry)
    if not (folder / CARD).exists():
        write_card(folder, model, title, name, trained, source, registry, license, data_license)
    elif data_license or license not in (None, read_licence(folder / CARD)):
        raise UsageError(
            f"{source / CARD} is there already, and stays as it is: write there, by hand, under which licence others "
            "may use the model, as 'license:' at its top, and the data"
        )


def _copy(source: Path, folder: Path) -> None:
    """Raises UsageError for a file that is not of a model, RunError for one that stands elsewhere."""
    for path in sorted(path for path in source.rglob("*") if path.is_file()):
        name = path.relative_to(source)
        if any(part.startswith(".") for part in name.parts):
            continue
        if not any(fnmatch(name.as_posix(), pattern) for pattern in (*hub.FILES, *hub.BESIDE)):
            raise UsageError(
                f"{path} is not of a model, of which others are sent {', '.join(hub.FILES)} alone\nmove it away"
            )
        if not lies_in(path, source):
            raise RunError(f"{path} is a link that leads out of the model\nput what it stands for in its place")
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, folder / name)


def _add(names: Sequence[str], folder: Path, source: Path, run: RunDirectory | None, registry: Registry) -> None:
    """Put further players of the newest checkpoint into the model in ``folder``."""
    if run is None or source.absolute() != run.model.absolute():
        raise UsageError(f"{source} is not the newest model of a run: there are no players beside it")
    recipe = load_recipe(run.recipe, registry=registry, run_code=False)
    newest, _ = checkpoint.newest_whole(run.checkpoints, torch.device("cpu"))
    about = read_json(folder / "gangen.json")
    for name in names:
        if name not in recipe.players:
            raise UsageError(f"{run.root} has no player '{name}'{did_you_mean(name, recipe.players)}")
        kept = [newest / name / f"{which}.safetensors" for which in ("average", "model")] if newest else []
        weights = next((path for path in kept if path.exists()), None)
        if weights is None:
            raise RunError(f"no checkpoint of {run.root} keeps player '{name}'")
        if name not in about["networks"]:
            write_weights(folder, name, load_file(weights))
            about["networks"][name] = describe(recipe.players[name])
    write_atomically(folder / "gangen.json", to_json(about, indent=1))


@contextmanager
def _new(folder: Path) -> Iterator[Path]:
    """A folder that becomes ``folder``, whole, when the block ends well. Raises UsageError for one that cannot."""
    part = folder.with_name(f".{folder.name}.part")
    try:
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        yield part
        part.rename(folder)
    except OSError as error:
        raise UsageError(f"cannot write {folder}: {error.strerror or error}") from None
    finally:
        shutil.rmtree(part, ignore_errors=True)
