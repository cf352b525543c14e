import math
import os
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
    def write(steps: int, *overrides: str, run: str = "run"):
        path = tmp_path / "lstm.yaml"
        path.write_text(RECIPE.format(run=tmp_path / run, steps=steps))
        return load_recipe(path, overrides)

    return write


def test_a_run_without_a_checkpoint_may_change_its_recipe(recipe, tmp_path):
    run = RunDirectory(tmp_path / "run")
    run.begin(recipe(5), {})
    run.claim(recipe(7))
    run.begin(recipe(7), {})
    assert load_recipe(run.recipe).phases["pretrain"].steps == 7


@pytest.fixture
def played(recipe, tmp_path):
    """A run that played 3 of 5 steps."""
    run = RunDirectory(tmp_path / "run")
    run.begin(recipe(5), {"text": "gangen 1", "mine.py": "SHA-256 a"})
    (run.checkpoints / "latest").write_text("step-00000003\n")
    return run


def test_a_run_with_a_checkpoint_may_not(recipe, played):
    assert played.claim(recipe(5)) == []
    with pytest.raises(RunError, match=r"holds a run of another recipe; it differs in\n  seed: 0 -> 1\nundo"):
        played.claim(recipe(5, "seed=1"))


def test_of_many_differences_ten_are_told_the_game_first(recipe, played):
    other = ("objective=text/seqgan", "seed=1", "players.generator=text/transformer")
    with pytest.raises(RunError) as refused:
        played.claim(recipe(5, *other))
    lines = str(refused.value).splitlines()
    assert lines[1] == "  objective.use: text/gumbel -> text/seqgan" and "  seed: 0 -> 1" in lines
    assert len(lines) == 13 and lines[11].endswith("settings more") and "start a new one with run=..." in lines[12]


def test_steps_that_were_played_stay(recipe, played):
    message = r"phases.pretrain.steps: 5 -> 2\nundo the change to go on with that run \(step 3 of phase pretrain was"
    with pytest.raises(RunError, match=message):
        played.claim(recipe(2))


@pytest.mark.parametrize("steps", [3, 4, 9])
def test_a_phase_that_is_played_may_have_another_end_and_says_what_that_means(steps, recipe, played):
    [said] = played.claim(recipe(steps))
    assert said == f"phase pretrain has {steps} steps instead of 5: schedules that it has are stretched from step 3 on"


def test_where_schedules_go_over_the_run_another_length_of_it_is_said(recipe, played):
    schedule = "players.generator.optimizer.lr={start: 0.1, end: 0.01, over: run}"
    played.begin(recipe(5, schedule), {})
    [said] = played.claim(recipe(5, schedule, "phases.more={steps: 2, turns: {imitate: 1}}"))
    assert said == "the run has 7 steps instead of 5: schedules over the run are stretched from step 3 on"


def test_phases_that_did_not_begin_may_be_others(recipe, played):
    assert played.claim(recipe(5, "phases.more={steps: 2, turns: {imitate: 1}}")) == []
    played.begin(recipe(5, "phases.more={steps: 2, turns: {imitate: 1}}"), {})
    assert played.claim(recipe(5)) == []
    (played.checkpoints / "latest").write_text("step-00000006\n")
    with pytest.raises(RunError, match=r"phases.more.steps: 2 -> absent"):
        played.claim(recipe(5))
    with pytest.raises(RunError, match=r"phases.pretrain.steps: 5 -> 6"):
        played.claim(recipe(6, "phases.more={steps: 2, turns: {imitate: 1}}"))


def test_what_does_not_change_the_mathematics_may_differ(recipe, played):
    free = ("every.log=3", "trainer.threads=2", "trainer.keep_checkpoints=9", "metrics=[text/nll]", "guard=null")
    assert played.claim(recipe(5, *free, "callbacks=[guard]", "trainer.trackers=[tensorboard]")) == []
    for override in ("trainer.batch_size=4", "trainer.precision=bf16", "players.generator.hidden_dim=3"):
        with pytest.raises(RunError, match=override.partition("=")[0]):
            played.claim(recipe(5, override))


def test_what_a_later_version_added_to_recipes_is_no_difference(recipe, played):
    text = "".join(line for line in played.recipe.read_text().splitlines(True) if "clip" not in line)
    played.recipe.write_text(text)
    assert played.claim(recipe(5)) == []


def test_plugins_and_files_that_changed_are_told_of_once(recipe, played):
    now = {"text": "gangen 2", "mine.py": "SHA-256 b", "new": "1"}
    said = played.begin(recipe(5), now)
    assert [words.partition(" has changed")[0] for words in said] == ["text", "mine.py"]
    assert said[0].endswith("gangen 1 -> gangen 2") and played.begin(recipe(5), now) == []


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
        {
            "step": 1,
            "phase": "duel",
            "turn/loss": float("nan"),
            "good": Figure(0.5),
            "bad": Figure(math.inf, 2.0, "low"),
        }
    )
    values = '{"value": 0.5, "real": null, "good": null}', '{"value": null, "real": 2.0, "good": "low"}'
    assert (
        run.metrics.read_text()
        == f'{{"step": 1, "phase": "duel", "turn/loss": null, "good": {values[0]}, "bad": {values[1]}}}\n'
    )
    (row,) = run.read_metrics()
    assert math.isnan(row["bad"].value) and (row["bad"].real, row["bad"].good) == (2.0, "low")
    assert {name: entry for name, entry in row.items() if name != "bad"} == {
        "step": 1,
        "phase": "duel",
        "turn/loss": None,
        "good": Figure(0.5),
    }


def test_rows_of_older_runs_are_read_as_figures(tmp_path):
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


@pytest.mark.parametrize("line", ["{", '{"step": 2', "[]", '{"phase": "duel"}', '{"step": "2", "phase": "duel"}', "\0"])
def test_a_line_that_is_no_row_costs_no_other(line, tmp_path):
    run = RunDirectory(tmp_path)
    rows = [{"step": step, "phase": "duel", "turn/loss": 0.5} for step in (1, 3)]
    run.append_metrics(rows[0])
    with run.metrics.open("a") as file:
        file.write(f"{line}\n")
    run.append_metrics(rows[1])
    run.forget_after(3)
    assert list(run.read_metrics()) == rows


def test_metrics_that_have_no_end_are_refused(tmp_path):
    run = RunDirectory(tmp_path)
    os.mkfifo(run.metrics)
    with pytest.raises(RunError, match=r"metrics\.jsonl is no file"):
        list(run.read_metrics())
