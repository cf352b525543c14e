"""After a fault: a run stops and says what may be done, or goes back to its last good checkpoint by itself."""

from dataclasses import dataclass
from pathlib import Path
from shlex import quote

from gangen.console import Console
from gangen.errors import CheckpointError, RunError
from gangen.files import write_atomically
from gangen.recipe.sections import Recipe
from gangen.run_directory import RunDirectory, step_of
from gangen.training import checkpoint
from gangen.training.callbacks.record import note, stamp
from gangen.training.faults import Fault, NotFinite
from gangen.training.trainer import Trainer


@dataclass(frozen=True)
class RollBack:
    """A return to ``checkpoint``, which the run is to remember from there on.

    A run that is killed before its next checkpoint meets the same fault, and returns once more: it ends to the bit as
    one that was not.
    """

    checkpoint: Path
    rolled_back: int
    rate: float

    def put_back(self, trainer: Trainer) -> None:
        """Take a trainer that was just assembled to where the run goes on."""
        checkpoint.restore(trainer, self.checkpoint)
        trainer.state.rolled_back, trainer.state.rate = self.rolled_back, self.rate


def roll_back(fault: Fault, trainer: Trainer, recipe: Recipe, run: RunDirectory, console: Console) -> RollBack:
    """Go back, in the run directory, to the newest whole checkpoint from before ``fault``; write down what was done.

    All processes call this. Raises RunError where the run is to stop, or cannot go back.
    """
    settings, state, main = recipe.trainer, trainer.state, trainer.accelerator.is_main_process
    try:
        found, damaged = checkpoint.newest_whole(run.checkpoints, trainer.device, before=fault.since)
    except CheckpointError as error:  # which is not to hide the fault
        found, damaged = None, [str(error)]
    wanted = (fault.then or settings.non_finite) == "roll_back"
    if not wanted or found is None or state.rolled_back == settings.recovery.times:
        if main:
            note(run, console, stamp(trainer), "stop", [*damaged, str(fault)], aloud=False)
        often = f"{state.rolled_back} time{'s' * (state.rolled_back != 1)}"
        spent = f"\nit was rolled back {often} before (trainer.recovery.times)" if wanted and found else ""
        raise RunError(f"{fault}\n{_ways(fault, found, damaged, recipe)}{spent}")
    back = RollBack(found, state.rolled_back + 1, state.rate * settings.recovery.rate)
    if main:
        words = f"{fault}; back to {found.name}, and on with learning rates times {back.rate:g}"
        number = f"roll back {back.rolled_back} of {settings.recovery.times}"
        with run.writing():
            write_atomically(run.checkpoints / "latest", found.name + "\n")
        run.forget_after(step_of(found.name), events=False)
        note(run, console, stamp(trainer), "roll_back", [*damaged, f"{words} ({number})"])
    return back


def _ways(fault: Fault, found: Path | None, damaged: list[str], recipe: Recipe) -> str:
    """What is left of the run, and what may be done with it, in words."""
    newest = found or ("damaged" if damaged else "still to come")
    start = f"; start_from={quote(recipe.run)} begins it with the networks of this one" if found else ""
    if not isinstance(fault, NotFinite):
        return f"the newest checkpoint from before it is {newest}; in a new run (run=...), change the game{start}"
    others = " or ".join(it for it in ("roll_back", "skip") if it != recipe.trainer.non_finite)
    further = f"go on from there with trainer.non_finite={others}, or " if found else ""
    way = f"{further}try a lower learning rate, or gradient clipping (players.NAME.clip=1.0), in a new run (run=...)"
    return f"nothing of that was saved; the newest checkpoint is {newest}\n{way}{start}"
