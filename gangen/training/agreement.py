"""Errors where several processes play: one that all have is told once, and of one that some have the others leave."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import torch
import torch.distributed as dist

from gangen.collectives import all_gather, rank, world_size
from gangen.errors import RunError
from gangen.failures import summary, talking
from gangen.noise import mix

# How long a process that could not reach the others waits for what they have to say.
PATIENCE = timedelta(seconds=5)


@contextmanager
def agreed(device: torch.device) -> Iterator[None]:
    """Around what every process does for itself: where it fails on one of them, it fails on all."""
    failed: Exception | SystemExit | None = None
    try:
        yield
    except (Exception, SystemExit) as error:
        failed = error
    if world_size() > 1:
        everywhere = all_gather(torch.tensor(mix(summary(failed)) if failed else 0, device=device))
        if failed:
            vars(failed)["shared"] = bool((everywhere == everywhere[0]).all())
        elif everywhere.any():
            raise RunError(f"{_processes(everywhere.nonzero().flatten().tolist())} failed: see what it says")
    if failed:
        raise failed


@contextmanager
def telling_others(timeout: float) -> Iterator[None]:
    """Leave word of an error for processes that wait for this one; who could not reach others says whose fault it was.

    Raises RunError in the place of torch's words about a connection.
    """
    try:
        yield
    except (Exception, SystemExit) as error:
        if world_size() == 1:
            raise
        store = dist.distributed_c10d._get_default_store()
        store.set(f"gangen/error/{rank()}", "" if talking(error) else summary(error))
        if not talking(error):
            raise
        said, silent = {}, []
        for other in set(range(world_size())) - {rank()}:
            try:
                store.wait([f"gangen/error/{other}"], PATIENCE)
                said[other] = store.get(f"gangen/error/{other}").decode()
            except RuntimeError:
                silent.append(other)
        words = [f"process {other} failed: {word}" for other, word in said.items() if word]
        if silent and "time" in str(error).lower():
            words.append(f"{_processes(silent)} did not answer within {timeout:g} seconds (trainer.timeout)")
        elif silent:
            words.append(f"{_processes(silent)} left without a word, as where it was killed")
        told = RunError("\n".join(words) or f"the other processes cannot be reached: {error}")
        told.shared = 0 not in silent  # then process 0 speaks for all that could not reach one
        raise told from error


def _processes(numbers: list[int]) -> str:
    return f"process{'es' * (len(numbers) > 1)} {', '.join(map(str, numbers))} of {world_size()}"
