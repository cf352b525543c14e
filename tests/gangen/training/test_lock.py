"""A run directory belongs to one run at a time, whatever became of those before."""

import errno
import os
import socket
import subprocess
import sys

import pytest
import torch

from gangen.errors import RunError
from gangen.run_directory import RunDirectory
from gangen.training import lock

CPU = torch.device("cpu")
HOLDER = """
import sys, torch
from gangen.run_directory import RunDirectory
from gangen.training.lock import locked
with locked(RunDirectory(sys.argv[1]), torch.device("cpu")):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_run_is_refused_where_another_holds_the_folder_and_a_kill_sets_it_free(tmp_path):
    run = RunDirectory(tmp_path / "run")
    command = [sys.executable, "-c", HOLDER, str(run.root)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout.readline() == b"held\n"
        words = f"run is being trained by process {holder.pid} on {socket.gethostname()} since 20"
        with pytest.raises(RunError, match=words), lock.locked(run, CPU):
            pass
        holder.kill()
    with lock.locked(run, CPU):
        assert f"process {os.getpid()} on " in (run.root / ".lock").read_text()
    assert (run.root / ".lock").read_text() == ""


def test_what_a_kill_left_half_made_is_cleared_away_by_who_holds_the_folder(tmp_path):
    run = RunDirectory(tmp_path)
    for name in ("model/.generator.safetensors.77.part", "checkpoints/.step-00000003.part/pupil/model", "mine.part"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("half")
    with lock.locked(run, CPU):
        with pytest.raises(RunError, match="is being trained by process"), lock.locked(run, CPU):
            pass
        found = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    assert found == {".lock", "mine.part"} and not list((tmp_path / "checkpoints").iterdir())


def test_a_file_system_that_knows_no_locks_goes_without(tmp_path, monkeypatch):
    fcntl = pytest.importorskip("fcntl")

    def flock(file, operation):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", flock)
    with lock.locked(RunDirectory(tmp_path), CPU):
        assert (tmp_path / ".lock").read_text().startswith(f"process {os.getpid()} on ")


@pytest.mark.parametrize("root", ["file", "file/run", "a" * 300])
def test_a_folder_that_cannot_be_is_told_in_a_sentence(root, tmp_path):
    (tmp_path / "file").write_text("")
    words = r"cannot write to .*\nnothing that was there is lost"
    with pytest.raises(RunError, match=words), lock.locked(RunDirectory(tmp_path / root), CPU):
        pass
    assert (tmp_path / "file").read_text() == ""
