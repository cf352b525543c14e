"""Interpreters that have done their imports already: a server has, and forks one for each command."""

import multiprocessing
import os
import runpy
import socket
import sys
from collections.abc import Mapping, Sequence
from multiprocessing.connection import wait
from pathlib import Path
from subprocess import CompletedProcess
from tempfile import TemporaryDirectory
from unittest.mock import patch

SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload(
    ["pytest", "gangen.cli", "gangen.training.run", "datasets", "torch._dynamo", "transformers"]
)
SECONDS = 300


def run(
    arguments: Sequence[str], environment: Mapping[str, str], cwd: Path, processes: int = 1
) -> "CompletedProcess[str]":
    """What ``python ARGUMENTS`` says, a script or -m and a module and what follows; the status is of what failed first.

    Several ``processes`` are the ranks of one game, as a launcher starts them: when one fails, the others are stopped.

    Raises:
        TimeoutError: nothing ended for SECONDS.
    """
    ranks, failed = [], 0
    with TemporaryDirectory() as said, socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        meeting = {"WORLD_SIZE": str(processes), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free.getsockname()[1])}
        free.close()
        # What libraries read at import is what the server begins with.
        with patch.dict(os.environ, environment, clear=True):
            for rank in map(str, range(processes)):
                own = meeting | {"RANK": rank, "LOCAL_RANK": rank} if processes > 1 else {}
                ranks.append(SERVER.Process(target=_play, args=(arguments, {**environment, **own}, cwd, Path(said))))
                ranks[-1].start()
        while playing := [rank.sentinel for rank in ranks if rank.is_alive()]:
            ended = wait(playing, SECONDS)
            failed = failed or next((rank.exitcode for rank in ranks if rank.exitcode), 0)
            for rank in ranks if failed or not ended else ():
                rank.terminate() if ended else rank.kill()
            if not ended:
                raise TimeoutError(f"{' '.join(arguments)} does not end")
        out, err = (Path(said, name).read_text(encoding="utf-8") for name in ("out", "err"))
    return CompletedProcess(arguments, failed, out, err)


def _play(arguments: Sequence[str], environment: Mapping[str, str], cwd: Path, said: Path) -> None:
    """In the process that was forked: as if an interpreter had been started with ``arguments``."""
    for stream, name in enumerate(("out", "err"), start=1):
        os.dup2(os.open(said / name, os.O_WRONLY | os.O_CREAT | os.O_APPEND), stream)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(cwd)
    if arguments[0] == "-m":
        sys.argv = list(arguments[1:])
        runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
    else:
        sys.argv = list(arguments)
        runpy.run_path(sys.argv[0], run_name="__main__")
