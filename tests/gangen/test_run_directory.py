import math
from pathlib import Path

import pytest

from gangen.errors import RunError
from gangen.metrics.figures import Figure
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
    run.append_metrics(
        {"step": 1, "turn/loss": float("nan"), "good": Figure(0.5), "bad": Figure(float("inf"), 2.0, "low")}
    )
    values = '{"value": 0.5, "real": null, "good": null}', '{"value": null, "real": 2.0, "good": "low"}'
    assert run.metrics.read_text() == f'{{"step": 1, "turn/loss": null, "good": {values[0]}, "bad": {values[1]}}}\n'
    (row,) = run.read_metrics()
    assert math.isnan(row["bad"].value) and (row["bad"].real, row["bad"].good) == (2.0, "low")
    assert {name: entry for name, entry in row.items() if name != "bad"} == {
        "step": 1,
        "turn/loss": None,
        "good": Figure(0.5),
    }


def test_rows_of_before_figures_were_values_are_read_as_figures(tmp_path):
    run = RunDirectory(tmp_path)
    run.metrics.write_text(
        '{"step": 1, "phase": "duel", "turn/loss": 0.5, "turn/real": 1.0}\n'
        '{"step": 1, "phase": "duel", "kid": 3, "kid_real": 0.25, "on_real": null}\n'
    )
    turns, metrics = run.read_metrics()
    assert turns == {"step": 1, "phase": "duel", "turn/loss": 0.5, "turn/real": 1.0}
    assert metrics.keys() == {"step", "phase", "kid", "on_real"}
    assert metrics["kid"] == Figure(3.0, 0.25) and math.isnan(metrics["on_real"].value)
    run.forget_after(1)  # as a run does that goes on
    assert list(run.read_metrics())[1]["kid"] == Figure(3.0, 0.25)
