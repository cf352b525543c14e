"""What follows a fault: a skipped turn changes nothing, and a run that is rolled back goes on with smaller steps."""

import json

import pytest
import torch
from accelerate import Accelerator
from torch import nn

from gangen.contracts import updates
from gangen.errors import RunError
from gangen.metrics.figures import Figure
from gangen.optimizers import Learning, adam
from gangen.schedules import Schedule
from gangen.splits import TensorSplit
from gangen.training.phases import Phase, Turn
from gangen.training.players import Player
from gangen.training.run import train
from gangen.training.trainer import Trainer

ROLL_BACK = "trainer.non_finite=roll_back"


class Killed(BaseException):
    pass


class Rows:
    train = TensorSplit(x=torch.arange(8.0)[:, None])


class Game(nn.Module):
    """A turn whose loss is ``factor`` times what it would be; the network and the game remember its batch."""

    factor = 1.0

    def __init__(self):
        super().__init__()
        self.register_buffer("seen", torch.zeros(1))

    @updates("pupil")
    def learn(self, players, batch, clock):
        self.seen += batch["x"].mean() * self.factor
        return players.pupil(batch["x"]).square().mean() * self.factor, {}

    @updates()
    def look(self, players, batch, clock):
        return None, {"mean": players.pupil(batch["x"]).mean() * self.factor}


def trainer_of(*names, **settings):
    game = Game()
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(1, 3), nn.BatchNorm1d(3), nn.Linear(3, 1))
    player = Player("pupil", net, Learning(adam, {"lr": Schedule(0.1)}), ema=0.9)
    turns = tuple(Turn(name, getattr(game, name), getattr(game, name).updates) for name in names)
    return Trainer(
        accelerator=Accelerator(cpu=True),
        data=Rows(),
        players={"pupil": player},
        phases=[Phase("all", 9, turns, 4)],
        objective=game,
        **settings,
    )


def all_of(trainer):
    """Every tensor that training changes, by name."""
    player = trainer.players["pupil"]
    optimizer = {
        f"{i}.{key}": it for i, row in player.optimizer.state_dict()["state"].items() for key, it in row.items()
    }
    parts = player.net.state_dict(), player.average.state_dict(), optimizer, trainer.objective.state_dict()
    return {f"{number}.{name}": it.clone() for number, part in enumerate(parts) for name, it in part.items()}


@pytest.mark.parametrize("factor", [torch.nan, torch.inf])
def test_a_turn_that_is_skipped_leaves_everything_as_it_was_to_the_bit(factor):
    trainer = trainer_of("learn", "look", skips=3)
    trainer.play_step(trainer.phases[0])
    before, figures = all_of(trainer), trainer.meter.means()
    trainer.objective.factor = factor
    trainer.play_step(trainer.phases[0])
    after = all_of(trainer)
    assert [name for name in before if not after[name].equal(before[name])] == []
    assert trainer.meter.means() == figures
    assert (trainer.state.batches, trainer.state.skipped, len(trainer.left_out)) == (4, 2, 2)
    assert trainer.left_out[0] == "turn 'learn' of step 2: its figures or gradients are not finite"


def test_turns_that_are_on_trial_and_pass_are_those_that_are_not():
    plain, tried = trainer_of("learn", "look"), trainer_of("learn", "look", skips=1)
    for _ in range(4):
        plain.play_step(plain.phases[0])
        tried.play_step(tried.phases[0])
    expected, found = all_of(plain), all_of(tried)
    assert [name for name in expected if not found[name].equal(expected[name])] == []
    assert tried.meter.means() == plain.meter.means()


def test_a_rate_is_that_of_the_step_and_is_not_saved():
    trainer = trainer_of("learn")
    trainer.state.rate = 0.5
    rates = []
    optimizer = trainer.players["pupil"].optimizer
    optimizer.register_step_pre_hook(lambda it, *_: rates.append(it.param_groups[0]["lr"]))
    trainer.play_step(trainer.phases[0])
    assert rates == [0.05] and optimizer.param_groups[0]["lr"] == 0.1


@pytest.fixture
def play(points, tmp_path, monkeypatch):
    """Play the game of points; the generator's turns at steps ``broken`` of phase adversarial are not finite.

    With ``rate``, only where learning rates are higher than that part of the recipe's.
    """

    def play(*overrides, broken=(), rate=0.0, until=None, run="run"):
        trainers = []

        def step(trainer, phase, whole=Trainer.play_step):
            trainers[:] = [trainer]
            if trainer.state.rolled_back and trainer.state.total == until:
                raise Killed
            whole(trainer, phase)

        def loss(turn, players, batch, clock, whole=Turn.loss):
            found, stats = whole(turn, players, batch, clock)
            hit = turn.name == "generate" and clock.phase == "adversarial" and clock.step + 1 in broken
            return (found * torch.nan if hit and trainers[0].state.rate > rate else found), stats

        with monkeypatch.context() as patch:
            patch.setattr(Trainer, "play_step", step)
            patch.setattr(Turn, "loss", loss)
            train(points(*overrides, run=run), points.registry)
        return tmp_path / run

    return play


def rows(run):
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def events(run):
    return [(row["step"], row["event"]) for row in rows(run) if "event" in row]


def remains(run):
    files = {path.relative_to(run).as_posix(): path.read_bytes() for path in run.rglob("*") if path.is_file()}
    return {name: it for name, it in files.items() if name not in ("recipe.yaml", "heartbeat.json", "plugins.json")}


def test_a_run_skips_what_is_not_finite_and_writes_it_down(play, capsys):
    run = play("trainer.non_finite=skip", broken=(2, 5))
    assert events(run) == [(4, "skip"), (7, "skip")]
    words = "turn 'generate' of step 4: its figures or gradients are not finite; it was skipped"
    assert words in [row.get("warning") for row in rows(run)] and f"warning: {words}" in capsys.readouterr().out
    state = json.loads((run / "checkpoints/step-00000010/state.json").read_text())["state"]
    assert (state["total"], state["skipped"]) == (10, 2)


def test_a_balance_follows_no_turn_that_was_skipped(play):
    balance = "{player: generator, figure: generate/loss, low: -100, high: 100}"
    run = play("trainer.non_finite=skip", f"phases.adversarial.balance={balance}", broken=(1, 4))
    assert events(run) == [(3, "skip"), (6, "skip")]


def test_so_many_turns_are_skipped_and_no_more(play, tmp_path):
    with pytest.raises(RunError) as stopped:
        play("trainer={non_finite: skip, recovery: {times: 2}}", broken=(2, 3, 5))
    said = str(stopped.value)
    assert "turn 'generate' of step 7: its figures or gradients are not finite, and 2 were skipped before\n" in said
    assert f"nothing of that was saved; the newest checkpoint is {tmp_path}/run/checkpoints/step-00000006\n" in said
    assert events(tmp_path / "run") == [(4, "skip"), (5, "skip"), (6, "stop")]


def test_a_run_is_rolled_back_and_goes_on_with_smaller_steps(play, capsys):
    run = play(ROLL_BACK, broken=(3,), rate=0.3)
    assert events(run) == [(6, "roll_back"), (6, "roll_back")]
    said = capsys.readouterr().out
    assert "/loss became nan by step 6, in phase adversarial; back to step-00000003, and on with learning rates" in said
    assert "times 0.25 (roll back 2 of 10)" in said
    steps = [row["step"] for row in rows(run) if "generate/loss" in row]
    assert steps == [2, 4, 6, 8, 10]
    state = json.loads((run / "checkpoints/step-00000010/state.json").read_text())["state"]
    assert (state["total"], state["rolled_back"], state["rate"]) == (10, 2, 0.25)


@pytest.mark.parametrize("until", [3, 5, 8])
def test_a_run_that_is_killed_after_a_roll_back_ends_to_the_bit_as_one_that_is_not(until, play):
    whole = remains(play(ROLL_BACK, "every.log=1", broken=(3,), rate=0.9, run="whole"))
    with pytest.raises(Killed):
        play(ROLL_BACK, "every.log=1", broken=(3,), rate=0.9, until=until)
    found = remains(play(ROLL_BACK, "every.log=1", broken=(3,), rate=0.9))
    assert found.keys() == whole.keys()
    assert [name for name in whole if found[name] != whole[name]] == []


def test_a_run_is_rolled_back_so_often_and_then_stops(play, tmp_path):
    with pytest.raises(RunError) as stopped:
        play("trainer={non_finite: roll_back, recovery: {times: 2, rate: 1}}", broken=(3,))
    assert str(stopped.value).endswith("it was rolled back 2 times before (trainer.recovery.times)")
    assert events(tmp_path / "run") == [(6, "roll_back"), (6, "roll_back"), (6, "stop")]


def test_a_run_without_a_checkpoint_cannot_be_rolled_back(play):
    with pytest.raises(RunError, match="the newest checkpoint is still to come\ntry a lower learning rate"):
        play(ROLL_BACK, "every.checkpoint=0", broken=(1,))


def test_a_fault_is_told_of_where_no_checkpoint_is_whole(play, monkeypatch):
    monkeypatch.setattr("gangen.training.checkpoint._damage", lambda checkpoint: "torn")
    with pytest.raises(RunError, match=r"became nan by step 6(.|\n)*the newest checkpoint is damaged\ntry a lower"):
        play(ROLL_BACK, broken=(3,))


def test_a_run_that_was_stopped_goes_on_by_another_way(play):
    with pytest.raises(RunError, match=r"go on from there with trainer\.non_finite=roll_back or skip"):
        play(broken=(3,))
    run = play("trainer.non_finite=skip", broken=(3,))
    assert events(run) == [(5, "skip")]


MODES = "metrics=[{use: image/modes, samples: 500, radius: 50}]", "every.evaluate=2"


@pytest.fixture
def collapsing(monkeypatch):
    """With the learning rates of the recipe samples of step 4 are the best, and those of step 6 have collapsed."""
    pytest.importorskip("matplotlib", reason="matplotlib draws the points")
    from gangen.training.callbacks.evaluations import Evaluations

    after_step = Evaluations.after_step

    def look(self, trainer):
        odd = {2: 0.8, 4: 0.95, 6: 0.1} if trainer.state.rate == 1 else {}
        with monkeypatch.context() as patch:
            found = {"good": Figure(odd.get(trainer.state.total, 0.9), good="high")}
            patch.setattr("gangen_image.metrics.modes.Modes.__call__", lambda *_: found)
            after_step(self, trainer)

    monkeypatch.setattr(Evaluations, "after_step", look)


def test_a_collapse_rolls_a_run_back_to_what_was_saved_before_it(collapsing, play):
    run = play(*MODES, "guard={use: guard, then: roll_back}")
    assert events(run) == [(7, "roll_back")]
    said = next(row["warning"] for row in rows(run) if "event" in row)
    words = "collapse: good fell to 0.1 from 0.95; back to step-00000003, and on with learning rates times 0.5"
    assert said == f"{words} (roll back 1 of 10)"
    state = json.loads((run / "checkpoints/step-00000010/state.json").read_text())["state"]
    assert (state["rolled_back"], state["rate"]) == (1, 0.5)
    assert [row["good"]["value"] for row in rows(run) if "good" in row] == [0.8, 0.9, 0.9, 0.9, 0.9]


def test_the_best_model_stays_though_a_run_goes_back_to_before_it(collapsing, play):
    run = play(*MODES, "guard={use: guard, then: roll_back}", "keep_best=good")
    assert json.loads((run / "best/best.json").read_text()) == {"figure": "good", "value": 0.95, "step": 4}


def test_a_collapse_stops_a_run_and_the_checkpoint_before_it_is_named(collapsing, play, tmp_path):
    with pytest.raises(
        RunError, match=r"collapse: good fell to 0\.1 from 0\.95(.|\n)*from before it is .*step-00000003"
    ):
        play(*MODES, "guard={use: guard, then: stop}")
    assert events(tmp_path / "run") == [(7, "stop")]


def test_a_collapse_is_a_warning_and_no_more_by_default(collapsing, play):
    assert events(play(*MODES)) == []
