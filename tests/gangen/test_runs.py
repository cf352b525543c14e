"""What an operator sees of runs: their own last words, what is inferred without them, and whatever strangers wrote."""

import json
import os
import signal

import pytest
import torch

from gangen import cli
from gangen.errors import UsageError
from gangen.run_directory import RunDirectory
from gangen.runs import Row, find_runs, table
from gangen.training import lock
from gangen.training.run import Stopped, train

FIVE = (
    "phases={first: {steps: 2, turns: {discriminate: 1}}, second: {steps: 3, turns: {discriminate: 1, generate: 1}}}",
    *("every.log=1", "every.checkpoint=1"),
)
BEAT = {"step": 3, "steps": 5, "phase": "second", "time": 1.7e9, "steps_per_second": 0.5, "memory": 2**20}


@pytest.fixture
def play(points, interrupted):
    """Play five steps in runs/one; ``before`` is called in the fourth."""

    def play(before=lambda: None):
        interrupted(points(*FIVE, run="runs/one"), 3, before)

    return play


def only(folder):
    (row,) = find_runs(folder)
    return row


def test_a_run_that_evaluates_says_so(points, tmp_path, monkeypatch):
    seen = []

    def look(metric, context):
        seen.append(only(tmp_path / "runs"))
        return {"far": 1.0}

    monkeypatch.setattr("gangen_image.metrics.modes.Modes.__call__", look)
    twice = "metrics=[{use: image/modes}, {use: image/modes, samples: 7}]"
    train(points(*FIVE, twice, "every.evaluate=2", run="runs/one"), points.registry)
    assert [row.reason.partition("; ")[2] for row in seen[:2]] == [
        f"evaluating: metric 'image/modes', {number} of 2" for number in (1, 2)
    ]
    assert only(tmp_path / "runs").reason == ""


def test_a_run_says_how_far_it_is_and_how_it_ended(play, tmp_path):
    def boom():
        row = only(tmp_path / "runs")
        assert (row.state, row.phase, row.step, row.steps) == ("training", "first", 1, 5)
        assert row.reason.startswith(f"process {os.getpid()} on ")
        assert row.seconds_left == pytest.approx(4 / row.steps_per_second) and row.memory > 2**20
        raise RuntimeError("boom\x1b[2J")

    with pytest.raises(RuntimeError):
        play(boom)
    row = only(tmp_path / "runs")
    assert (row.state, row.reason, row.step, row.phase) == ("error", r"RuntimeError: boom\x1b[2J", 3, "second")
    with pytest.raises(Stopped):
        play(lambda: os.kill(os.getpid(), signal.SIGTERM))
    row = only(tmp_path / "runs")
    assert (row.state, row.reason, row.step, row.seconds_left) == ("stopped", "by SIGTERM", 4, None)
    play()
    row = only(tmp_path / "runs/one")
    assert (row.name, row.state, row.reason, row.step) == ("one", "finished", "", 5)
    assert row.figure == "discriminate/loss" and row.value > 0
    told = (tmp_path / "runs/one/heartbeat.json").read_text()
    play()
    assert (tmp_path / "runs/one/heartbeat.json").read_text() == told


@pytest.fixture
def folder(tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    (run / "recipe.yaml").write_text("phases: {first: {steps: 2}, second: {steps: 3}}")
    return run


def test_a_run_that_was_killed_is_stopped_unless_somebody_goes_on_with_it(folder):
    (folder / "heartbeat.json").write_text(json.dumps(BEAT | {"state": "training"}))
    (folder / ".lock").write_text("process 1 on elsewhere since yesterday")
    row = only(folder)
    assert (row.state, row.reason) == ("stopped", "its process is gone without a word")
    with lock.locked(RunDirectory(folder), torch.device("cpu")):
        assert (only(folder).state, only(folder).seconds_left) == ("training", 4)


def test_a_run_without_a_heartbeat_is_told_of_by_its_other_records(folder):
    assert only(folder).state == "empty"
    (folder / "checkpoints").mkdir()
    (folder / "checkpoints/latest").write_text("step-00000004\n")
    assert (only(folder).state, only(folder).step, only(folder).steps) == ("stopped", 4, 5)
    rows = {"step": 5, "phase": "second", "nll": {"value": 2.5}}, {"step": 5, "phase": "second", "a/loss": 1.0}
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows) + '{"step": 6, "ph')
    row = only(folder)
    assert (row.state, row.step, row.phase, row.figure, row.value) == ("finished", 5, "second", "nll", 2.5)


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        ("heartbeat.json", "[]", "heartbeat.json is not what gangen wrote"),
        ("heartbeat.json", json.dumps(BEAT | {"state": "training", "step": 10**400}), "heartbeat.json is not what"),
        (
            "heartbeat.json",
            json.dumps(BEAT | {"state": "training", "steps_per_second": float("nan")}),
            "heartbeat.json",
        ),
        ("recipe.yaml", "phases: {first: {steps: .inf}}", "recipe.yaml does not say how many steps"),
        ("recipe.yaml", "phases: [", "recipe.yaml"),
        ("checkpoints/latest", "../../mine", "names '../../mine', which is no checkpoint"),
    ],
)
def test_what_is_damaged_is_named_beside_the_others(name, text, why, folder, tmp_path):
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_text(text)
    (tmp_path / "group/sound").mkdir(parents=True)
    (tmp_path / "group/sound/metrics.jsonl").write_text('{"step": 1, "phase": "first"}\n')
    (tmp_path / "photos/2024").mkdir(parents=True)
    (tmp_path / "void").mkdir()
    rows = {row.name: row for row in find_runs(tmp_path)}
    assert {name: row.state for name, row in rows.items()} == {
        **{"group/sound": "stopped", "photos": "no run", "run": "damaged", "void": "empty"}
    }
    assert why in rows["run"].reason


def test_a_link_out_of_a_run_is_not_followed(folder, tmp_path):
    (tmp_path / "secret").write_text('{"step": 1, "phase": "secret"}\n')
    (folder / "metrics.jsonl").symlink_to(tmp_path / "secret")
    assert only(folder).state == "damaged" and "leads out of the run" in only(folder).reason


def test_the_command_shows_a_table_or_json_in_which_nothing_acts(folder, tmp_path, capsys):
    (folder / "heartbeat.json").write_text(
        json.dumps(BEAT | {"state": "error", "reason": "[red]\x1b[2J", "phase": "\u202eevil"})
    )
    assert cli.main(["runs", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert r"[red]\x1b[2J" in said and r"\u202eevil" in said and "3/5" in said and "0.5" in said and "1 MiB" in said
    assert cli.main(["runs", str(tmp_path), "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["name"], row["state"], row["step"], row["steps"], row["value"]) == ("run", "error", 3, 5, None)


def test_a_folder_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(UsageError, match="there is no folder"):
        find_runs(tmp_path / "none")


@pytest.mark.parametrize(
    ("seconds", "words"), [(59, "59 s"), (185, "3 min"), (47_870, "13 h 17 min"), (90_000, "1 d 1 h")]
)
def test_the_time_that_is_left_cannot_be_taken_for_a_time_of_day(seconds, words):
    columns = {
        column.header: list(column.cells) for column in table([Row("one", "training", seconds_left=seconds)]).columns
    }
    assert columns["left"] == [words]
