"""What a run on two processes says when one of them fails."""

CODE = """
import os
from gangen import hookimpl, updates

FIGURES = "FIGURES" in os.environ

class Game:
    def __init__(self, spec): ...
    @updates("generator")
    def generate(self, players, batch, clock):
        if clock.step == 2 and not FIGURES and os.environ["RANK"] == "1":
            raise KeyError("label")
        figures = {"more": 1.0} if FIGURES and os.environ["RANK"] == "1" else {}
        return players.generator.sample(4).square().mean(), figures

@hookimpl
def gangen_objectives(register):
    register("game", f"{__name__}:Game")
"""
RECIPE = """
code: mine.py
run: run
data: {use: image/points, size: 32, heldout_size: 8}
players: {generator: {use: image/mlp, hidden_dim: 4}}
objective: local/game
phases: {only: {steps: 50, turns: {generate: 1}}}
trainer: {batch_size: 8}
every: {sample: 0}
"""


def test_the_process_that_failed_is_heard_and_the_other_does_not_blame_itself(tmp_path, python):
    (tmp_path / "mine.py").write_text(CODE)
    (tmp_path / "game.yaml").write_text(RECIPE)
    played = python("-m", "gangen", "game.yaml", processes=2, check=False, cwd=tmp_path)
    assert played.returncode != 0
    said = [line for line in played.stderr.splitlines() if line.startswith("gangen: error")]
    assert "gangen: error on process 1 of 2: KeyError: 'label'" in said
    assert "in turn 'generate' of objective 'local/game'\nin phase only, step 3\n" in played.stderr
    assert not [line for line in said if "process 0" in line and "could not be reached" not in line]
    kept = (tmp_path / "run/error.txt").read_text()
    assert "process 1 of 2\nTraceback" in kept and "KeyError: 'label'" in kept


def test_figures_that_only_one_process_reports_are_named_by_both(tmp_path, python):
    (tmp_path / "mine.py").write_text(CODE)
    (tmp_path / "game.yaml").write_text(RECIPE)
    played = python("-m", "gangen", "game.yaml", processes=2, check=False, cwd=tmp_path, FIGURES="1")
    for process, figures in enumerate(("generate/generator/update_size (1)", "generate/more (10), ")):
        [said] = [line for line in played.stderr.splitlines() if f"error on process {process} of 2: turns must" in line]
        assert figures in said
