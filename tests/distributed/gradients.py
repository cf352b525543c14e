"""Play a recipe turn by turn and write down every gradient; run under torchrun or alone.

python gradients.py RECIPE OUT [override ...]
"""

import sys
from pathlib import Path

import torch
from accelerate import Accelerator
from rich.console import Console
from safetensors.torch import save_file

from gangen.assemble import assemble
from gangen.contracts import Clock
from gangen.recipe import load_recipe
from gangen.registry import Registry
from gangen.run_directory import RunDirectory

recipe_path, out, *overrides = sys.argv[1:]
registry = Registry.discover()
recipe = load_recipe(Path(recipe_path), [f"run={out}", *overrides], registry)
accelerator = Accelerator(cpu=True)
trainer = assemble(recipe, registry, accelerator, RunDirectory(recipe.run), Console(quiet=True))

found = {}
for number, phase in enumerate(trainer.phases):
    trainer.state.phase = number
    for step in range(phase.steps):
        clock = Clock(phase.name, step, phase.steps)
        for turn in phase.turns:
            with trainer.players.learning(turn.updates) as learners:
                trainer.compute_gradients(turn, clock)
                for player in learners:
                    player.share_gradients()
                    for name, parameter in player.net.named_parameters():
                        if parameter.grad is not None:
                            found[f"{phase.name}.{step}.{turn.name}.{player.name}.{name}"] = parameter.grad.clone()
                    player.step(clock)
            trainer.state.batches += 1
weights = {
    f"weights.{name}.{key}": value
    for name, player in trainer.players.items()
    for key, value in player.net.state_dict().items()
}
Path(out).mkdir(parents=True, exist_ok=True)
save_file(
    {key: value.contiguous().clone() for key, value in (found | weights).items()},
    Path(out) / f"rank{accelerator.process_index}.safetensors",
)
figures = trainer.meter.read()
if accelerator.is_main_process:
    torch_figures = {name: torch.tensor(value) for name, value in figures.items()}
    save_file(torch_figures, Path(out) / "figures.safetensors")
accelerator.wait_for_everyone()
accelerator.end_training()
