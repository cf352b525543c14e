"""A balance: who plays when, what a skipped turn leaves as it was, and resuming in the midst of it."""

import json
from types import SimpleNamespace

import pytest
import torch
from accelerate import Accelerator
from torch import nn

from gangen.contracts import updates
from gangen.errors import RecipeError, UsageError
from gangen.optimizers import Learning, sgd
from gangen.recipe.balance import Balance
from gangen.recipe.load import load_recipe
from gangen.schedules import Schedule
from gangen.splits import TensorSplit
from gangen.training import checkpoint
from gangen.training.assemble import build_game
from gangen.training.phases import Phase, Turn
from gangen.training.players import Player
from gangen.training.trainer import Trainer


class Strength(nn.Module):
    """A single number, 0 at first, which each turn of its player raises by 1."""

    def __init__(self):
        super().__init__()
        self.value = nn.Parameter(torch.zeros(()))


class TugOfWar:
    """The figure is the lead of the discriminator before the turn in which it is reported."""

    def __init__(self):
        self.seen = []
        self.gradients = []

    @updates("discriminator")
    def discriminate(self, players, batch, clock):
        self.seen.append(("discriminate", clock.step, batch["row"].tolist()))
        self.gradients.append(players.discriminator.value.requires_grad)
        lead = players.discriminator.value - players.generator.value
        return -players.discriminator.value, {"lead": lead.detach()}

    @updates("generator")
    def generate(self, players, batch, clock):
        self.seen.append(("generate", clock.step, batch["row"].tolist()))
        return -players.generator.value, {}


class Rows:
    train = TensorSplit(row=torch.arange(12))
    heldout = train
    codec = SimpleNamespace(spec=None, save=lambda folder: None)


def tug_of_war(balance, turns=(("discriminate", 2), ("generate", 1)), steps=20, accumulate=1):
    game = TugOfWar()
    optimizer = Learning(sgd, {"lr": Schedule(1.0)})
    players = {name: Player(name, Strength(), optimizer) for name in ("generator", "discriminator")}
    played = tuple(Turn(name, getattr(game, name), getattr(game, name).updates, times) for name, times in turns)
    return game, Trainer(
        accelerator=Accelerator(cpu=True),
        data=Rows(),
        players=players,
        phases=[Phase("war", steps, played, 4, balance=balance), Phase("after", 1, played, 4)],
        accumulate=accumulate,
    )


def strengths(trainer):
    return [trainer.players[name].net.value.item() for name in ("discriminator", "generator")]


def play(trainer, steps):
    """What the discriminator and the generator have become after each step."""
    course = []
    for _ in range(steps):
        trainer.play_step(trainer.phases[trainer.state.phase])
        course.append(strengths(trainer))
    return course


BAND = Balance(player="discriminator", figure="discriminate/lead", low=-0.5, high=2.0, decay=0.0)


def test_only_the_weaker_side_plays_outside_of_the_band():
    _, trainer = tug_of_war(BAND)
    # A step's figure is the mean of the leads before its two turns: 0.5, 1.5, 2.5. Then the generator catches up alone,
    # while the lead is watched, 3 and 2, until all play again.
    assert play(trainer, 7) == [[2, 1], [4, 2], [6, 3], [6, 4], [6, 5], [8, 6], [10, 7]]
    figures = trainer.meter.read()
    assert figures["discriminate/skipped"] == pytest.approx(2 / 7)
    assert figures["generate/skipped"] == 0


def test_below_the_band_only_the_player_itself_plays():
    _, trainer = tug_of_war(BAND, turns=(("discriminate", 1), ("generate", 3)))
    assert play(trainer, 5) == [[1, 3], [2, 6], [3, 6], [4, 6], [5, 6]]
    assert trainer.meter.read()["generate/skipped"] == pytest.approx(3 / 5)


def test_the_moving_mean_smooths_the_figure():
    balance = Balance(player="discriminator", figure="discriminate/lead", low=-0.5, high=2.0, decay=0.75)
    _, trainer = tug_of_war(balance)
    means, leads = [], [0.5, 1.5, 2.5, 3.5]
    for lead in leads:
        play(trainer, 1)
        means.append(lead if not means else 0.75 * means[-1] + 0.25 * lead)
        assert trainer.state.balance == pytest.approx(means[-1])
    assert means[-1] < 2 < leads[-2]


def test_micro_batches_and_repeats_of_a_step_count_as_one_value():
    _, trainer = tug_of_war(BAND, accumulate=2)
    assert play(trainer, 4) == [[2, 1], [4, 2], [6, 3], [6, 4]]
    assert trainer.state.balance == 3


def test_draws_of_other_turns_are_the_same_whoever_is_left_out():
    (free, first), (balanced, second) = tug_of_war(None), tug_of_war(BAND)
    play(first, 8), play(second, 8)
    assert first.state.batches == second.state.batches == 24
    assert balanced.seen == free.seen  # only the discriminator was left out, and it was watched
    game, trainer = tug_of_war(Balance(player="generator", figure="generate/loss", low=-1, high=1, decay=0.0))
    play(trainer, 8)
    assert len(game.seen) < len(free.seen) and all(turn in free.seen for turn in game.seen)


def test_no_gradient_is_computed_of_a_turn_that_is_only_watched():
    game, trainer = tug_of_war(BAND)
    play(trainer, 5)
    assert game.gradients == [True] * 6 + [False] * 4


def test_without_a_balance_nothing_of_it_is_seen():
    _, trainer = tug_of_war(None)
    assert play(trainer, 4)[-1] == [8, 4]
    assert trainer.state.balance is None
    assert not [name for name in trainer.meter.read() if "skipped" in name]


def test_a_phase_starts_without_the_mean_of_the_last_one():
    _, trainer = tug_of_war(BAND, steps=3)
    play(trainer, 4)
    assert (trainer.state.phase, trainer.state.balance) == (2, None)


def test_a_phase_that_was_made_longer_goes_on_with_its_mean(tmp_path):
    balance = Balance(player="discriminator", figure="discriminate/lead", low=0.1, high=1.7, decay=0.6)
    (_, whole), (_, before), (_, after) = (tug_of_war(balance, steps=steps) for steps in (12, 4, 12))
    course = play(whole, 12)
    assert play(before, 4) == course[:4]
    checkpoint.restore(after, checkpoint.save(before, tmp_path, keep=1))
    assert play(after, 8) == course[4:]


@pytest.mark.parametrize("stop", range(1, 9))
def test_a_run_that_goes_on_is_the_run_that_never_stopped(stop, tmp_path):
    balance = Balance(player="discriminator", figure="discriminate/lead", low=0.1, high=1.7, decay=0.6)
    (_, whole), (_, before), (_, after) = (tug_of_war(balance) for _ in range(3))
    course = play(whole, 12)
    assert play(before, stop) == course[:stop]
    checkpoint.restore(after, checkpoint.save(before, tmp_path, keep=1))
    assert after.state.balance == before.state.balance is not None
    assert play(after, 12 - stop) == course[stop:]
    assert json.dumps(after.state_dict()) == json.dumps(whole.state_dict())


def test_a_figure_that_no_turn_reports_is_named_in_the_first_step():
    _, trainer = tug_of_war(Balance(player="discriminator", figure="discriminate/laed", low=0, high=1))
    with pytest.raises(
        UsageError, match=r"'discriminate/laed', which no turn reports; did you mean 'discriminate/lead'"
    ):
        play(trainer, 1)


RECIPE = """\
data: echo/ring
players: {generator: echo/mlp, discriminator: echo/mlp}
objective: echo/gan
phases:
  adversarial:
    steps: 3
    turns: {discriminate: 1, generate: 1}
    balance: {player: discriminator, figure: discriminate/loss, low: 0.5, high: 0.9}
"""


@pytest.fixture
def problems(echo, tmp_path, monkeypatch):
    """What is wrong with the recipe once ``old`` is ``new``, found without training."""
    monkeypatch.chdir(tmp_path)

    def find(old, new):
        assert old in RECIPE
        (tmp_path / "game.yaml").write_text(RECIPE.replace(old, new))
        with pytest.raises(RecipeError) as refusal:
            build_game(load_recipe("game.yaml", [], echo), echo, torch.device("cpu"))
        return str(refusal.value)

    return find


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "discriminate/loss",
            "discrimnate/loss",
            "8:38: 'discrimnate/loss' is the figure of no turn of this phase; did",
        ),
        (
            "discriminate/loss",
            "loss",
            "8:38: 'loss' is the figure of no turn of this phase; its turns are: discriminate",
        ),
        ("player: discr", "player: dicsr", "8:15: there is no player 'dicsriminator'; did you mean 'discriminator'?"),
        ("low: 0.5", "low: 0.9", "8:65: low must be less than high, got 0.9 and 0.9"),
        (
            "discriminate/loss",
            "discriminate/discriminator/gradient_norm",
            "8:38: sizes of steps are measured now and then, and cannot balance: 'discriminate/discriminator/",
        ),
        ("high: 0.9", "hgh: 0.9", "8:75: unknown option 'hgh' for a balance; did you mean 'high'?"),
        ("high: 0.9", "high: 0.9, decay: 1", "8:86: decay must be less than 1.0, got 1"),
        (
            ", generate: 1",
            "",
            "8:15: every turn of phase 'adversarial' updates 'discriminator', so there is nothing to",
        ),
        (
            "{discriminate: 1, g",
            "{g",
            "8:38: 'discriminate/loss' is the figure of no turn of this phase; its turns are",
        ),
    ],
)
def test_a_balance_that_cannot_be_is_refused_before_training(problems, old, new, message):
    assert f"game.yaml:{message}" in problems(old, new)


def test_a_balance_is_played_from_a_recipe(echo, tmp_path):
    (tmp_path / "game.yaml").write_text(RECIPE)
    _, _, [phase], _ = build_game(load_recipe(tmp_path / "game.yaml", [], echo), echo, torch.device("cpu"))
    discriminate, generate = phase.turns
    assert [phase.allows(discriminate, mean) for mean in (None, 0.4, 0.5, 0.9, 1.0)] == [True, True, True, True, False]
    assert [phase.allows(generate, mean) for mean in (None, 0.4, 0.5, 0.9, 1.0)] == [True, False, True, True, True]
