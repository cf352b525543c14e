"""Play recipes and write down every gradient; run under torchrun or alone.

python gradients.py FOLDER OUT

Every FOLDER/NAME.yaml is played. OUT/rankN.safetensors then has

    NAME/gradient.PHASE.BATCH.PLAYER  what a player learned from in the turn with this batch, NaN where it is missing
    NAME/weights.PLAYER               its parameters and buffers at the end
    NAME/average.PLAYER               those of its average
    NAME/objective                    what the objective remembers at the end
    NAME/figures.TURN/FIGURE          means of what the turns reported

All but the figures are vectors of float64.
"""

import sys
from collections.abc import Iterable
from pathlib import Path

import torch
from accelerate import Accelerator
from rich.console import Console
from safetensors.torch import save_file
from torch import Tensor

from gangen.components.registry import Registry
from gangen.recipe.load import load_recipe
from gangen.run_directory import RunDirectory
from gangen.training.assemble import assemble
from gangen.training.players import Player
from gangen.training.sharding import whole_of
from gangen.training.trainer import Trainer


def play(trainer: Trainer) -> dict[str, Tensor]:
    """What is written down of a game."""
    found = {}
    share = Player.share_gradients

    def share_and_note(player: Player) -> None:
        share(player)
        learned = zip(player.trainable, player.weights, strict=True)
        gradients = [torch.full_like(p, torch.nan) if it.grad is None else whole_of(it.grad) for p, it in learned]
        found[f"gradient.{trainer.phases[trainer.state.phase].name}.{trainer.state.batches}.{player.name}"] = flat(
            gradients
        )

    Player.share_gradients = share_and_note
    while trainer.state.phase < len(trainer.phases):
        trainer.play_step(trainer.phases[trainer.state.phase])
    Player.share_gradients = share
    for name, player in trainer.players.items():
        with player.whole():
            found[f"weights.{name}"] = flat(player.net.state_dict().values())
            if player.average is not None:
                found[f"average.{name}"] = flat(player.average.state_dict().values())
    if trainer.objective is not None and trainer.objective.state_dict():
        found["objective"] = flat(trainer.objective.state_dict().values())
    return found | {f"figures.{name}": torch.tensor(value) for name, value in trainer.meter.read().items()}


def flat(tensors: Iterable[Tensor]) -> Tensor:
    """All entries of all tensors in one vector of float64."""
    return torch.cat([tensor.detach().double().flatten() for tensor in tensors])


folder, out = map(Path, sys.argv[1:])
registry = Registry.discover()
accelerator = Accelerator(cpu=True)
found = {}
for path in sorted(folder.glob("*.yaml")):
    recipe = load_recipe(path, [f"run={out}"], registry)
    trainer = assemble(recipe, registry, accelerator, RunDirectory(recipe.run), Console(quiet=True))
    found |= {f"{path.stem}/{key}": value for key, value in play(trainer).items()}
out.mkdir(parents=True, exist_ok=True)
save_file(found, out / f"rank{accelerator.process_index}.safetensors")
accelerator.wait_for_everyone()
accelerator.end_training()
