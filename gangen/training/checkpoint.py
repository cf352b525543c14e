"""Checkpoints: written whole or not at all, safetensors and JSON only, resumed to the bit."""

import json
import os
import shlex
import shutil
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import torch
from annotated_types import Ge, MinLen
from pydantic import TypeAdapter, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from gangen import networks
from gangen.collectives import all_gather, any_process, rank, unequal
from gangen.components.registry import name_of
from gangen.errors import CheckpointError, RunError
from gangen.files import file_digests, to_json, write_atomically
from gangen.networks import differences, load_state, state_of
from gangen.run_directory import checkpoints_in, latest_name, step_of, way_back
from gangen.training.data_digests import changed_codec, changed_rows
from gangen.training.player_files import contiguous, load_optimizer, load_weights, save_player
from gangen.training.players import Player
from gangen.training.trainer import Count, State, Trainer

# Format 1 had no number, and did not count the samples that a player had seen; format 2 kept every value of a figure.
FORMAT = 3
# SHA-256 of every other file of a checkpoint, since format 3.
MANIFEST = "manifest.json"


@dataclass
class _Figure:
    count: Annotated[int, Ge(1)]
    sums: Annotated[list[float], MinLen(1)]


@dataclass
class _Rows:
    count: Count
    columns: dict[str, str]


@dataclass
class _Data:
    codec: dict[str, str]
    description: dict[str, str]
    rows: dict[str, _Rows]


@dataclass
class _Saved:
    """What ``state.json`` holds."""

    state: State
    figures: dict[str, _Figure | list[float]]
    format: Annotated[int, Ge(1)] = 1
    seen: dict[str, Count] | None = None
    scaler: dict[str, float] | None = None
    data: _Data | None = None


_SAVED, _DIGESTS = TypeAdapter(_Saved), TypeAdapter(dict[str, str])
# What reading a damaged file raises.
FAULTS = (OSError, SafetensorError, ValueError, KeyError, TypeError, AttributeError, RuntimeError)


def save(trainer: Trainer, folder: Path, *, keep: int) -> Path:
    """Write a checkpoint below ``folder``, then point ``latest`` at it, then delete all but the newest ``keep``.

    The order matters: killed at any moment, ``latest`` names a complete checkpoint. All processes call this, and the
    main one writes. Raises RunError where the objective keeps what is not the same on all of them.
    """
    name = f"step-{trainer.state.total:08d}"
    temporary, final = folder / f".{name}.part", folder / name
    kept = {} if trainer.objective is None else trainer.objective.state_dict()
    if differing := unequal(kept, trainer.device):
        error = RunError(
            f"{name_of(trainer.objective)} keeps '{differing[0]}', which is not the same on all processes: a run that "
            "goes on would know that of one of them alone\nmake it of what all of them have, with gangen.all_gather"
        )
        error.shared = True
        raise error
    state = {"format": FORMAT} | trainer.state_dict()
    main = rank() == 0
    if main:
        temporary.mkdir(parents=True)
    for player_name, player in trainer.players.items():
        if player.changes:
            save_player(player, temporary / player_name, main=main)
    if not main:
        return final
    state["data"] = trainer.data_digests
    if trainer.objective is not None:
        save_file(contiguous(kept), temporary / "objective.safetensors")
    (temporary / "state.json").write_text(to_json(state), encoding="utf-8")
    (temporary / MANIFEST).write_text(to_json(file_digests(temporary), indent=1), encoding="utf-8")
    for path in [*temporary.rglob("*"), temporary]:
        _flush(path)
    if final.exists():  # left by a run that was killed before `latest` moved, or damaged
        _remove(final)
    temporary.rename(final)
    _flush(folder)
    write_atomically(folder / "latest", name + "\n")
    found = checkpoints_in(folder)
    # Those of later steps are the first to go: a run that was sent back to an older one has left them behind.
    place = found.index(final)
    for old in [*found[place + 1 :], *found[:place]][: -keep + 1 or None]:
        _remove(old)
    return final


def latest(folder: Path) -> Path | None:
    """The checkpoint that ``latest`` names, or None where there is none. Raises CheckpointError when it is gone."""
    name = latest_name(folder)
    if name and not (folder / name).is_dir():
        raise CheckpointError(f"{folder / 'latest'} names {name}, which is not there\n{way_back(folder)}")
    return folder / name if name else None


def newest_whole(folder: Path, device: torch.device, *, before: int | None = None) -> tuple[Path | None, list[str]]:
    """The newest checkpoint that is whole, None where there is none; and, in words, which newer ones are damaged.

    With ``before``, the newest of those from before that step. All processes ask together. Raises CheckpointError where
    all are damaged, or where one is of a later format.
    """
    if (newest := latest(folder)) is None:
        return None, []
    damaged: list[str] = []
    older = [path for path in reversed(checkpoints_in(folder)) if step_of(path.name) < step_of(newest.name)]
    candidates = [path for path in (newest, *older) if before is None or step_of(path.name) < before]
    if not candidates:
        return None, []
    for candidate in candidates:
        damage = _damage(candidate)
        if not any_process(bool(damage), device):
            return candidate, [f"{words}; taking {candidate.name} instead" for words in damaged]
        damaged.append(f"checkpoint {candidate} is damaged: {damage or 'another process cannot read it'}")
    error = CheckpointError("\n".join([*damaged, "no other is whole; start anew with run=..."]))
    error.shared = True
    raise error


def _damage(checkpoint: Path) -> str:
    """In words, what in a checkpoint is not as it was saved; of earlier formats, which keep no digests, cannot be read.

    Raises CheckpointError where it is of a later format.
    """
    try:
        digests = file_digests(checkpoint)
        kept = digests.pop(MANIFEST, None) is not None
        for name, digest in _DIGESTS.validate_json((checkpoint / MANIFEST).read_bytes()).items() if kept else ():
            if digests.get(name) != digest:
                return f"{name} is {'not as it was saved' if name in digests else 'missing'}"
        if not kept and _read_state(checkpoint).get("format", 1) >= 3:
            return f"{MANIFEST} is missing"
        for path in checkpoint.rglob("*.safetensors") if not kept else ():
            if any(tensor.isnan().any() for tensor in load_file(path).values()):
                return f"{path.relative_to(checkpoint)} holds nan"
    except FAULTS as error:
        return _reason(error)
    return ""


def restore(trainer: Trainer, checkpoint: Path) -> None:
    """Put players and counters back to where ``save`` found them.

    Raises CheckpointError for a damaged one, for one of a format of later versions, and where a process has other data
    than those that were saved with; checkpoints of earlier versions do not know theirs.
    """
    refuse_other_data(trainer.data_digests, checkpoint, trainer.device)
    with _explaining(checkpoint):
        trainer.load_state_dict(_read_state(checkpoint, trainer.phases[0].batch_size))
        state = trainer.state
        for phase in trainer.phases[: state.phase + (state.step > 0)]:
            trainer.enter(phase)
        for name, player in trainer.players.items():
            load_weights(player, checkpoint / name)
            load_optimizer(player, checkpoint / name)
        if trainer.objective is not None and trainer.objective.state_dict():
            trainer.objective.load_state_dict(load_file(checkpoint / "objective.safetensors"))


def compare_data(digests: Mapping[str, Any], checkpoint: Path) -> tuple[list[str], list[str]]:
    """In words, in what the codec and the rows of data with such ``digests`` are not those of a checkpoint.

    Nothing is known of checkpoints of earlier versions.
    """
    with _explaining(checkpoint):
        before = _read_state(checkpoint).get("data")
        return (changed_codec(before, digests), changed_rows(before, digests)) if before else ([], [])


def refuse_other_data(digests: Mapping[str, Any], checkpoint: Path, device: torch.device) -> None:
    """Raises CheckpointError, on all processes, where one of them has other data than a checkpoint was saved with."""
    codec, rows = compare_data(digests, checkpoint)
    everywhere = all_gather(torch.tensor(float(bool(codec or rows)), device=device))
    if not everywhere.any():
        return
    differ = ", ".join([*codec, *rows])
    # Networks that were made for another codec are no beginning.
    fits = rows and not codec
    folder = shlex.quote(str(checkpoint.parents[1]))
    start = f"; start_from={folder} begins it with the networks of this one" if fits else ""
    error = CheckpointError(
        f"the data are not those that this run was begun with: {differ or 'those of another process differ'}\n"
        f"put them back to go on with it, or start a new run with run=...{start}"
    )
    error.shared = not differ or bool(everywhere.all())
    raise error


def refuse_misfit(player: str, build: Callable[[], nn.Module], checkpoint: Path) -> None:
    """Raises CheckpointError where a network that ``build`` makes is not that of ``player``, before it takes memory.

    Nothing is known of players that never change, which have no file.
    """
    file = checkpoint / player / "model.safetensors"
    if file.is_file():
        try:
            networks.refuse_misfit(file, build)
        except (OSError, ValueError) as error:
            raise CheckpointError(f"{checkpoint / player} is not of this run's recipe: {error}") from None


def restore_weights(players: Mapping[str, Player], checkpoint: Path) -> int:
    """The networks of all players, without what training needs besides; returns the step that they are from.

    Raises CheckpointError as ``restore`` does.
    """
    with _explaining(checkpoint):
        for name, player in players.items():
            load_weights(player, checkpoint / name)
        return _read_state(checkpoint)["state"]["total"]


def start_from(player: Player, checkpoint: Path, batch_size: int) -> None:
    """Begin with the network of the player of this name in another run, and with its average if both keep one.

    ``batch_size`` counts where a checkpoint has not counted what the player has seen.

    Raises CheckpointError for one that is damaged, or whose tensors have other names or shapes.
    """
    folder = checkpoint / player.name
    with _explaining(checkpoint):
        network = average = load_file(folder / "model.safetensors")
        if (folder / "average.safetensors").exists():
            average = load_file(folder / "average.safetensors")
        player.seen = _read_state(checkpoint, batch_size)["seen"][player.name]
    if differ := differences(player.net, network):
        raise CheckpointError(f"player '{player.name}' of {checkpoint} does not fit: {differ}")
    with player.whole(store=True):
        load_state(player.net, network)
        if player.average is not None:
            load_state(player.average, average)


def start_from_file(player: Player, file: Path) -> None:
    """Begin with the weights in a file of safetensors: of an exported model, or of a module that somebody else trained.

    Where all names of the network begin with the same word, as those of a module that it wraps, the file's need not. A
    network with ``renamed`` is asked what weights are called in it.

    Raises CheckpointError for one that cannot be read, or whose tensors have other names or shapes.
    """
    try:
        kept = load_file(file)
    except FAULTS as error:
        raise CheckpointError(f"{file} holds no weights of safetensors: {_reason(error)}") from None
    first = {name.partition(".")[0] for name in state_of(player.net)}
    if len(first) == 1 and not any(name.partition(".")[0] in first for name in kept):
        kept = {f"{next(iter(first))}.{name}": tensor for name, tensor in kept.items()}
    if (renamed := getattr(player.net, "renamed", None)) is not None:
        kept = renamed(kept)
    if differ := differences(player.net, kept):
        raise CheckpointError(f"{file} does not fit player '{player.name}': {differ}")
    with player.whole(store=True):
        for net in [player.net] if player.average is None else [player.net, player.average]:
            load_state(net, kept)


def _read_state(checkpoint: Path, batch_size: int = 1) -> dict:
    text = (checkpoint / "state.json").read_bytes()
    saved = json.loads(text)
    if saved.get("format", 1) > FORMAT:
        raise CheckpointError(
            f"checkpoint {checkpoint} is of format {saved['format']}, and this gangen knows formats up to {FORMAT}\n"
            "a later version of gangen wrote it: go on with that one"
        )
    _SAVED.validate_json(text, strict=True)
    if saved.get("seen") is None:
        saved["seen"] = defaultdict(lambda: saved["state"]["total"] * batch_size)
    return saved


@contextmanager
def _explaining(checkpoint: Path) -> Iterator[None]:
    try:
        yield
    except FAULTS as error:
        words = f"checkpoint {checkpoint} is damaged: {_reason(error)}\n{way_back(checkpoint.parent)}"
        raise CheckpointError(words) from None


def _reason(error: Exception) -> str:
    if isinstance(error, ValidationError):
        line = error.errors()[0]
        return f"{'.'.join(map(str, line['loc'])) or error.title}: {line['msg']}"
    return str(error) or type(error).__name__


def _remove(checkpoint: Path) -> None:
    """Delete it; renamed before, since half deleted it would look like one to go back to."""
    gone = checkpoint.with_name(f".{checkpoint.name}.old.part")
    checkpoint.rename(gone)
    shutil.rmtree(gone)


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
