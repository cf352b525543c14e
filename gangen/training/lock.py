"""A run directory is trained in by one run at a time, which clears away what one that was killed left half made."""

import os
import shutil
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch

from gangen.collectives import any_process, rank
from gangen.errors import RunError
from gangen.files import take_lock
from gangen.run_directory import RunDirectory


@contextmanager
def locked(run: RunDirectory, device: torch.device) -> Iterator[None]:
    """Hold ``run``, which the main process does for all. Raises RunError, on all, where somebody else holds it."""
    with ExitStack() as held:
        refusal = None
        if not rank():
            try:
                held.enter_context(_lock(run))
            except RunError as error:
                refusal = error
        if any_process(refusal is not None, device):
            raise refusal or RunError(f"{run.root} cannot be trained in")
        yield


@contextmanager
def _lock(run: RunDirectory) -> Iterator[None]:
    """A lock of the operating system, see ``take_lock``."""
    with run.writing():
        run.root.mkdir(parents=True, exist_ok=True)
        file = run.lock.open("a+", encoding="utf-8")
    with file:
        if not take_lock(file):
            file.seek(0)
            raise RunError(
                f"{run.root} is being trained by {file.read() or 'another process'}\n"
                "wait until it is done, stop it, or choose another folder with run=..."
            )
        with run.writing():
            file.truncate(0)
            file.write(f"process {os.getpid()} on {socket.gethostname()} since {time.strftime('%Y-%m-%d %H:%M:%S')}")
            file.flush()
        _sweep(run)
        yield
        file.truncate(0)


def _sweep(run: RunDirectory) -> None:
    """Delete what was being written, or deleted, when a run was killed."""
    for litter in list(run.root.rglob(".*.part")):
        if litter.is_dir() and not litter.is_symlink():
            shutil.rmtree(litter, ignore_errors=True)
        else:
            litter.unlink(missing_ok=True)
