"""What is said of an evaluation while it goes on, on a terminal and where there is none."""

import time

import pytest

from gangen.evaluation.watch import Watch
from gangen.metrics.figures import Figure


def test_how_far_it_is_and_how_long_it_will_take_is_said_now_and_then(monkeypatch, capsys):
    clock = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    with Watch("runs/one") as watch:
        for seconds in watch.over([90, 30, 2, 2], lambda seconds: f"for {seconds} s"):
            clock[0] += seconds
        watch.found({"nll": Figure(3.9, 3.5, "low")})
    assert capsys.readouterr().err.splitlines() == [
        "runs/one: for 30 s, 2 of 4, about 4 min left",
        "runs/one: for 2 s, 3 of 4, about 2 min left",
        "runs/one: nll 3.9000 (real 3.5000)",
    ]


def test_nothing_is_said_from_python(capsys):
    with Watch("runs/one", quiet=True) as watch:
        watch.found({"nll": Figure(3.9)})
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("run", ["runs/a[/b]", "runs/[blue]a", "runs/:fire:", "runs/a\x1b[31m"])
def test_on_a_terminal_the_name_of_a_run_is_text_as_it_stands(run, monkeypatch, capsys):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    with Watch(run) as watch:
        list(watch.over([1], str))
    assert f" {run}: 1, 1 of 1".replace("\x1b", r"\x1b") in capsys.readouterr().err
