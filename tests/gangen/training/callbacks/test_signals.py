"""What stops a run, and how it goes on."""

import os
import signal
import threading

import pytest

from gangen.errors import RunError
from gangen.training.callbacks.signals import SIGNALS
from gangen.training.run import Stopped

SIX = "phases={adversarial: {steps: 6, turns: {discriminate: 1, generate: 1}}}", "every.checkpoint=100"


@pytest.fixture(autouse=True)
def hangups():
    """A hangup is heeded, also where these tests were started with nohup."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.fixture
def play(points, interrupted):
    """Play six steps; signals are sent to this process in the third."""

    def play(*signals: int):
        interrupted(points(*SIX), 2, lambda: [os.kill(os.getpid(), number) for number in signals])

    return play


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_ends_the_run_after_a_checkpoint_of_the_step(number, play, tmp_path, capsys):
    before = signal.getsignal(number)
    with pytest.raises(Stopped, match=f"stopped by {number.name} after step 3; the same command goes on") as stopped:
        play(number)
    assert (stopped.value.exit_code, stopped.value.word) == (130, "preempted")
    assert signal.getsignal(number) == before
    assert (tmp_path / "run/checkpoints/latest").read_text() == "step-00000003\n"
    play()
    assert "from step 3" in capsys.readouterr().out


@pytest.mark.parametrize("first", [signal.SIGINT, signal.SIGTERM])
def test_a_ctrl_c_after_a_signal_interrupts_at_once(first, play, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        play(first, signal.SIGINT)
    assert not (tmp_path / "run/checkpoints/latest").exists()


def test_a_run_that_was_launched_alone_stops_when_its_launcher_is_gone(points, interrupted, monkeypatch):
    def leave():
        monkeypatch.setattr(os, "getppid", lambda: 1)

    interrupted(points(*SIX, run="of a shell"), 2, leave)
    monkeypatch.undo()
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "no")
    with pytest.raises(Stopped, match="stopped by the end of its launcher after step 3"):
        interrupted(points(*SIX), 2, leave)


def test_a_hangup_that_nohup_ignores_is_ignored(play, tmp_path):
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        play(signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)
    assert (tmp_path / "run/checkpoints/latest").read_text() == "step-00000006\n"


def test_a_run_in_another_thread_goes_without_handlers(play, tmp_path):
    thread = threading.Thread(target=play)
    thread.start()
    thread.join()
    assert (tmp_path / "run/checkpoints/latest").read_text() == "step-00000006\n"


@pytest.mark.parametrize("what", ["samples", "checkpoints", "model", "metrics.jsonl"])
def test_what_cannot_be_written_is_one_sentence_and_loses_nothing(what, play, tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    if what == "metrics.jsonl":
        (run / what).mkdir()
    else:
        (run / what).write_text("mine")
    lost_nothing = rf"cannot write to {run}/.*\nnothing that was there is lost|{what} is no file\nput back the one"
    with pytest.raises(RunError, match=lost_nothing):
        play()
    assert (run / what).is_dir() or (run / what).read_text() == "mine"


def test_a_full_disk_keeps_the_checkpoint_before(play, tmp_path, monkeypatch, capsys):
    from gangen.training import player_files

    with pytest.raises(Stopped):
        play(signal.SIGTERM)

    def full(tensors, path):
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch, pytest.raises(RunError, match=r"cannot write to .*: No space left on"):
        patch.setattr(player_files, "save_file", full)
        play()
    assert (tmp_path / "run/checkpoints/latest").read_text() == "step-00000003\n"
    play()
    assert "from step 3" in capsys.readouterr().out and not list((tmp_path / "run").rglob("*.part"))
