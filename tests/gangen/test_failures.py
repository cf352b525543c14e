"""An error of somebody else's code says what failed, while what was done, and on whose line."""

import json
from pathlib import Path

import pytest

from gangen import cli
from gangen.errors import CheckpointError, RunError
from gangen.failures import explain, own_line

# A component of each kind that a run calls, which fails where FAULT says.
CODE = """
import json
from gangen import Callback, UsageError, hookimpl, updates
from gangen_echo.game import Game
from gangen_echo.networks import Generator
from gangen_echo.ring import Ring

FAULT = "{fault}"

def fail(where):
    if where == FAULT:
        json.loads("[1, 2")
    if where + " leaves" == FAULT:
        raise SystemExit(0)
    if where + " on purpose" == FAULT:
        raise UsageError("not today")

class Split:
    def __init__(self, split):
        self.split = split
    def batch(self, counter, *arguments, **named):
        if counter == 2:
            fail("split")
        return self.split.batch(counter, *arguments, **named)

class Rows(Ring):
    def __init__(self):
        super().__init__()
        self.train = Split(self.train)

class Faulty(Game):
    def __init__(self, spec):
        fail("constructor")
        super().__init__(spec, loss=None)
    @updates("generator")
    def generate(self, players, batch, clock):
        if clock.step == 1:
            fail("turn")
        return players.generator.sample(4).square().mean(), {{}}

class Look(Callback):
    def after_step(self, trainer):
        fail("callback")
    def finish(self, trainer):
        fail("finish")
    def close(self, trainer):
        fail("close")

@hookimpl
def gangen_data(register):
    register("rows", f"{{__name__}}:Rows")

@hookimpl
def gangen_objectives(register):
    register("game", f"{{__name__}}:Faulty")

@hookimpl
def gangen_callbacks(register):
    register("look", f"{{__name__}}:Look")
"""
RECIPE = """
run: run
code: mine.py
data: local/rows
players: {generator: echo/mlp}
objective: local/game
phases: {only: {steps: 3, turns: {generate: 1}}}
trainer: {batch_size: 8, threads: 1}
every: {log: 1, sample: 0}
callbacks: [local/look]
"""
LINE = 'mine.py:12: json.loads("[1, 2")'


@pytest.fixture
def play(echo, tmp_path, monkeypatch, capsys):
    """Play a recipe whose plugin fails at ``fault``; returns what stood on stderr."""
    monkeypatch.chdir(tmp_path)

    def play(fault: str, *words: str) -> list[str]:
        Path("mine.py").write_text(CODE.format(fault=fault))
        Path("recipe.yaml").write_text(RECIPE)
        assert (cli.main(["recipe.yaml", *words]) != 0) == (fault != "none")
        return [line for line in capsys.readouterr().err.splitlines() if "running code" not in line]

    return play


WHAT = "gangen: error: JSONDecodeError: Expecting ',' delimiter: line 1 column 6 (char 5)"


@pytest.mark.parametrize(
    ("fault", "places"),
    [
        ("turn", ["in turn 'generate' of objective 'local/game'", "in phase only, step 2"]),
        (
            "split",
            [
                "in a batch of data source 'local/rows'",
                "in turn 'generate' of objective 'local/game'",
                "in phase only, step 3",
            ],
        ),
        ("callback", ["in callback 'local/look'", "in phase only, step 1"]),
        ("close", ["in callback 'local/look'"]),
    ],
)
def test_a_foreign_error_is_one_block_and_its_traceback_is_kept(fault, places, play):
    assert play(fault) == [WHAT, f"at {LINE}", *places, "the traceback is in run/error.txt"]
    kept = Path("run/error.txt").read_text()
    assert "Traceback (most recent call last)" in kept and "in raw_decode" in kept


def test_where_there_is_no_run_yet_the_way_to_the_traceback_is_named(play):
    said = play("constructor")
    assert said[:2] == [WHAT, f"at {LINE}"] and "objective 'local/game'" in said[2]
    assert said[3:] == ["run again with --debug for the traceback"]


def test_debug_prints_the_traceback(play):
    said = "\n".join(play("turn", "--debug"))
    assert "in raw_decode" in said and "in turn 'generate' of objective 'local/game'" in said


def test_what_a_plugin_says_on_purpose_stands_for_itself(play):
    assert play("turn on purpose") == ["gangen: error: not today"]
    assert not Path("run/error.txt").exists()


@pytest.mark.parametrize("fault", ["constructor", "turn", "finish"])
def test_code_that_leaves_is_an_error_and_no_end_of_the_run(fault, play):
    said = play(f"{fault} leaves")
    assert said[0] == "gangen: error: code that it uses would have ended gangen by exit(0)"
    assert said[1] == "at mine.py:14: raise SystemExit(0)"
    if fault == "turn":
        assert "in turn 'generate' of objective 'local/game'" in said
        assert "raise SystemExit(0)" in Path("run/error.txt").read_text()


@pytest.mark.parametrize("fault", ["finish", "finish leaves", "finish on purpose"])
def test_a_callback_that_cannot_finish_does_not_keep_the_end_from_being_saved(fault, play):
    play(fault, "every.checkpoint=100")
    assert Path("run/checkpoints/latest").read_text() == "step-00000003\n"


def test_all_callbacks_are_closed_and_the_first_error_is_kept_where_closing_fails_too(play, monkeypatch):
    monkeypatch.setattr("gangen.training.callbacks.progress.Log.close", lambda *given: {}["again"])
    closed = []
    monkeypatch.setattr("gangen.training.callbacks.signals.StopOnSignal.close", lambda *given: closed.append(given))
    play("turn")
    assert closed and "in raw_decode" in Path("run/error.txt").read_text()


def test_errors_of_a_run_are_kept_one_after_the_other(play):
    play("turn")
    play("callback")
    assert Path("run/error.txt").read_text().count("Traceback") == 2


def test_an_evaluation_keeps_its_traceback_with_the_run(play, capsys):
    play("none", "callbacks=[]", "every.checkpoint=1")
    code = (
        CODE.format(fault="metric")
        + """
class Odd(Radius):
    def __call__(self, context):
        fail("metric")

@hookimpl
def gangen_metrics(register):
    register("odd", f"{__name__}:Odd")
"""
    )
    Path("mine.py").write_text(code.replace("import Ring", "import Radius, Ring"))
    assert cli.main(["eval", "run", "--metric", "local/odd", "--code", "mine.py"]) == 1
    said = capsys.readouterr().err
    assert f"{WHAT}\nat {LINE}\nin metric 'local/odd'\nthe traceback is in run/error.txt\n" in said
    assert "in raw_decode" in Path("run/error.txt").read_text()


def caught(make) -> Exception:
    try:
        make()
    except Exception as error:
        return error
    raise AssertionError("nothing was raised")


def test_a_library_is_not_whose_line_it_was():
    assert f"{Path(__file__).name}:" in own_line(caught(lambda: json.loads("{")))


def test_every_process_speaks_with_its_number_but_of_what_all_know_one_does(monkeypatch):
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert explain(caught(lambda: {}["a"])).startswith("gangen: error on process 1 of 2: KeyError: 'a'\nat ")
    assert explain(CheckpointError("torn")) == "gangen: error on process 1 of 2: torn"
    assert explain(RunError("another recipe was played here")) == ""
    assert explain(RunError("no model"), together=False) == "gangen: error: no model"  # by gangen sample, say
    monkeypatch.delenv("WORLD_SIZE")
    assert explain(RunError("another recipe was played here")) == "gangen: error: another recipe was played here"
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "0")
    assert explain(RunError("another recipe was played here")) == "gangen: error: another recipe was played here"
