"""A run: from its start, or from its newest checkpoint, to its end."""

import hashlib
import os
import shlex
from contextlib import ExitStack, suppress
from datetime import timedelta
from threading import Lock

import torch
from accelerate import Accelerator, InitProcessGroupKwargs
from accelerate.state import AcceleratorState

from gangen.account import told
from gangen.collectives import launched
from gangen.components.registry import Registry
from gangen.console import Console
from gangen.errors import RunError, UsageError
from gangen.recipe.sections import Recipe
from gangen.run_directory import RunDirectory
from gangen.training import checkpoint, compilation
from gangen.training.agreement import agreed, telling_others
from gangen.training.assemble import assemble, distributions_of, start_players
from gangen.training.callbacks.record import PLAIN, warn
from gangen.training.compatibility import find_scarcity
from gangen.training.faults import Fault
from gangen.training.lock import locked
from gangen.training.recovery import roll_back
from gangen.training.trainer import Trainer

_SETTING_UP = Lock()  # accelerate keeps one state for all threads
# fp64 is not mixed: networks and noise are float64 throughout.
_MIXED_PRECISION = {"fp32": "no", "tf32": "no", "fp64": "no", "bf16": "bf16", "fp16": "fp16"}


class Stopped(RunError):
    """The run was asked to stop, and did so after saving a checkpoint.

    The exit code is 130, and 0 below a launcher, torchrun or accelerate, which takes all others for a crash.
    """

    word = "preempted"
    exit_code = 0 if launched() else 130


def train(recipe: Recipe, registry: Registry) -> None:
    """Play a recipe from its start, or from the newest checkpoint in its run directory, to its end."""
    run = RunDirectory(recipe.run)
    with run.keeping_tracebacks():
        play(recipe, registry, run)


def play(recipe: Recipe, registry: Registry, run: RunDirectory, *, rehearsal: bool = False) -> Trainer:
    """Play a recipe in a directory that may be played in.

    A rehearsal does not say where it is, and ends at errors that training goes on after: those of metrics and sheets.
    """
    accelerator = _accelerator(recipe, run)
    console = Console(quiet=not accelerator.is_main_process)
    around = Console(quiet=rehearsal or console.quiet)
    with ExitStack() as leaving:
        leaving.callback(accelerator.end_training)
        leaving.enter_context(telling_others(recipe.trainer.timeout))
        with agreed(accelerator.device):
            remarks = [] if rehearsal else run.claim(recipe, registry)
        trainer = assemble(recipe, registry, accelerator, run, console)
        trainer.strict = rehearsal
        leaving.enter_context(locked(run, accelerator.device))
        if recipe.trainer.trackers:
            accelerator.init_trackers(run.root.name)
        found, damaged = checkpoint.newest_whole(run.checkpoints, accelerator.device)
        remarks += damaged
        if found:
            checkpoint.restore(trainer, found)
        else:
            remarks += start_players(recipe, trainer.players, accelerator.device)
        if accelerator.is_main_process:  # not before, since a run that is refused stays as it was
            digests = {path.name: f"SHA-256 {hashlib.sha256(path.read_bytes()).hexdigest()}" for path in recipe.code}
            if not rehearsal:  # a check has said that before
                accounts = told(trainer.data, recipe.data.name)
                if accounts.lines:
                    around.print(*accounts.lines, sep="\n", **PLAIN)
                remarks += [*accounts.warnings, *find_scarcity(recipe, trainer.data)]
            remarks += run.begin(recipe, distributions_of(recipe, registry) | digests)
            run.forget_after(trainer.state.total)
            warn(trainer, run, console, remarks)
        finished = trainer.state.phase == len(trainer.phases)
        if finished:
            end = f"{run.root} is finished: all {trainer.state.total} steps were played"
        else:
            end = f"\ndone: {run.root}"
            where = f"from step {trainer.state.total}" if found else "from the start"
            around.print(f"playing {recipe.source} {where} on {_place(accelerator)}; run directory {run.root}", **PLAIN)
        while True:
            try:
                with compilation.explaining():
                    trainer.fit()
                break
            except Fault as fault:
                back = roll_back(fault, trainer, recipe, run, console)
            del trainer  # before there is another, which is begun as by the same command
            trainer = assemble(recipe, registry, accelerator, run, console)
            back.put_back(trainer)
        accelerator.wait_for_everyone()  # a process that leaves while others still write takes them down with it
        if trainer.stopping and trainer.state.phase < len(trainer.phases):
            raise Stopped(
                f"stopped by {trainer.stopping} after step {trainer.state.total}; the same command goes on from there"
            )
        around.print(f"{end}\n{_next_steps(recipe, run, trainer)}", **PLAIN)
        return trainer


def _accelerator(recipe: Recipe, run: RunDirectory) -> Accelerator:
    precision = _MIXED_PRECISION[recipe.trainer.precision]
    try:
        with _SETTING_UP:
            # A run before this one in the same process may have had another.
            if AcceleratorState._shared_state.get("_mixed_precision", precision) != precision:
                AcceleratorState._reset_state()
            accelerator = Accelerator(
                cpu=not torch.accelerator.is_available(),
                mixed_precision=precision,
                log_with=recipe.trainer.trackers or None,
                project_dir=run.root,
                kwargs_handlers=[InitProcessGroupKwargs(timeout=timedelta(seconds=recipe.trainer.timeout))],
            )
    except (ValueError, ImportError) as error:
        raise UsageError(f"accelerate refuses this set-up: {error}") from None
    if recipe.trainer.precision == "fp16" and accelerator.scaler is None:  # accelerate would play it in fp32
        recipe.fail(("trainer", "precision"), f"there is no fp16 on {accelerator.device.type}; take bf16 or fp32")
    started = int(os.environ.get("WORLD_SIZE", "1"))
    if started != accelerator.num_processes:
        raise RunError(
            f"{started} processes were started, but accelerate joined {accelerator.num_processes} of them\n"
            "on CPUs, start with: ACCELERATE_USE_CPU=1 accelerate launch --multi_gpu --num_processes N -m gangen RECIPE"
        )
    absent = set(recipe.trainer.trackers) - {"all", *map(str, accelerator.log_with)}
    if absent:
        recipe.fail(("trainer", "trackers"), f"not installed: {', '.join(sorted(absent))}")
    return accelerator


def _place(accelerator: Accelerator) -> str:
    device = "CPU" if accelerator.device.type == "cpu" else str(accelerator.device.type)
    return f"{accelerator.num_processes} processes ({device})" if accelerator.num_processes > 1 else device


def _next_steps(recipe: Recipe, run: RunDirectory, trainer: Trainer) -> str:
    """Where samples and figures lie, and the commands that give more of both."""
    prompt = next(iter(trainer.data.codec.prompts()), "")
    words = f" {shlex.quote(prompt)}" if prompt else ""
    file = f" -o samples{trainer.data.codec.suffix}" if hasattr(trainer.data.codec, "suffix") else ""
    code = "".join(f" --code {shlex.quote(str(path))}" for path in sorted((run.model / "code").glob("*.py")))
    root, page = shlex.quote(str(run.root)), run.root / "report.html"
    lines = [f"samples: {run.samples}   metrics: {run.metrics}"]
    with suppress(UsageError):  # where there is no prompt that would do for everybody
        trainer.data.codec.encode(prompt or None, 1)
        lines.append(f"next:    gangen sample{words} -n 5 --run {root}{file}{code}")
    if recipe.metrics and recipe.every.checkpoint:
        lines.append(f"report:  gangen eval {root}{code}    (measures it, and writes {page})")
    else:
        lines.append(f"report:  gangen report {root}    (writes {page})")
    return "\n".join(lines)
