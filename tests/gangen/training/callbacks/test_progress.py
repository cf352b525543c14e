"""What a run shows while it goes on, whom it tells of it, and when it stops by itself."""

import io
import json
import re
import shlex
import shutil
from types import SimpleNamespace

import pytest
import torch
from accelerate import Accelerator
from accelerate.tracking import LOGGER_TYPE_TO_CLASS, GeneralTracker, on_main_process
from rich.console import Console
from rich.progress import Progress
from safetensors.torch import load_file

from gangen import cli
from gangen.errors import RecipeError, RunError
from gangen.run_directory import RunDirectory
from gangen.training.assemble import assemble
from gangen.training.run import train


@pytest.fixture
def trainer(points):
    def make(*overrides: str, terminal: bool = False, width: int = 150):
        loaded, screen = points(*overrides), io.StringIO()
        run, console = RunDirectory(loaded.run), Console(file=screen, force_terminal=terminal, width=width)
        run.begin(loaded, {})
        return assemble(loaded, points.registry, Accelerator(cpu=True), run, console), screen

    return make


@pytest.fixture
def breaking(monkeypatch):
    """``breaking(5, factor)``: losses of the fifth step of phase adversarial are ``factor`` times what they are."""
    from gangen.training.phases import Turn

    def breaking(step: int, factor: float = torch.nan):
        def loss(turn, players, batch, clock, whole=Turn.loss):
            found, stats = whole(turn, players, batch, clock)
            return (found * factor if clock.phase == "adversarial" and clock.step == step - 1 else found), stats

        monkeypatch.setattr(Turn, "loss", loss)

    return breaking


@pytest.mark.parametrize(("log", "step"), [(2, 8), (0, 9)])
def test_a_figure_that_is_not_finite_stops_the_run_with_the_way_back(log, step, points, tmp_path, breaking):
    breaking(6)
    with pytest.raises(RunError) as stopped:
        train(points(f"every.log={log}", "trainer.keep_checkpoints=9"), points.registry)
    said = str(stopped.value)
    assert f"/loss became nan by step {step}, in phase adversarial\nnothing of that was saved; " in said
    assert f"the newest checkpoint is {tmp_path}/run/checkpoints/step-00000006\n" in said and "clip=1.0" in said
    for saved in (tmp_path / "run/checkpoints").glob("step-*/*/model.safetensors"):
        assert all(tensor.isfinite().all() for tensor in load_file(saved).values())
    assert (tmp_path / "run/checkpoints/latest").read_text() == "step-00000006\n"


SELDOM = "every={log: 10, checkpoint: 3}"
NEVER = "every={log: 0, checkpoint: 0}", "phases.adversarial.steps=4", "phases.more={steps: 3, turns: {generate: 1}}"


@pytest.mark.parametrize("factor", [torch.nan, torch.inf])
@pytest.mark.parametrize(
    ("event", "overrides"), [("a checkpoint", [SELDOM]), ("a signal", [SELDOM]), ("the end of a phase", NEVER)]
)
def test_nothing_is_saved_between_two_readings(event, overrides, factor, points, tmp_path, breaking, monkeypatch):
    from gangen.training.callbacks.signals import StopOnSignal

    def stop(self, trainer):
        trainer.stopping = "SIGTERM" if trainer.state.total == 5 else None

    breaking(3, factor)
    if event == "a signal":
        monkeypatch.setattr(StopOnSignal, "after_step", stop)
    with pytest.raises(RunError, match="nothing of that was saved"):
        train(points(*overrides, "players.generator.ema=0.9"), points.registry)
    latest = tmp_path / "run/checkpoints/latest"
    assert (latest.read_text() if latest.exists() else "none") == ("none" if "phase" in event else "step-00000003\n")
    weights = list((tmp_path / "run").rglob("*.safetensors"))
    assert weights and all(tensor.isfinite().all() for file in weights for tensor in load_file(file).values())
    assert not (tmp_path / "run/phases/adversarial").exists()


def test_an_average_that_is_not_finite_is_not_saved(points, tmp_path, monkeypatch):
    from gangen.training.players import Player

    def break_average(player, clock, scaler=None, *, rate=1.0, measure=False):
        next(player.average.parameters()).data[0] = torch.nan
        return {}

    monkeypatch.setattr(Player, "step", break_average)
    with pytest.raises(RunError, match="averages of player generator are not finite by step 2, in phase warm_up"):
        train(points("players.generator.ema=0.9"), points.registry)
    assert not list((tmp_path / "run").rglob("*.safetensors"))


def break_weights(trainer):
    trainer.players["generator"].trainable[0].data[0] = torch.inf


def break_moments(trainer):
    player = trainer.players["generator"]
    player.optimizer.state[player.trainable[0]]["exp_avg_sq"][0] = torch.inf  # a gradient of 1e20 leaves that


def break_objective(trainer):
    trainer.objective.register_buffer("kept", torch.tensor([0.0, torch.nan]))


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (break_weights, "weights of player generator are not finite"),
        (break_moments, "exp_avg_sq of the optimizer of player generator is not finite"),
        (break_objective, "'kept' of objective 'image/gan' is nan"),
    ],
)
def test_what_is_not_finite_is_not_saved(damage, words, points, tmp_path, monkeypatch):
    from gangen.training.trainer import Trainer

    def play(trainer, phase, whole=Trainer.play_step):
        whole(trainer, phase)
        if trainer.state.total == 6:
            damage(trainer)

    monkeypatch.setattr(Trainer, "play_step", play)
    with pytest.raises(RunError, match=f"{words} by step 6, in phase adversarial"):
        train(points("every.log=7"), points.registry)
    assert (tmp_path / "run/checkpoints/latest").read_text() == "step-00000003\n"


def test_a_run_whose_folder_is_gone_stops_with_a_checkpoint_and_goes_on(points, interrupted, tmp_path):
    with pytest.raises(RunError, match=r"was moved or deleted(.|\n)*a checkpoint of step 6 was saved there"):
        interrupted(points("every.log=1"), 4, lambda: shutil.rmtree(tmp_path / "run"))
    for name in ("run", "whole"):
        train(points(run=name), points.registry)
    one, other = (tmp_path / name / "model/generator.safetensors" for name in ("run", "whole"))
    assert one.read_bytes() == other.read_bytes() and (tmp_path / "run/recipe.yaml").exists()


def test_a_terminal_shows_a_bar_for_each_phase(trainer):
    playing, screen = trainer(terminal=True)
    playing.fit()
    said = screen.getvalue()
    assert "warm_up" in said and "adversarial" in said and "2/2" in said and "8/8" in said
    assert "discriminate 0." in said or "discriminate 1." in said


@pytest.mark.parametrize("width", [80, 120])
def test_a_terminal_of_any_usual_width_shows_the_step_and_one_time_that_is_left(width, trainer, monkeypatch):
    update = Progress.update  # which draws ten times a second at most, and the whole game takes less
    monkeypatch.setattr(Progress, "update", lambda *words, **fields: update(*words, **fields, refresh=True))
    playing, screen = trainer("every.log=1", terminal=True, width=width)
    playing.fit()
    lines = re.sub("\x1b[^a-zA-Z]*[a-zA-Z]", "", screen.getvalue()).replace("\r", "\n").splitlines()
    shown = [line for line in lines if re.match(r"adversarial +4/8", line)]
    assert shown and all(len(line) <= width and line.count("left") == 1 for line in shown)
    assert all(re.search(r" 4/8 .*\([\d.e+]+ steps/s, \d+ s left, [\d,]+ MiB\)", line) for line in shown)


def test_a_log_has_a_line_for_each_phase(trainer):
    playing, screen = trainer()
    playing.fit()
    lines = [line for line in screen.getvalue().splitlines() if "/loss" in line]
    assert lines[0].startswith("warm_up 2/2  generate/loss ") and lines[-1].startswith("adversarial 8/8  discriminate/")


def test_between_figures_that_come_seldom_a_slow_game_shows_its_step(trainer, monkeypatch):
    playing, screen = trainer("every={log: 4, checkpoint: 3}")
    clock = iter(range(0, 10_000, 30))
    for module in ("callbacks.progress", "pace"):
        fake = SimpleNamespace(monotonic=lambda: next(clock))
        monkeypatch.setattr(f"gangen.training.{module}.time", fake)
    playing.fit()
    lines = [line for line in screen.getvalue().splitlines() if line.startswith("adversarial")]
    assert re.fullmatch(r"adversarial 1/8  \(0\.\d+ steps/s, \d+ min left, \d+ MiB\)", lines[0])
    assert lines[1].startswith("adversarial 2/8  discriminate/loss ") and " steps/s, " in lines[1]
    assert re.fullmatch(r"adversarial 3/8  \(0\.\d+ steps/s, \d+ min left, \d+ MiB\)", lines[2])


def test_a_quick_game_shows_figures_alone(trainer):
    playing, screen = trainer("every={log: 4, checkpoint: 3}")
    playing.fit()
    lines = [line for line in screen.getvalue().splitlines() if line.startswith("adversarial")]
    assert lines and all("/loss" in line for line in lines)


def test_trackers_are_told_of_what_is_logged(points, monkeypatch, tmp_path):
    told, ended = [], []

    class Tiny(GeneralTracker):
        name, requires_logging_directory = "tiny", False

        def __init__(self, run_name, **options):
            super().__init__()
            self.run_name = run_name

        @property
        def tracker(self):
            return self

        @on_main_process
        def store_init_configuration(self, values): ...

        @on_main_process
        def log(self, values, step=None, **options):
            told.append((self.run_name, step, values))

        def finish(self):
            ended.append(self.run_name)

    monkeypatch.setitem(LOGGER_TYPE_TO_CLASS, "tiny", Tiny)
    train(points("trainer.trackers=[tiny]"), points.registry)
    rows = [json.loads(line) for line in (tmp_path / "run/metrics.jsonl").read_text().splitlines()]
    logged = [(row["step"], {key: value for key, value in row.items() if "/" in key}) for row in rows]
    assert [(name, step, values) for name, step, values in told] == [("run", *row) for row in logged if row[1]]
    assert ended == ["run"]


def test_a_tracker_that_is_not_there_is_named(points, monkeypatch):
    monkeypatch.setattr("accelerate.tracking.get_available_trackers", list)
    with (
        pytest.warns(UserWarning),
        pytest.raises(RecipeError, match=r"trainer.trackers=\[wandb\]: not installed: wandb"),
    ):
        train(points("trainer.trackers=[wandb]"), points.registry)


def test_half_precision_is_refused_where_it_would_be_played_in_full(points):
    with pytest.raises(RecipeError, match=r"trainer.precision=fp16: there is no fp16 on cpu; take bf16 or fp32"):
        train(points("trainer.precision=fp16"), points.registry)


def test_a_scaler_changes_nothing_but_skips_a_step_that_overflows(trainer):
    def play(scaled: bool, factor: float = 1.0):
        playing, _ = trainer()
        if scaled:
            playing.accelerator.scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
        for _ in range(2):
            playing.play_step(playing.phases[0])
        before = {name: player.net.state_dict() for name, player in playing.players.items()}
        before = {name: {key: value.clone() for key, value in state.items()} for name, state in before.items()}
        if factor != 1.0:
            turn = playing.phases[0].turns[0]
            play_turn = turn.play
            object.__setattr__(turn, "play", lambda *given: (play_turn(*given)[0] * factor, {}))
            playing.state.phase = 0
            playing.play_step(playing.phases[0])
        return playing, before

    plain, scaled = play(False)[1], play(True)[1]
    assert all(plain["generator"][key].equal(value) for key, value in scaled["generator"].items())
    playing, before = play(True, torch.inf)
    assert all(
        playing.players["generator"].net.state_dict()[key].equal(value) for key, value in before["generator"].items()
    )
    assert playing.accelerator.scaler.get_scale() == 512.0
    saved = playing.state_dict()
    assert saved["scaler"]["scale"] == 512.0
    fresh = play(True)[0]
    fresh.load_state_dict(saved)
    assert fresh.accelerator.scaler.get_scale() == 512.0


def test_what_comes_next_is_a_command_that_works(points, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    train(points(run="run of mine"), points.registry)
    following, report = capsys.readouterr().out.rpartition("next:")[2].strip().split("\nreport:")
    for command in (following, report.partition("    (")[0]):
        program, *words = shlex.split(command)
        assert program == "gangen" and cli.main(words) == 0
    assert (tmp_path / "samples.png").exists() and (tmp_path / "run of mine/report.html").exists()


def test_a_run_with_metrics_ends_with_how_to_measure_it(points, capsys):
    train(points("metrics=[image/modes]"), points.registry)
    assert re.search(
        r"\nreport:  gangen eval (\S+)    \(measures it, and writes \1/report.html\)", capsys.readouterr().out
    )
