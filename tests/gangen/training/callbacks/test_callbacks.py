"""What a run keeps and says beside training: the best model, the end of each phase, warnings; and all of it resumed."""

import json

import pytest

from gangen import saved_model
from gangen.components.registry import Registry
from gangen.errors import RecipeError, RunError
from gangen.metrics.figures import Figure
from gangen.recipe.keep_best import KeepBest
from gangen.recipe.load import load_recipe
from gangen.training.run import train
from gangen.training.trainer import Trainer

pytest.importorskip("matplotlib", reason="matplotlib draws the points")

RECIPE = """
data: {use: image/points, size: 100, heldout_size: 100}
players:
  generator: {use: image/mlp, latent_dim: 2, hidden_dim: 8, optimizer: {lr: 0.02}, ema: 0.5}
  discriminator: {use: image/mlp, hidden_dim: 8, optimizer: {lr: 0.05}}
objective: image/gan
phases:
  warm_up: {steps: 4, turns: {generate: 1}}
  adversarial: {steps: 8, turns: {discriminate: 1, generate: 1}}
trainer: {batch_size: 8, threads: 1}
every: {log: 1, sample: 0, evaluate: 2, checkpoint: 7}
metrics: [{use: image/modes, samples: 500, radius: 50}]
keep_best: {highest: good}
guard: {use: guard, accuracy: 0.51, steps: 4}
"""


class Killed(BaseException):
    pass


@pytest.fixture
def recipe(tmp_path):
    registry = Registry.discover()
    path = tmp_path / "points.yaml"
    path.write_text(RECIPE)

    def load(*overrides: str, run: str = "run"):
        return load_recipe(path, [f"run={tmp_path / run}", *overrides], registry)

    load.registry = registry
    return load


@pytest.fixture
def play(recipe, tmp_path, monkeypatch):
    """Play the recipe, until a given number of steps are done, and return its run directory."""

    def play(*overrides: str, run: str = "run", until: int | None = None):
        def step(trainer, phase, whole=Trainer.play_step):
            if trainer.state.total == until:
                raise Killed
            whole(trainer, phase)

        with monkeypatch.context() as patch:
            patch.setattr(Trainer, "play_step", step)
            train(recipe(*overrides, run=run), recipe.registry)
        return tmp_path / run

    play.run = tmp_path / "run"
    return play


def rows(run):
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def remains(run):
    files = {path.relative_to(run).as_posix(): path.read_bytes() for path in run.rglob("*") if path.is_file()}
    return {name: content for name, content in files.items() if name not in ("recipe.yaml", "heartbeat.json")}


def weights(folder):
    return (folder / "generator.safetensors").read_bytes()


@pytest.mark.parametrize(("side", "better"), [("lowest", min), ("highest", max)])
def test_the_best_model_is_kept_and_sampled_from(side, better, play):
    run = play(f"keep_best={{{side}: good}}")
    evaluations = [row for row in rows(run) if "good" in row]
    assert len({row["good"]["value"] for row in evaluations}) > 3
    best = better(evaluations, key=lambda row: row["good"]["value"])
    told = json.loads((run / "best/best.json").read_text())
    assert told == {side: "good", "value": best["good"]["value"], "step": best["step"]}
    assert len(saved_model.load(run / "best").sample(n=3, seed=0)) == 3


@pytest.mark.parametrize("side", ["lowest", "highest"])
def test_the_best_model_is_that_of_its_step(side, play):
    run = play(f"keep_best={{{side}: good}}", "every.evaluate=3")
    step = json.loads((run / "best/best.json").read_text())["step"]
    if step < 12:
        with pytest.raises(Killed):
            play("every.checkpoint=1", run="short", until=step)
    else:
        play("every.checkpoint=1", run="short")
    assert weights(run / "best") == weights(run.parent / "short/model")


@pytest.mark.parametrize(("figure", "better"), [("good", max), ("kl", min)])
def test_a_figure_that_knows_its_good_end_needs_no_other_word(figure, better, play):
    run = play(f"keep_best={figure}", "every.checkpoint=1")
    best = better((row for row in rows(run) if figure in row), key=lambda row: row[figure]["value"])
    told = json.loads((run / "best/best.json").read_text())
    assert told == {"figure": figure, "value": best[figure]["value"], "step": best["step"]}


def test_of_figures_that_are_good_near_real_data_the_nearest_is_the_best():
    rule = KeepBest(figure="bleu_4")
    assert rule.prefers(Figure(0.30, 0.25, "real"), None) and rule.prefers(Figure(0.22, 0.25, "real"), 0.30)
    assert not rule.prefers(Figure(0.29, 0.25, "real"), 0.22)
    assert KeepBest(highest="bleu_4").prefers(Figure(0.30, 0.25, "real"), 0.25)


def test_a_figure_that_does_not_know_its_good_end_is_told_with_what_to_write(play, monkeypatch):
    monkeypatch.setattr("gangen_image.metrics.modes.Modes.__call__", lambda self, evaluation: {"good": 0.5})
    with pytest.raises(
        RunError, match=r"neither end of good is known to be good\nwrite {lowest: good} or {highest: good}"
    ):
        play("keep_best=good")


def test_trackers_are_given_numbers(play, monkeypatch):
    logged = []
    monkeypatch.setattr("accelerate.Accelerator.log", lambda self, values, **options: logged.append(values))
    found = {"good": Figure(0.5, 0.75, "high"), "far": 2}
    monkeypatch.setattr("gangen_image.metrics.modes.Modes.__call__", lambda self, evaluation: found)
    play()
    assert {"good": 0.5, "good_real": 0.75, "far": 2.0} in logged
    assert all(type(value) is float for values in logged for value in values.values())


def test_what_a_phase_ended_with_is_kept(play):
    run = play()
    with pytest.raises(Killed):
        play("every.checkpoint=1", run="short", until=4)
    assert [folder.name for folder in (run / "phases").iterdir()] == ["warm_up"]
    assert weights(run / "phases/warm_up") == weights(run.parent / "short/model") != weights(run / "model")
    assert len(saved_model.load(run / "phases/warm_up").sample(n=3, seed=0)) == 3


def test_phases_are_kept_without_checkpoints_too(play):
    run = play("every.checkpoint=0")
    assert (run / "phases/warm_up/gangen.json").exists() and not list((run / "checkpoints").iterdir())


def test_warnings_are_rows_of_their_own_beside_the_figures(play, capsys):
    run = play()
    warned = [row for row in rows(run) if "warning" in row]
    assert warned and all(row.keys() == {"step", "phase", "warning"} for row in warned)
    assert warned[0]["warning"].startswith("the discriminator wins") and warned[0]["step"] > 6
    assert len({row["warning"] for row in warned}) == len(warned)
    assert f"warning: {warned[0]['warning']}" in capsys.readouterr().out


def test_a_guard_that_is_turned_off_is_silent(play):
    assert not [row for row in rows(play("guard=null")) if "warning" in row]


@pytest.mark.parametrize("until", [5, 7, 8, 11])
def test_a_run_that_goes_on_keeps_and_warns_as_the_whole_run(until, play):
    whole = remains(play(run="whole"))
    assert b"warning" in whole["metrics.jsonl"] and "best/best.json" in whole
    with pytest.raises(Killed):
        play(until=until)
    found = remains(play())
    assert found.keys() == whole.keys()
    assert [name for name in whole if found[name] != whole[name]] == []


@pytest.mark.parametrize("before", ["null", "{lowest: kl}"])
def test_a_run_may_go_on_with_another_figure_and_keeps_what_it_finds_from_there(before, play):
    with pytest.raises(Killed):
        play(f"keep_best={before}", until=9)  # goes on from step 7
    found = [row for row in rows(play()) if "good" in row and row["step"] > 7]
    best = max(found, key=lambda row: row["good"]["value"])
    told = json.loads((play() / "best/best.json").read_text())
    assert (told["value"], told["step"]) == (best["good"]["value"], best["step"])


def test_a_run_that_is_killed_while_the_best_model_is_written_goes_on(play, monkeypatch):
    whole = remains(play(run="whole"))

    def die(*arguments):
        raise Killed

    for module, name in (
        ("gangen.training.callbacks.best_model", "write_atomically"),
        ("gangen.saved_model", "save_file"),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(f"{module}.{name}", die)
            with pytest.raises(Killed):
                play()
    assert remains(play()) == whole


def test_a_figure_that_no_metric_reports_is_named_and_the_run_may_go_on(play):
    with pytest.raises(RunError, match=r"no metric reports 'mode'; did you mean 'modes'\?\nthere are: modes, good, kl"):
        play("keep_best.highest=mode", "every.checkpoint=1")
    run = play("keep_best={lowest: kl}", "every.checkpoint=1")
    assert json.loads((run / "best/best.json").read_text())["lowest"] == "kl"


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("keep_best.lowest=kl", r"needs one figure: its name, or lowest or highest and its name; got 'kl' and 'good'"),
        (
            "keep_best.highest=null",
            r"keep_best needs one figure: its name, or lowest or highest and its name; got none",
        ),
        ("metrics=[]", r"keep_best compares evaluations, and there are none"),
        ("every.evaluate=0", r"keep_best compares evaluations, and there are none"),
        ("phases.a/b={steps: 1, turns: {generate: 1}}", r"'a/b' cannot be the name of a phase"),
    ],
)
def test_what_cannot_be_kept_is_refused_before_training(override, message, recipe):
    with pytest.raises(RecipeError, match=message):
        recipe(override)


def test_a_complete_recipe_says_how_it_is_guarded(recipe):
    plain = recipe().to_dict()
    assert plain["keep_best"] == {"figure": None, "lowest": None, "highest": "good"}
    assert plain["guard"]["use"] == "gangen/guard" and plain["guard"]["explosion"] == 100.0


def test_warnings_are_kept_with_the_figures_once(play, recipe, monkeypatch):
    monkeypatch.setattr("gangen_image.metrics.modes.Modes.__call__", lambda self, evaluation: odd(evaluation))

    def odd(evaluation):
        evaluation.warn("these samples are few")
        return {"good": 0.5, "bad": float("nan")}

    with pytest.raises(Killed):
        play(until=9)
    found = rows(play())
    warned = [
        row["warning"] for row in found if "these samples" in str(row.get("warning")) and "nan" not in row["warning"]
    ]
    assert warned == ["these samples are few"]
    assert "bad is nan: it says nothing of these samples" in [row.get("warning") for row in found]
    assert {row["bad"]["value"] for row in found if "bad" in row} == {None}


def test_a_run_goes_on_after_a_figure_that_was_not_finite(play, monkeypatch):
    monkeypatch.setattr("gangen_image.metrics.modes.Modes.__call__", lambda self, evaluation: {"good": figures.pop(0)})
    figures = [0.1, 0.2, float("nan"), 0.4, 0.4, 0.2, 0.1]  # of steps 2, 4, 6, 8; again 8; 10 and 12
    with pytest.raises(Killed):
        play(until=9)
    run = play()
    assert json.loads((run / "best/best.json").read_text())["value"] == 0.4


def fails(error):
    def fail(*arguments):
        raise error

    return fail


def test_a_metric_that_would_end_the_process_is_a_warning_and_training_goes_on(play, monkeypatch):
    monkeypatch.setattr("gangen_image.metrics.modes.Modes.__call__", fails(SystemExit(0)))
    run = play("keep_best=null")
    assert "failed, and training goes on: SystemExit: 0" in (run / "metrics.jsonl").read_text()
    assert rows(run)[-1]["step"] == 12


def test_a_metric_that_raises_is_a_warning_and_training_goes_on(play, monkeypatch, capsys):
    monkeypatch.setattr("gangen_image.metrics.modes.Modes.__call__", fails(ZeroDivisionError("by nothing")))
    run = play("keep_best=null")
    warned = [row["warning"] for row in rows(run) if "failed" in row.get("warning", "")]
    assert len(warned) == 1 and capsys.readouterr().out.count("ZeroDivisionError") == 1
    assert warned[0].startswith("metric 'image/modes' failed, and training goes on: ZeroDivisionError: by nothing (at ")
    assert "raise error" in warned[0] and warned[0].endswith("see error.txt)")
    monkeypatch.undo()
    assert weights(run / "model") == weights(play("keep_best=null", run="well") / "model")
    assert "Traceback" in (run / "error.txt").read_text()


def test_the_best_model_waits_for_a_metric_that_raised(play, monkeypatch):
    values = [0.1, ValueError("odd"), 0.3, 0.2, 0.2, 0.2]

    def measure(metric, evaluation):
        if isinstance(value := values.pop(0), ValueError):
            raise value
        return {"good": Figure(value, good="high")}

    monkeypatch.setattr("gangen_image.metrics.modes.Modes.__call__", measure)
    assert json.loads((play() / "best/best.json").read_text())["step"] == 6


@pytest.mark.parametrize("fault", ["render", "decode", "samples_of"])
def test_a_sheet_that_cannot_be_shown_is_a_warning_and_training_goes_on(fault, play, monkeypatch):
    monkeypatch.setattr(f"gangen_image.data.points.PointCodec.{fault}", fails(OSError("the disk is full")))
    run = play("every.sample=4", "metrics=[]", "every.evaluate=0", "keep_best=null")
    warned = [row["warning"] for row in rows(run) if "sheet" in row.get("warning", "")]
    assert warned and all("failed, and training goes on: OSError: the disk is full" in words for words in warned)
    assert (run / "model/generator.safetensors").exists() and rows(run)[-1]["step"] == 12


def test_a_step_is_kept_before_it_is_looked_at(play, monkeypatch):
    seen = []

    def look(metric, evaluation):
        seen.append((play.run / "checkpoints/latest").read_text())
        return {"good": Figure(0.5)}

    monkeypatch.setattr("gangen_image.metrics.modes.Modes.__call__", look)
    play("every.checkpoint=2")
    assert seen == [f"step-{step:08d}\n" for step in (2, 4, 6, 8, 10, 12)]


def test_a_run_that_ended_can_be_played_longer(play, capsys):
    run = play()
    capsys.readouterr()
    play("phases.adversarial.steps=14")
    said = capsys.readouterr().out
    assert "from step 12" in said and "phase adversarial has 14 steps instead of 8: schedules that" in said
    assert rows(run)[-1]["step"] == 18 and (run / "checkpoints/latest").read_text() == "step-00000018\n"
    play("phases.adversarial.steps=14", "phases.more={steps: 3, turns: {generate: 1}}")
    assert rows(run)[-1]["step"] == 21 and rows(run)[-1]["phase"] == "more"
    assert {folder.name for folder in (run / "phases").iterdir()} == {"warm_up", "adversarial"}
    whole = ("phases.adversarial.steps=14", "phases.more={steps: 3, turns: {generate: 1}}")
    assert weights(play(*whole, run="whole") / "model") == weights(run / "model")  # its schedules are constant
    assert weights(run / "phases/adversarial") == weights(run.parent / "whole/phases/adversarial")


def test_a_run_goes_on_with_another_way_of_looking_at_it(play, capsys):
    with pytest.raises(Killed):
        play(until=8)
    capsys.readouterr()
    run = play(
        "every={log: 3, evaluate: 3, checkpoint: 2}", "trainer.keep_checkpoints=1", "metrics=[]", "keep_best=null"
    )
    assert "evaluation after" not in capsys.readouterr().out
    assert [folder.name for folder in (run / "checkpoints").glob("step*")] == ["step-00000012"]
    assert weights(run / "model") == weights(play(run="whole") / "model")


def test_a_local_file_that_changed_is_told_of(play, tmp_path, capsys):
    code = tmp_path / "mine.py"
    code.write_text("")
    with pytest.raises(Killed):
        play(f"code=[{code}]", until=9)
    code.write_text("# another")
    run = play(f"code=[{code}]")
    assert "warning: mine.py has changed since this run was last played" in capsys.readouterr().out
    assert [row["step"] for row in rows(run) if "mine.py" in row.get("warning", "")] == [7]


def test_a_sheet_may_be_several_files(play, monkeypatch, capsys):
    def render(codec, sheet, path):
        sides = [path.with_name(f"{path.name}-{side}.txt") for side in ("left", "right")]
        for side in sides:
            side.write_text(f"{len(sheet[0].samples)} samples")
        return sides

    monkeypatch.setattr("gangen_image.data.points.PointCodec.render", render)
    run = play("every.sample=12", "every.evaluate=0", "metrics=[]", "keep_best=null")
    files = ", ".join(str(run / f"samples/step-00000012-{side}.txt") for side in ("left", "right"))
    assert f"samples after adversarial 8: {files}" in capsys.readouterr().out
