"""Every conditional game goes on from a checkpoint as if it had never stopped, with all that its objective remembers.

The games are the recipes in the folder beside this file, which tests/distributed/test_conditional_gradients.py plays
too: two steps a phase, of tiny networks.
"""

from pathlib import Path

import pytest
from accelerate import Accelerator
from rich.console import Console

from gangen.components.registry import Registry
from gangen.recipe.load import load_recipe
from gangen.run_directory import RunDirectory
from gangen.training import checkpoint
from gangen.training.assemble import assemble

GAMES = sorted((Path(__file__).parent / "games").glob("*.yaml"))
REGISTRY = Registry.discover()


def trainer_of(path, folder):
    recipe = load_recipe(path, [f"run={folder}", "trainer.threads=1"], REGISTRY)
    return assemble(recipe, REGISTRY, Accelerator(cpu=True), RunDirectory(recipe.run), Console(quiet=True))


def play(trainer, steps):
    for _ in range(steps):
        trainer.play_step(trainer.phases[trainer.state.phase])


@pytest.mark.parametrize("path", GAMES, ids=lambda path: path.stem)
def test_a_game_resumes_to_the_bit(path, tmp_path):
    whole = trainer_of(path, tmp_path)
    steps = sum(phase.steps for phase in whole.phases)
    play(whole, steps // 2)
    half = checkpoint.save(whole, tmp_path / "half", keep=1)
    play(whole, steps - steps // 2)
    resumed = trainer_of(path, tmp_path)
    checkpoint.restore(resumed, half)
    play(resumed, steps - steps // 2)
    for trainer, name in ((whole, "whole"), (resumed, "resumed")):
        checkpoint.save(trainer, tmp_path / name, keep=1)
    files = {file.relative_to(tmp_path / "whole") for file in (tmp_path / "whole").glob("step-*/**/*.*")}
    assert files
    assert files == {file.relative_to(tmp_path / "resumed") for file in (tmp_path / "resumed").glob("step-*/**/*.*")}
    for file in files:
        assert (tmp_path / "resumed" / file).read_bytes() == (tmp_path / "whole" / file).read_bytes(), file
