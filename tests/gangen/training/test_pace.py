"""Speed is that of training alone, over the newest steps of a phase."""

import time

import pytest

from gangen.training.pace import STRETCH, Pace


@pytest.fixture
def clock(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def played(pace, clock, *seconds):
    for each in seconds:
        clock[0] += each
        pace.count()


def test_what_lies_between_steps_does_not_slow_them(clock):
    pace = Pace()
    pace.begin()
    assert pace.steps_per_second == 0
    played(pace, clock, 9)
    assert pace.steps_per_second == pytest.approx(1 / 9)
    played(pace, clock, 2, 2)
    with pace.paused():
        clock[0] += 1140
    played(pace, clock, 2)
    assert pace.steps_per_second == pytest.approx(0.5)  # the first made things ready


def test_each_phase_and_the_newest_steps_have_their_own(clock):
    pace = Pace()
    pace.begin()
    played(pace, clock, *[1.0] * 300, *[0.25] * STRETCH)
    assert pace.steps_per_second == pytest.approx(4, rel=0.01)
    pace.begin()
    played(pace, clock, 10, 10, 10)
    assert pace.steps_per_second == pytest.approx(0.1)
