"""What a checkpoint has of a player: the files of its weights, of their average, and of its optimizer."""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import nn

from gangen.errors import CheckpointError, PluginError
from gangen.networks import differences, load_state, state_of
from gangen.training.players import Player
from gangen.training.sharding import part_of, whole_of


def save_player(player: Player, folder: Path, *, main: bool) -> None:
    """All processes bring their parts of a player together, and the ``main`` one writes it, whole."""
    with player.whole(here=main):
        if main:
            folder.mkdir()
            save_file(contiguous(state_of(player.net)), folder / "model.safetensors")
            if player.average is not None:
                save_file(contiguous(state_of(player.average)), folder / "average.safetensors")
    if not player.trainable:
        return
    saved = player.optimizer.state_dict()
    tensors = {f"{index}.{key}": value for index, row in saved["state"].items() for key, value in row.items()}
    if others := [name for name, value in tensors.items() if not isinstance(value, torch.Tensor)]:
        raise PluginError(
            f"the optimizer of player '{player.name}' keeps '{others[0].partition('.')[2]}', which is not a tensor: "
            "checkpoints hold what an optimizer remembers of a parameter in tensors alone"
        )
    kept: dict[str, torch.Tensor] = {}
    for name, value in tensors.items():
        whole = whole_of(value)
        if main:
            kept |= contiguous({name: whole})
    if main:
        save_file(kept, folder / "optimizer.safetensors")
        (folder / "optimizer.json").write_text(json.dumps(saved["param_groups"]), encoding="utf-8")


def load_weights(player: Player, folder: Path) -> None:
    """Weights and average; raises CheckpointError where they are not those of this network."""
    with player.whole(store=True):
        if player.changes:
            _load(player.net, folder / "model.safetensors")
        if player.average is not None:
            _load(player.average, folder / "average.safetensors")


def load_optimizer(player: Player, folder: Path) -> None:
    """What the optimizer remembers; raises ValueError where it is not of the kind of this one's."""
    if not player.trainable:
        return
    state: dict[int, dict[str, torch.Tensor]] = {}
    for key, value in load_file(folder / "optimizer.safetensors").items():
        index, _, name = key.partition(".")
        state.setdefault(int(index), {})[name] = value
    groups = json.loads((folder / "optimizer.json").read_text(encoding="utf-8"))
    for group, fresh in zip(groups, player.optimizer.state_dict()["param_groups"], strict=True):
        # An earlier version of torch may have saved less. Which of its kernels can take the step depends on where this
        # run plays, and on whether it is sharded.
        lacking = {name for name in fresh.keys() - {"params"} if group.get(name) is None} | {"fused", "foreach"}
        group |= {name: value for name, value in fresh.items() if name in lacking}
        for name, value in fresh.items():
            if value is not None and _kind(group.get(name)) != _kind(value):
                raise ValueError(f"{name} of an optimizer is {group.get(name)!r}")
    player.optimizer.load_state_dict({"state": state, "param_groups": groups})
    for parameter, row in player.optimizer.state.items():
        for name, value in row.items():
            if value.shape == parameter.shape:  # with the parameter's strides: fused optimizers go through memory
                row[name] = torch.empty_like(parameter, dtype=value.dtype).copy_(part_of(value, parameter))


def contiguous(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Copies that share no memory: safetensors refuses tied weights, which are saved once per name here."""
    return {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}


def _load(net: nn.Module, file: Path) -> None:
    kept = load_file(file)
    if differ := differences(net, kept):
        raise CheckpointError(
            f"{file} does not fit: {differ}\nthe data, or code that makes the network, have changed since: put them "
            "back, or start a new run with run=..."
        )
    load_state(net, kept)


def _kind(value: Any) -> Any:
    """Of what kind an optimizer's setting is; whole numbers are numbers."""
    if isinstance(value, list | tuple):
        return [_kind(entry) for entry in value]
    return float if type(value) is int else type(value)
