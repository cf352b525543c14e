"""What is said of an evaluation while it goes on, where there is no terminal."""

import time

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
