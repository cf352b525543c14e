"""Sizes of steps: what is measured, how often, and that nothing is trained otherwise for it."""

from types import SimpleNamespace

import pytest
import torch
from accelerate import Accelerator
from torch import nn

from gangen.contracts import Clock, updates
from gangen.optimizers import Learning, sgd
from gangen.schedules import Schedule
from gangen.splits import TensorSplit
from gangen.training.phases import Phase, Turn
from gangen.training.players import Player
from gangen.training.trainer import Trainer

CLOCK = Clock("phase", 0, 10)


def player(weights=(6.0, 8.0), **settings):
    net = nn.Linear(2, 1, bias=False)
    with torch.no_grad():
        net.weight.copy_(torch.tensor([weights]))
    return Player("generator", net, Learning(sgd, {"lr": Schedule(0.5)}), **settings)


def stepped(gradient, measure=True, scaler=None, **settings):
    learner = player(**settings)
    learner.net.weight.grad = torch.tensor([gradient])
    figures = learner.step(CLOCK, scaler, measure=measure)
    return learner, {name: value.item() for name, value in figures.items()}


def test_the_norm_is_that_before_clipping_and_the_update_that_after():
    learner, figures = stepped([3.0, 4.0], clip=2.5)
    assert torch.allclose(learner.net.weight, torch.tensor([[6 - 0.75, 8 - 1.0]]), atol=1e-4)
    change, weights = 1.25, (5.25**2 + 7**2) ** 0.5
    assert figures == {
        "generator/gradient_norm": pytest.approx(5.0),
        "generator/update_size": pytest.approx(change / weights, rel=1e-4),
    }


def test_clipped_weights_count_as_part_of_the_update():
    _, figures = stepped([0.0, 0.0], weight_clip=1.0)
    assert figures["generator/update_size"] == pytest.approx((5**2 + 7**2) ** 0.5 / 2**0.5)


def test_weights_of_zero_have_a_size_too():
    assert stepped([0.0, 0.0], weights=(0.0, 0.0))[1] == {"generator/gradient_norm": 0, "generator/update_size": 0}
    assert stepped([1.0, 0.0], weights=(0.0, 0.0))[1]["generator/update_size"] == 1


def test_who_has_no_gradient_has_no_size():
    assert player().step(CLOCK, measure=True) == {}


class Scaler:
    """Takes no step where a gradient is not finite, as ``torch.amp.GradScaler``."""

    def unscale_(self, optimizer):
        pass

    def step(self, optimizer):
        if all(p.grad.isfinite().all() for group in optimizer.param_groups for p in group["params"]):
            optimizer.step()


def test_an_overflow_in_half_precision_has_no_size():
    assert stepped([float("inf"), 0.0], scaler=Scaler())[1] == {}
    assert stepped([3.0, 4.0], scaler=Scaler())[1]["generator/gradient_norm"] == 5
    assert stepped([float("inf"), 0.0])[1]["generator/gradient_norm"] == float("inf")


class Game:
    """Gradients of the generator are 1, 2, 3, ... in one turn and 10 times the step's number in the other."""

    def __init__(self):
        self.plays = 0

    @updates("generator")
    def often(self, players, batch, clock):
        self.plays += 1
        return players.generator.weight[0, 0] * self.plays, {}

    @updates("generator", "encoder")
    def seldom(self, players, batch, clock):
        return (players.generator.weight[0, 1] + players.encoder.weight[0, 0]) * 10 * clock.step, {}


class Rows:
    train = TensorSplit(row=torch.arange(12))
    heldout = train
    codec = SimpleNamespace(spec=None, save=lambda folder: None)


def trainer():
    game = Game()
    turns = (
        Turn("often", game.often, ("generator",), times=2),
        Turn("seldom", game.seldom, Game.seldom.updates, every=3),
    )
    players = {"generator": player(), "encoder": player()}
    players["encoder"].name = "encoder"
    return Trainer(accelerator=Accelerator(cpu=True), data=Rows(), players=players, phases=[Phase("all", 9, turns, 4)])


def sizes(figures):
    return {name: value for name, value in figures.items() if name.endswith("gradient_norm")}


def test_one_step_of_each_turn_is_measured_between_two_readings():
    playing = trainer()
    for _ in range(2):
        playing.play_step(playing.phases[0])
    assert sizes(playing.meter.read()) == {
        "often/generator/gradient_norm": 1,
        "seldom/generator/gradient_norm": 0,
        "seldom/encoder/gradient_norm": 0,
    }
    for _ in range(2):
        playing.play_step(playing.phases[0])
    assert sizes(playing.meter.read()) == {
        "often/generator/gradient_norm": 5,
        "seldom/generator/gradient_norm": 30,
        "seldom/encoder/gradient_norm": 30,
    }


def test_a_run_that_goes_on_measures_what_the_whole_run_does(tmp_path):
    from gangen.training import checkpoint

    whole, before, after = trainer(), trainer(), trainer()
    for _ in range(4):
        whole.play_step(whole.phases[0])
    for _ in range(2):
        before.play_step(before.phases[0])
    checkpoint.restore(after, checkpoint.save(before, tmp_path, keep=1))
    for _ in range(2):
        after.play_step(after.phases[0])
    assert sizes(after.meter.read()) == sizes(whole.meter.read())
