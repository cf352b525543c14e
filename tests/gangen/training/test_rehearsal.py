"""`gangen check --play`: what a run would come to only later is found before it."""

from pathlib import Path

import pytest

from gangen import cli

CODE = """
import json
from gangen import SheetRow, UsageError, hookimpl, updates
from gangen_echo.networks import Generator
from gangen_echo.game import Game
from gangen_echo.ring import PointCodec, Radius, Ring

FAULT = "{fault}"

class Net(Generator):
    calls = 0
    def sample(self, n, condition=None):
        Net.calls += 1
        return super().sample(n, condition) + (Net.calls if FAULT == "noise" else 0)

class Codec(PointCodec):
    def render(self, sheet, path):
        return json.loads("[1, 2") if FAULT == "sheet" else super().render(sheet, path)
    def write(self, samples, path):
        return json.loads("[1, 2") if FAULT == "write" and path.stem == "0" else super().write(samples, path)

    def encode(self, prompt, n):
        if FAULT == "prompts":
            raise UsageError("nobody has a prompt for these")
        return super().encode(prompt, n)

class Rows(Ring):
    codec_class = Codec
    def __init__(self):
        super().__init__()
        self.codec = Codec(self.codec.spec)
        if FAULT == "prompts":
            self.sheet = lambda: [SheetRow("one", 4, {{}})]

class Odd(Radius):
    def __call__(self, evaluation):
        if FAULT == "raises":
            json.loads("[1, 2")
        return "much" if FAULT == "metric" else {{"odd": 1.0}}

class Play(Game):
    @updates("generator")
    def vector(self, players, batch, clock):
        return players.generator.sample(3).square().mean(dim=1), {{}}

@hookimpl
def gangen_data(register):
    register("rows", f"{{__name__}}:Rows")

@hookimpl
def gangen_generators(register):
    register("net", f"{{__name__}}:Net")

@hookimpl
def gangen_objectives(register):
    register("game", f"{{__name__}}:Play")

@hookimpl
def gangen_metrics(register):
    register("odd", f"{{__name__}}:Odd")
"""
RECIPE = """
run: run
code: mine.py
data: local/rows
players: {{generator: local/net, discriminator: echo/mlp}}
objective: local/game
phases:
  first: {{steps: 30, turns: {{generate: 1}}}}
  second: {{steps: 20, turns: {{discriminate: 2, {turn}: {{every: 7}}}}}}
trainer: {{batch_size: 8, threads: 1}}
metrics: [local/odd, echo/radius]
"""


@pytest.fixture
def check(echo, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)

    def check(fault: str = "", turn: str = "generate"):
        Path("mine.py").write_text(CODE.format(fault=fault))
        Path("recipe.yaml").write_text(RECIPE.format(turn=turn))
        code = cli.main(["check", "--play", "recipe.yaml"])
        said = capsys.readouterr()
        assert (code != 0) == ("gangen: error" in said.err) and not Path("run").exists()
        return said

    return check


def test_every_turn_sheet_and_metric_is_told_of(check):
    said = check().out
    assert "first 1/1  generate/loss " in said and "second 1/1  discriminate/loss " in said
    assert "evaluation after second 1: odd 1.0" in said and "radius " in said
    assert "samples after first 1: " in said and "samples after second 1: " in said
    assert said.endswith("saved, loaded, and sampled twice alike\nrecipe.yaml can be played\n") and "next:" not in said


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("metric", ["metric 'local/odd'"]),
        ("raises", ["JSONDecodeError", "at mine.py:", "in metric 'local/odd'"]),
        ("sheet", ["JSONDecodeError", "at mine.py:", "in phase first, step 1", "run again with --debug"]),
        ("write", ["JSONDecodeError", "at mine.py:", "in sampling from the model that was saved"]),
        ("noise", ["local/net: two draws by one seed differ"]),
    ],
)
def test_what_would_end_badly_is_found(fault, words, check):
    said = check(fault)
    assert [word for word in words if word not in said.err] == [] and "can be played" not in said.out


def test_a_loss_that_is_none_is_found_with_its_turn(check):
    said = check(turn="vector").err
    assert "turn 'vector' of objective 'local/game'" in said and "[3]" in said


def test_what_no_prompt_asks_for_is_sampled_on_what_its_sheets_are_conditioned_on(check, capsys):
    assert "sampled twice alike" in check("prompts").out
    assert cli.main(["recipe.yaml", "phases.first.steps=1", "phases.second.steps=1"]) == 0
    command = capsys.readouterr().out.rpartition("report:")[2].partition("(")[0].split()
    assert command[:3] == ["gangen", "eval", "run"] and cli.main(command[1:]) == 0
