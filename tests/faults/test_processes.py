"""What a run on two processes says when one of them fails, hangs or is told to stop, or their launcher is gone."""

import re
import signal

import pytest

CODE = """
import os
import signal
from gangen import hookimpl, updates

FIGURES = "FIGURES" in os.environ
FAULT = os.environ.get("FAULT", "")

class Game:
    def __init__(self, spec):
        if FAULT == "build" and os.environ["RANK"] == "1":
            raise MemoryError("no room")
        if FAULT == "leave" and os.environ["RANK"] == "1":
            raise SystemExit(0)
    @updates("generator")
    def generate(self, players, batch, clock):
        if clock.step == 2 and os.environ["RANK"] == "1":
            if FAULT == "raise":
                raise KeyError("label")
            if FAULT == "hang":
                signal.pause()
            if FAULT == "launcher":
                os.kill(os.getppid(), signal.SIGKILL)
            if FAULT == "signal":
                os.kill(os.getpid(), signal.SIGUSR1)
        figures = {"more": 1.0} if FIGURES and os.environ["RANK"] == "1" else {}
        return players.generator.sample(4).square().mean(), figures

@hookimpl
def gangen_objectives(register):
    register("game", f"{__name__}:Game")
"""
RECIPE = """
code: mine.py
run: run
data: {use: image/points, size: 32, heldout_size: 8}
players: {generator: {use: image/mlp, hidden_dim: 4}}
objective: local/game
phases: {only: {steps: 50, turns: {generate: 1}}}
trainer: {batch_size: 8}
every: {sample: 0}
"""


@pytest.fixture
def play(tmp_path, torchrun):
    """Play the recipe on two processes where the environment says what goes wrong in process 1."""
    (tmp_path / "mine.py").write_text(CODE)
    (tmp_path / "game.yaml").write_text(RECIPE)

    def play(*overrides, **environment):
        return torchrun("-m", "gangen", "game.yaml", *overrides, cwd=tmp_path, **environment)

    play.run = tmp_path / "run"
    return play


def spoken(played):
    return [line for line in played.stderr.splitlines() if line.startswith("gangen: ") and "running code" not in line]


def test_the_process_that_failed_is_heard_and_the_other_says_which_it_was(play):
    played = play(FAULT="raise")
    assert played.returncode != 0
    own, others = (
        "gangen: error on process 1 of 2: KeyError: 'label'",
        "gangen: error: process 1 failed: KeyError: 'label'",
    )
    # The launcher may end the other one before it can say which it was.
    assert sorted(spoken(played)) in ([own], [own, others])
    assert "in turn 'generate' of objective 'local/game'\nin phase only, step 3\n" in played.stderr
    kept = (play.run / "error.txt").read_text()
    assert "process 1 of 2\nTraceback" in kept and "KeyError: 'label'" in kept


@pytest.mark.parametrize(
    ("fault", "words"),
    [("build", "MemoryError: no room"), ("leave", "code that it uses would have ended gangen by exit(0)")],
)
def test_a_process_that_cannot_build_the_game_takes_the_other_along(fault, words, play):
    own, other = (
        f"gangen: error on process 1 of 2: {words}",
        "gangen: error: process 1 of 2 failed: see what it says",
    )
    assert sorted(spoken(play(FAULT=fault))) in ([own], [own, other])


def test_a_process_that_does_not_answer_is_named(play):
    said = spoken(play("trainer.timeout=2", FAULT="hang"))
    assert said == ["gangen: error: process 1 of 2 did not answer within 2 seconds (trainer.timeout)"]


def test_processes_leave_when_their_launcher_is_gone_after_a_checkpoint(play):
    killed = play(FAULT="launcher")  # returns when nobody is left who could write
    assert killed.returncode == -signal.SIGKILL
    [said] = spoken(killed)
    step = int(re.search(r"preempted: stopped by the end of its launcher after step (\d+); the same", said)[1])
    assert (play.run / "checkpoints/latest").read_text() == f"step-{step:08d}\n"


def test_a_clean_stop_of_one_process_is_quiet_and_that_of_all(play):
    stopped = play(FAULT="signal")
    assert stopped.returncode == 0 and "Traceback" not in stopped.stderr
    [said] = spoken(stopped)
    assert said.startswith("gangen: preempted: stopped by SIGUSR1, of process 1 after step ")


def test_figures_that_only_one_process_reports_are_named_by_both(play):
    played = play(FIGURES="1")
    for process, figures in enumerate(("generate/generator/update_size (1)", "generate/more (10), ")):
        [said] = [line for line in played.stderr.splitlines() if f"error on process {process} of 2: turns must" in line]
        assert figures in said
