import math

import pytest
from pydantic import TypeAdapter, ValidationError

from gangen.contracts import Clock
from gangen.errors import UsageError
from gangen.schedules import Schedule


def test_a_number_never_changes_and_is_written_as_it_was():
    schedule = Schedule.of(3)
    assert [schedule(fraction) for fraction in (0.0, 0.5, 1.0)] == [3.0, 3.0, 3.0]
    assert schedule.to_plain() == 3


@pytest.mark.parametrize(
    ("shape", "formula"),
    [
        ("linear", lambda t: 2 * (1 - t) + 0.5 * t),
        ("cosine", lambda t: 0.5 + 1.5 * math.cos(math.pi * t / 2) ** 2),
        ("exponential", lambda t: math.exp(math.log(2) * (1 - t) + math.log(0.5) * t)),
    ],
)
def test_shapes_follow_their_formulas(shape, formula):
    schedule = Schedule.of({"start": 2, "end": 0.5, "shape": shape})
    for step in range(11):
        assert schedule(step / 10) == pytest.approx(formula(step / 10))


def test_warmup_rises_from_zero_and_the_shape_runs_over_the_rest():
    schedule = Schedule.of({"start": 1.0, "end": 0.0, "warmup": 0.2})
    assert [schedule(fraction) for fraction in (0.0, 0.1, 0.2, 0.6, 1.0)] == pytest.approx([0.0, 0.5, 1.0, 0.5, 0.0])


def test_a_whole_phase_of_warmup_ends_at_start():
    schedule = Schedule.of({"start": 4, "warmup": 1})
    assert [schedule(0.5), schedule(1.0)] == [2.0, 4.0]


def test_the_end_is_held_from_until_on():
    schedule = Schedule.of({"start": 1.0, "end": 0.0, "warmup": 0.1, "until": 0.5})
    assert [schedule(fraction) for fraction in (0.1, 0.3, 0.5, 0.9)] == pytest.approx([1.0, 0.5, 0.0, 0.0])


def test_a_schedule_over_the_run_goes_on_from_phase_to_phase():
    clocks = [Clock("late", step, 3, run_step=2 + step, run_steps=5) for step in range(3)]
    assert [Schedule(4, 0, over="run")(clock) for clock in clocks] == [2, 1, 0]
    assert [Schedule(4, 0)(clock) for clock in clocks] == [4, 2, 0]


def test_a_changing_schedule_is_written_as_a_mapping_that_reads_back():
    schedule = Schedule.of({"start": 1e-3, "end": 1e-5, "shape": "exponential"})
    assert Schedule.of(schedule.to_plain()) == schedule
    assert Schedule.of(schedule) is schedule


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("fast", "a number or a mapping"),
        (True, "a number or a mapping"),
        (math.nan, "a number or a mapping"),
        ({"end": 1}, "needs a start"),
        ({"start": 1, "edn": 0}, "did you mean 'end'?"),
        ({"start": "x"}, "start must be a finite number, got 'x'"),
        ({"start": 1, "shape": "cubic"}, "linear, cosine or exponential, got 'cubic'"),
        ({"start": 1, "warmup": 2}, "between 0 and 1, got 2"),
        ({"start": 1, "warmup": 0.5, "until": 0.4}, "until must be greater than its warmup"),
        ({"start": 1, "over": "epoch"}, "over a phase or the run, got 'epoch'"),
        ({"start": 1, "end": 0, "shape": "exponential"}, "neither of them 0"),
        ({"start": 1, "end": -1, "shape": "exponential"}, "of one sign"),
    ],
)
def test_what_cannot_be_a_schedule_is_refused(value, message):
    with pytest.raises(UsageError, match=message.replace("?", r"\?")):
        Schedule.of(value)


def test_pydantic_reads_schedules():
    adapter = TypeAdapter(Schedule | None)
    assert adapter.validate_python({"start": 1}) == Schedule(1)
    assert adapter.validate_python(None) is None
    with pytest.raises(ValidationError, match="needs a start"):
        TypeAdapter(Schedule).validate_python({})


def test_a_schedule_compares_with_a_number_as_all_its_values_do():
    assert Schedule(0.5, 0.9) >= 0.5
    assert Schedule(0.5, 0.9) < 1
    assert not Schedule(0.9, 1.0) < 1
    assert not Schedule(1.0, -1.0) > 0
    assert Schedule(3.0, warmup=0.1) >= 0
    assert not Schedule(3.0, warmup=0.1) > 0
    assert Schedule(2) <= 2
