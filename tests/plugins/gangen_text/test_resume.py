"""Text games that remember more than what is learned go on from a checkpoint as if they had never stopped."""

import pytest
from accelerate import Accelerator
from rich.console import Console

from gangen.components.registry import Registry
from gangen.recipe.load import load_recipe
from gangen.run_directory import RunDirectory
from gangen.training import checkpoint
from gangen.training.assemble import assemble

REGISTRY = Registry.discover()
RECIPE = """
data: {{use: text/lines, path: {path}, label_column: label, tokenizer: words, max_length: 8}}
players:
  generator: {{use: {generator}, optimizer: {{lr: 0.01}}}}
  discriminator: {{use: {discriminator}, optimizer: {{lr: 0.01}}}}
objective: {objective}
phases: {{adversarial: {{steps: 4, turns: {{discriminate: 1, policy: 1}}}}}}
trainer: {{batch_size: 16, threads: 1}}
"""
LSTM, CNN = "text/lstm, hidden_dim: 8", "text/cnn, filter_widths: [1, 3], filter_counts: [4, 4]"
GAMES = {
    "text/scratchgan": (LSTM, LSTM),
    "{use: text/leakgan, rollouts: 2}": (f"text/hierarchical, leak: {{use: {CNN}}}", CNN),
}


def trainer_of(folder, path, objective):
    generator, discriminator = GAMES[objective]
    text = RECIPE.format(path=path, objective=objective, generator=generator, discriminator=discriminator)
    (folder / "game.yaml").write_text(text)
    recipe = load_recipe(folder / "game.yaml", [f"run={folder}"], REGISTRY)
    return assemble(recipe, REGISTRY, Accelerator(cpu=True), RunDirectory(recipe.run), Console(quiet=True))


@pytest.mark.parametrize("objective", GAMES)
def test_a_game_resumes_to_the_bit(objective, labelled_csv, tmp_path):
    whole, resumed = (trainer_of(tmp_path, labelled_csv, objective) for _ in range(2))
    for step in range(4):
        if step == 2:
            half = checkpoint.save(whole, tmp_path / "half", keep=1)
        whole.play_step(whole.phases[0])
    assert whole.objective.state_dict() or dict(whole.players["generator"].net.leak.named_buffers())
    checkpoint.restore(resumed, half)
    for _ in range(2):
        resumed.play_step(resumed.phases[0])
    for trainer, name in ((whole, "whole"), (resumed, "resumed")):
        checkpoint.save(trainer, tmp_path / name, keep=1)
    files = {file.relative_to(tmp_path / "whole") for file in (tmp_path / "whole").glob("step-*/**/*.*")}
    assert files
    for file in files:
        assert (tmp_path / "resumed" / file).read_bytes() == (tmp_path / "whole" / file).read_bytes(), file
