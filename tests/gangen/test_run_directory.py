from pathlib import Path

import pytest

from gangen.errors import RunError
from gangen.recipe.load import load_recipe
from gangen.run_directory import RunDirectory

RECIPE = """\
run: {run}
data: text/verses
players: {{generator: text/lstm}}
objective: text/gumbel
phases: {{pretrain: {{steps: {steps}, turns: {{imitate: 1}}}}}}
"""


@pytest.fixture
def recipe(tmp_path):
    def write(steps: int, run: str = "run"):
        path = tmp_path / "lstm.yaml"
        path.write_text(RECIPE.format(run=tmp_path / run, steps=steps))
        return load_recipe(path)

    return write


def test_a_run_without_a_checkpoint_may_change_its_recipe(recipe, tmp_path):
    run = RunDirectory(tmp_path / "run")
    run.begin(recipe(5), {})
    run.claim(recipe(7))
    run.begin(recipe(7), {})
    assert load_recipe(run.recipe).phases["pretrain"].steps == 7


def test_a_run_with_a_checkpoint_may_not(recipe, tmp_path):
    run = RunDirectory(tmp_path / "run")
    run.begin(recipe(5), {})
    (run.checkpoints / "latest").write_text("step-00000003\n")
    run.claim(recipe(5))
    with pytest.raises(
        RunError, match=r"holds a run of another recipe; it differs in\n  phases.pretrain.steps: 5 -> 7"
    ):
        run.claim(recipe(7))
    run.begin(recipe(7), {})
    assert load_recipe(run.recipe).phases["pretrain"].steps == 5


def test_a_recipe_of_somebody_else_is_left_alone(recipe, tmp_path):
    """A folder with a recipe.yaml that no run wrote."""
    folder = tmp_path / "run"
    folder.mkdir()
    theirs = RECIPE.format(run="elsewhere", steps=3)
    Path(folder / "recipe.yaml").write_text(theirs)
    with pytest.raises(RunError, match="holds a run of another recipe"):
        RunDirectory(folder).claim(recipe(7))
    assert (folder / "recipe.yaml").read_text() == theirs


def test_figures_that_are_not_finite_are_null(tmp_path):
    run = RunDirectory(tmp_path)
    run.append_metrics({"step": 1, "good": 0.5, "bad": float("nan"), "rows": [float("inf"), 2]})
    assert run.metrics.read_text() == '{"step": 1, "good": 0.5, "bad": null, "rows": [null, 2]}\n'
    assert list(run.read_metrics()) == [{"step": 1, "good": 0.5, "bad": None, "rows": [None, 2]}]
