"""What the trainer asks of a turn, and what it makes of what the turn returns."""

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from torch import nn

from gangen import noise
from gangen.contracts import Clock, updates
from gangen.errors import PluginError
from gangen.objectives import Mean
from gangen.optimizers import Learning, sgd
from gangen.schedules import Schedule
from gangen.splits import StreamSplit, TensorSplit
from gangen.training.phases import Phase, Turn
from gangen.training.players import Player, learning
from gangen.training.trainer import Trainer


class Rows:
    train = TensorSplit(x=torch.arange(8.0)[:, None])


def trainer_of(*plays, accumulate=1, times=1):
    """A game of one player, ``pupil``, whose turns are ``plays``."""
    turns = tuple(Turn(play.__name__, play, play.updates, times) for play in plays)
    player = Player("pupil", nn.Linear(1, 1), Learning(sgd, {"lr": Schedule(0.1)}))
    return Trainer(
        accelerator=Accelerator(cpu=True),
        data=Rows(),
        players={"pupil": player},
        phases=[Phase("all", 5, turns, 4)],
        accumulate=accumulate,
    )


def play_step(trainer):
    trainer.play_step(trainer.phases[0])
    return trainer.meter.read()


def test_a_turn_that_teaches_nobody_is_played_and_logged_and_leaves_weights_alone():
    @updates()
    def look(players, batch, clock):
        assert not players.pupil.weight.requires_grad
        return None, {"mean": players.pupil(batch["x"]).mean(), "rows": len(batch["x"])}

    @updates()
    def judge(players, batch, clock):
        return players.pupil(batch["x"]).mean(), {}

    trainer = trainer_of(look, judge)
    before = trainer.networks.pupil.weight.clone()
    figures = play_step(trainer)
    assert figures.keys() == {"look/mean", "look/rows", "judge/loss"}
    assert figures["look/rows"] == 4
    assert torch.equal(trainer.networks.pupil.weight, before)
    assert trainer.state.batches == 2


def test_the_clock_tells_repeats_and_micro_batches_apart():
    seen = []

    @updates("pupil")
    def learn(players, batch, clock):
        seen.append((clock.step, clock.repeat, clock.micro))
        return players.pupil(batch["x"]).mean(), {}

    trainer = trainer_of(learn, accumulate=2, times=2)
    play_step(trainer)
    play_step(trainer)
    assert seen == [(step, repeat, micro) for step in (0, 1) for repeat in (0, 1) for micro in (0, 1)]


@pytest.mark.parametrize("accumulate", [1, 2, 4])
def test_a_mean_over_parts_is_that_of_the_whole_batch_however_many_of_them_are_in_a_micro_batch(accumulate):
    rows, parts = [], []

    @updates("pupil")
    def learn(players, batch, clock):
        x = batch["x"]
        weights = (x > x.new_tensor(2.0)).squeeze(1) * x.squeeze(1)
        rows.append(x)
        parts.append(weights)
        return Mean((players.pupil(x).squeeze(1) * weights).sum(), weights.sum()), {}

    trainer = trainer_of(learn, accumulate=accumulate)
    pupil = trainer.players["pupil"]
    with learning(trainer.players, ["pupil"]):
        trainer.compute_gradients(trainer.phases[0].turns[0], Clock("all", 0, 5, 4))
    x, weights = torch.cat(rows), torch.cat(parts)
    assert len({float(it.sum()) for it in parts}) > 1 or accumulate == 1
    assert pupil.net.weight.grad.item() == pytest.approx(((x.squeeze(1) * weights).sum() / weights.sum()).item())
    assert pupil.net.bias.grad.item() == pytest.approx(1.0)


def test_micro_batches_that_are_means_of_different_kinds_are_refused():
    @updates("pupil")
    def learn(players, batch, clock):
        total = players.pupil(batch["x"]).sum()
        return total / 2 if clock.micro else Mean(total, torch.tensor(2.0)), {}

    with pytest.raises(PluginError, match="for some micro-batches, and a plain loss for others"):
        play_step(trainer_of(learn, accumulate=2))


def test_the_clock_tells_how_far_the_run_is_over_all_phases():
    seen = []

    @updates()
    def look(players, batch, clock):
        seen.append((clock.phase, clock.fraction, clock.run_fraction))
        return None, {}

    trainer = trainer_of(look)
    trainer.phases = tuple(Phase(name, steps, trainer.phases[0].turns, 4) for name, steps in (("a", 2), ("b", 3)))
    trainer.fit()
    assert seen == [("a", 0, 0), ("a", 1, 0.25), ("b", 0, 0.5), ("b", 0.5, 0.75), ("b", 1, 1)]


def test_figures_may_be_numbers_or_tensors_and_keep_no_graph():
    @updates("pupil")
    def learn(players, batch, clock):
        loss = players.pupil(batch["x"]).mean()
        return loss, {"float": 0.5, "int": 2, "numpy": np.float32(0.25), "graph": loss * 0 + 3}

    trainer = trainer_of(learn)
    trainer.play_step(trainer.phases[0])
    assert not any(figure.requires_grad for figure in trainer.meter.sums.values())
    figures = trainer.meter.read()
    assert [figures[f"learn/{name}"] for name in ("float", "int", "numpy", "graph")] == [0.5, 2, 0.25, 3]


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        (
            lambda loss: loss.mean(),
            r"must return a loss and a dictionary of figures, got a tensor of shape \[\]\nwhere",
        ),
        (lambda loss: None, "must return a loss and a dictionary of figures, got None"),
        (lambda loss: (loss.mean(), [1.0]), "must return a loss and a dictionary of figures, got a tuple"),
        (
            lambda loss: (loss[:3], {}),
            r"its loss must be a scalar tensor, such as a mean, got a tensor of shape \[3, 1\]",
        ),
        (lambda loss: (0.5, {}), "its loss must be a scalar tensor, such as a mean, got 0.5"),
        (lambda loss: (None, {}), "its loss must be a scalar tensor, such as a mean, got None"),
        (
            lambda loss: (loss.mean().detach(), {}),
            "its loss does not depend on the weights of pupil, which is to learn",
        ),
        (
            lambda loss: (loss.mean(), {"text": "high"}),
            "its figure 'text' must be a number or a scalar tensor, got 'high'",
        ),
        (lambda loss: (loss.mean(), {"all": loss}), r"its figure 'all' .* got a tensor of shape \[4, 1\]"),
    ],
    ids=[
        "no figures",
        "nothing",
        "a list",
        "a vector",
        "a float",
        "no loss",
        "no gradient",
        "text",
        "a vector of figures",
    ],
)
def test_what_a_turn_must_not_return_is_named_with_the_turn_and_its_place(returned, message):
    @updates("pupil")
    def learn(players, batch, clock):
        return returned(players.pupil(batch["x"]))

    with pytest.raises(PluginError, match=rf"turn 'learn' .*: .*{message}(.|\n)*written at .*test_trainer.py:\d+$"):
        play_step(trainer_of(learn))


def learns(trainer):
    """Whether a step moves the pupil's weights, and to numbers."""
    weight = trainer.networks.pupil.weight
    before = weight.clone()
    play_step(trainer)
    return bool(weight.isfinite().all()) and not torch.equal(weight, before)


def noisy(draw):
    @updates("pupil")
    def learn(players, batch, clock):
        return players.pupil(batch["x"] + draw(batch["x"])).mean(), {}

    return learn


@pytest.mark.parametrize(
    ("draw", "name"),
    [
        (torch.randn_like, "torch.randn_like"),
        (lambda x: x.clone().uniform_(), "torch.Tensor.uniform_"),
        (lambda x: torch.distributions.Normal(x, 1.0).sample(), "torch.normal"),
        (torch.nn.functional.gumbel_softmax, "torch.nn.functional.gumbel_softmax"),
    ],
)
def test_a_batch_in_parts_refuses_noise_that_is_not_that_of_the_batch(draw, name):
    with pytest.raises(PluginError, match=rf"turn 'learn' .* draws by {name}, at .*:\d+: .*(.|\n)*gangen.noise"):
        play_step(trainer_of(noisy(draw), accumulate=2))
    play_step(trainer_of(noisy(draw)))
    local = trainer_of(noisy(draw), accumulate=2)
    local.shared_noise = False
    play_step(local)


@pytest.mark.parametrize(
    "draw",
    [
        lambda x: noise.normal(len(x), 1),
        lambda x: torch.randn(x.shape, generator=torch.Generator().manual_seed(1)),
        torch.nn.functional.dropout,
    ],
    ids=["gangen.noise", "a generator of one's own", "dropout"],
)
def test_a_batch_in_parts_takes_noise_of_the_batch_and_dropout(draw):
    assert learns(trainer_of(noisy(draw), accumulate=2))


def test_only_the_first_play_of_a_turn_is_watched():
    draws = iter([lambda x: x, torch.randn_like])
    assert learns(trainer_of(noisy(lambda x: next(draws)(x)), accumulate=2))
    assert next(draws, None) is None


def test_a_turn_with_compiled_networks_is_not_watched():
    trainer = trainer_of(noisy(torch.randn_like), accumulate=2)
    trainer.networks.pupil.forward = trainer.networks.pupil.forward  # as a compiled network has one of its own
    assert learns(trainer)


def test_phases_with_batches_of_other_sizes_go_on_behind_the_rows_that_were_used():
    seen = []

    @updates()
    def look(players, batch, clock):
        seen.append(batch["x"].tolist())
        return None, {"rows": len(batch["x"])}

    def rows(epoch):
        assert epoch == 0, "rows were read again"
        return ({"x": torch.tensor(number)} for number in range(100))

    trainer = trainer_of(look)
    trainer.data.train = StreamSplit(rows)
    turns = trainer.phases[0].turns
    trainer.phases = [Phase("wide", 2, turns, 4), Phase("narrow", 3, turns, 2), Phase("odd", 2, turns, 5)]
    while trainer.state.phase < 3:
        trainer.play_step(trainer.phases[trainer.state.phase])
    assert seen[:5] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9], [10, 11], [12, 13]]
    assert seen[5:] == [[15, 16, 17, 18, 19], [20, 21, 22, 23, 24]]
