"""A local plugin: kills its own process at the moment that the environment names, once per run directory.

GANGEN_KILL=step:7 before the checkpoint of step 7, metric:2 in the second evaluation, after the checkpoint of its step,
write:3 while the third safetensors file is written; call:1000 at the thousandth call of a function, wherever it is, in
process 1 of two; with count:0 nobody is killed, and the file GANGEN_COUNT says how many calls there were.
"""

import os
import signal
import sys
from itertools import count as counter
from pathlib import Path

from gangen import hookimpl
from gangen.contracts import Callback
from gangen.training import checkpoint, player_files
from gangen.training.callbacks import evaluations

moment, _, count = os.environ.get("GANGEN_KILL", "never:0").partition(":")
# The process whose calls are counted: of two, process 1.
counts = os.environ.get("RANK", "1") == "1"


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class Killer(Callback):
    def after_step(self, trainer) -> None:
        if moment == "step" and trainer.state.total == int(count):
            die()
        if moment == "term" and trainer.state.total == int(count):
            os.kill(os.getpid(), signal.SIGTERM)

    def close(self, trainer) -> None:
        if moment == "count" and counts:
            Path(os.environ["GANGEN_COUNT"]).write_text(str(next(calls)))


if moment == "write":
    complete, written = checkpoint.save_file, []

    def save_half(tensors, path) -> None:
        written.append(path)
        if len(written) == int(count):
            path.write_bytes(b"half")
            die()
        complete(tensors, path)

    checkpoint.save_file = player_files.save_file = save_half

if moment.startswith("metric"):
    measure, taken = evaluations.measure, []

    def measure_none(metric, context):
        taken.append(metric)
        if len(taken) == int(count):
            os.kill(os.getpid(), signal.SIGTERM if moment == "metric-term" else signal.SIGKILL)
        return measure(metric, context)

    evaluations.measure = measure_none


calls = counter()
if moment in ("call", "count") and counts:

    def look(frame, event, argument) -> None:
        if next(calls) == int(count) and moment == "call":
            die()

    sys.setprofile(look)


@hookimpl
def gangen_callbacks(register) -> None:
    register("killer", f"{__name__}:Killer")
