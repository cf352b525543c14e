"""What the guard warns of, when, and what it keeps quiet about."""

import math

import pytest

from gangen.metrics.figures import Figure
from gangen.training.callbacks.guard import Guard


def warnings(rows, every=10, phase="adversarial", **options):
    """What a guard says of rows that are ``every`` steps apart: (step, warning). Numbers of metrics are good high."""
    guard = Guard(**options)
    return [
        (step, warning)
        for number, figures in enumerate(rows, 1)
        for step in [number * every]
        for warning in guard.watch(
            {"step": step, "phase": phase, **{name: of(name, it) for name, it in figures.items()}}
        )
    ]


def of(name, entry):
    return entry if "/" in name or isinstance(entry, Figure) else Figure(entry, good="high")


def accuracies(values):
    return [{"discriminate/accuracy": value} for value in values]


def norms(values, what="generate/generator"):
    return [{f"{what}/gradient_norm": value} for value in values]


def test_a_discriminator_that_wins_is_told_of_once_after_so_many_steps():
    [(step, words)] = warnings(accuracies([0.8, 1.0, 0.99] + [1.0] * 100))
    assert step == 520  # 500 steps after the first such reading, at 20
    assert words.startswith("the discriminator wins: discriminate/accuracy 1.00, at least 0.99 for 500 steps")
    assert "Try a lower learning rate of the discriminator" in words


def test_one_reading_below_starts_the_count_anew():
    assert warnings(accuracies(([1.0] * 50 + [0.98]) * 5)) == []


def test_two_readings_that_are_far_apart_are_no_course():
    assert [step for step, _ in warnings(accuracies([1.0] * 4), every=1000)] == [3000]


def test_each_phase_is_a_game_of_its_own():
    guard = Guard()
    for step in range(10, 1000, 10):
        phase = "warm_up" if step < 500 else "adversarial"
        assert list(guard.watch({"step": step, "phase": phase, "discriminate/accuracy": 1.0})) == []


def coin(gap, accuracy=0.51):
    return {"discriminate/accuracy": accuracy, "discriminate/real": gap, "discriminate/fake": 0.0}


def test_a_discriminator_that_never_learned_anything_is_told_of():
    [(step, words)] = warnings([coin(0.01)] * 100)
    assert step == 510
    assert words.startswith("the discriminator learns nothing: discriminate/accuracy has been that of a coin, 0.51")


@pytest.mark.parametrize(
    "rows",
    [
        [coin(1.0, accuracy=0.7)] + [coin(0.01)] * 100,  # an even game, later on
        [coin(1.0)] * 100,  # a relativistic loss: logits of real and fake lie apart, both above zero
        accuracies([0.5] * 100),
    ],
)
def test_a_coins_accuracy_alone_is_no_fault(rows):
    assert warnings(rows) == []


def test_an_exploding_gradient_is_compared_with_what_was_usual():
    [(step, words)] = warnings(norms([1.0, 2.0, 3.0] * 4 + [201.0, 300.0], "discriminate/discriminator"))
    assert step == 130
    assert words.startswith("a gradient explodes: the norm of discriminator's gradient in turn discriminate is 201")
    assert "where 2 was usual" in words and "players.discriminator.clip=1.0" in words


def test_gradients_may_grow_by_and_by_and_are_uneven_at_first():
    assert warnings(norms([1.1**step for step in range(200)])) == []
    assert warnings(norms([0.001] * 5 + [1.0] * 20)) == []


@pytest.mark.parametrize(("course", "step"), [([1.0] * 10 + [1e-4] * 5, 130), ([0.0] * 5, 30)])
def test_a_vanishing_gradient_of_the_generator_is_told_of(course, step):
    [(found, words)] = warnings(norms(course))
    assert found == step
    assert words.startswith("a gradient vanishes: the norm of generator's gradient in turn generate is")


def test_which_players_generate_is_an_option():
    course = norms([0.0] * 5, "translate/there")
    assert warnings(course) == []
    [(_, words)] = warnings(course, generators=("there", "back"))
    assert words.startswith("a gradient vanishes: the norm of there's gradient in turn translate is 0")


def test_gradients_may_fall_and_those_of_others_vanish():
    assert warnings(norms([1.0] * 10 + [0.01] * 50 + [1e-4, 1e-4, 0.1, 1e-4])) == []
    assert warnings(norms([1.0] * 10 + [1e-4] * 50, "discriminate/discriminator")) == []


def test_alike_samples_are_told_of_in_percent():
    [(step, words)] = warnings([{"unique": 0.98}, {"unique": 0.52}, {"unique": 0.12}, {"unique": 0.1}], every=100)
    assert (step, words[:28]) == (300, "collapse: 12% unique samples")


def test_samples_may_be_as_alike_as_real_data_are():
    rows = [{"unique": Figure(value, 0.3, "high")} for value in (0.9, 0.25, 0.16, 0.14)]
    [(step, words)] = warnings(rows, every=100)
    assert (step, words[:61]) == (400, "collapse: 14% unique samples, where real ones are 30%. Sample")
    assert warnings([{"unique": Figure(0.14, 0.005, "high")}, {"unique": Figure(0.004, 0.005, "high")}]) == []


def test_what_was_there_and_is_lost_is_told_of():
    [(step, words)] = warnings([{"modes": 2}, {"modes": 24}, {"modes": 13}, {"modes": 11}, {"modes": 3}], every=100)
    assert step == 400
    assert words.startswith("collapse: modes fell to 11 from 24. ")
    assert warnings([{"coverage": 0.04}, {"coverage": 0.01}]) == []
    assert warnings([{"nll": Figure(9.0, good="low")}, {"nll": Figure(2.0, good="low")}]) == []
    assert warnings([{"nearest": Figure(9.0)}, {"nearest": Figure(2.0)}]) == []


def test_what_was_above_real_data_may_fall_to_them():
    rows = [{"entropy": Figure(value, 4.0, "high")} for value in (9.0, 4.5, 2.5, 1.5)]
    [(step, words)] = warnings(rows, every=100)
    assert (step, words[:36]) == (400, "collapse: entropy fell to 1.5 from 4")


def test_figures_that_are_not_finite_are_no_fall():
    assert warnings([{"coverage": 0.9}, {"coverage": math.nan}, {"coverage": 0.8}]) == []


def test_thresholds_are_options():
    assert warnings([{"unique": 0.12}], unique=0.1) == []
    assert [step for step, _ in warnings(accuracies([0.9] * 10), accuracy=0.9, steps=20)] == [30]
    fallen = [{"recall_eye": 0.8, "modes": 9}, {"recall_eye": 0.3, "modes": 1}]
    assert [words[:27] for _, words in warnings(fallen, keeps=("recall",))] == ["collapse: recall_eye fell t"]
