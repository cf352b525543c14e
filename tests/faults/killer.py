"""A local plugin: kills its own process at the moment that the environment names, once per run directory.

GANGEN_KILL=step:7 before the checkpoint of step 7, metric:2 in the second evaluation, after the checkpoint of its step,
write:3 while the third safetensors file is written.
"""

import os
import signal

from gangen import hookimpl
from gangen.contracts import Callback
from gangen.training import checkpoint
from gangen.training.callbacks import evaluations

moment, _, count = os.environ.get("GANGEN_KILL", "never:0").partition(":")


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class Killer(Callback):
    def after_step(self, trainer) -> None:
        if moment == "step" and trainer.state.total == int(count):
            die()
        if moment == "term" and trainer.state.total == int(count):
            os.kill(os.getpid(), signal.SIGTERM)


if moment == "write":
    complete, written = checkpoint.save_file, []

    def save_half(tensors, path) -> None:
        written.append(path)
        if len(written) == int(count):
            path.write_bytes(b"half")
            die()
        complete(tensors, path)

    checkpoint.save_file = save_half

if moment.startswith("metric"):
    measure, taken = evaluations.measure, []

    def measure_none(metric, context):
        taken.append(metric)
        if len(taken) == int(count):
            os.kill(os.getpid(), signal.SIGTERM if moment == "metric-term" else signal.SIGKILL)
        return measure(metric, context)

    evaluations.measure = measure_none


@hookimpl
def gangen_callbacks(register) -> None:
    register("killer", f"{__name__}:Killer")
