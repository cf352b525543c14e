"""The plan of a run before it is played: who learns from what, how it is computed, and how much memory that takes."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import psutil
import torch
from torch import Tensor, nn

from gangen.components.registry import name_of
from gangen.networks import count_parameters
from gangen.recipe.sections import Recipe
from gangen.training.phases import Phase, Turn
from gangen.training.players import Player


def plan(recipe: Recipe, players: Mapping[str, Player], phases: Sequence[Phase], objective: Any) -> Iterator[str]:
    """Lines about a game that was built and not played yet."""
    for name, player in players.items():
        chosen = recipe.players[name]
        about = [f"{chosen.component.name}, {count_parameters(player.net):,} parameters"]
        learns = sum(parameter.numel() for parameter in player.trainable)
        if learns < count_parameters(player.net):
            about.append(f"{learns:,} of them learn" if learns else "which never learn")
        if learns:
            about.append(chosen.optimizer.component.name)
        about += ["a moving average"] * (player.average is not None) + ["sharded"] * chosen.shard
        yield f"player {name}: {', '.join(about)}"
    yield from _double_backward(objective)
    for phase in phases:
        balance = phase.balance and f", {phase.balance.player} balanced by {phase.balance.figure}"
        yield f"phase {phase.name}: {phase.steps} steps of {', '.join(map(_turn, phase.turns))}{balance or ''}"
    yield _place(recipe, phases)
    yield _memory(recipe, players)


def memory_taken(device: torch.device) -> int:
    """In bytes: on CUDA the most that tensors took, elsewhere what the process has now."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return psutil.Process().memory_info().rss


def mebibytes(size: float) -> str:
    """Bytes in words."""
    return f"{size / 2**20:,.1f} MiB"


def _turn(turn: Turn) -> str:
    often = f"{turn.times} x {turn.name}" + (f" every {turn.every} steps" if turn.every > 1 else "")
    return f"{often} ({', '.join(turn.updates) or 'nobody learns'})"


def _processes() -> int:
    return int(os.environ.get("WORLD_SIZE", "1"))


def _double_backward(objective: Any) -> Iterator[str]:
    """What an objective differentiates twice, which takes time and memory: its parts that say so."""
    modules = objective.named_modules() if isinstance(objective, nn.Module) else ()
    for path, module in modules:
        if getattr(module, "differentiates_twice", None) is not None:
            cost = "double backward" if module.differentiates_twice else "single backward"
            yield f"{name_of(module)} at objective.{path}: {cost}"


def _place(recipe: Recipe, phases: Sequence[Phase]) -> str:
    """How many processes compute where, as this command would be played now."""
    settings, processes = recipe.trainer, _processes()
    device = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else torch.device("cpu")
    sizes = ", ".join(dict.fromkeys(f"{phase.batch_size}" for phase in phases))
    parts = f" in {settings.accumulate} parts" if settings.accumulate > 1 else ""
    compiled = ", compiled" if settings.compile else ""
    where = f"{processes} process{'es' * (processes > 1)} ({device})"
    return f"computed: {where}, {settings.precision}{compiled}; batch {sizes}{parts}, over all processes"


def _memory(recipe: Recipe, players: Mapping[str, Player]) -> str:
    """An estimate for each process, of what there is whatever the batch while a turn is played."""
    parts = dict.fromkeys(("weights", "gradients", "averages", "optimizers"), 0.0)
    for name, player in players.items():
        sizes = _size_of(player), _bytes(player.trainable), _average_size(player), _optimizer_size(player)
        share, shared = 1 / _processes(), recipe.players[name].shard and _processes() > 1
        # Of a sharded player a turn has the whole weights beside the part that is kept, and whole gradients.
        factors = (1 + share, 1.0, share, share) if shared else (1.0, 1.0, 1.0, 1.0)
        for part, size, factor in zip(parts, sizes, factors, strict=True):
            parts[part] += size * factor
    listed = ", ".join(f"{name} {mebibytes(size)}" for name, size in parts.items())
    return f"memory: {mebibytes(sum(parts.values()))} in each process ({listed}); what a batch takes comes on top"


def _size_of(player: Player) -> int:
    return _bytes([*player.net.parameters(), *player.net.buffers()])


def _average_size(player: Player) -> int:
    """What does not learn is shared with the network."""
    return 0 if player.average is None else _bytes([*player.trainable, *player.average.buffers()])


def _optimizer_size(player: Player) -> int:
    """By a step with parameters of one number each: what it then remembers in their form, it has for every number."""
    if not player.trainable:
        return 0
    kept = {name: it for name, it in player.net.named_parameters() if it.requires_grad}
    small = {name: torch.zeros([1] * it.dim(), dtype=it.dtype).requires_grad_() for name, it in kept.items()}
    for it in small.values():
        it.grad = torch.zeros_like(it)
    optimizer = player.learning.optimizer(small)
    optimizer.step()
    return sum(
        value.element_size() * (kept[name].numel() if value.shape == it.shape else value.numel())
        for name, it in small.items()
        for value in optimizer.state[it].values()
        if isinstance(value, Tensor)
    )


def _bytes(tensors: Iterable[Tensor]) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)
