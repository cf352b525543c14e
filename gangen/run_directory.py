"""The folder of a run: recipe, plugins, metrics, samples, checkpoints, model."""

import json
import os
import re
import time
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from textwrap import shorten

from safetensors import SafetensorError

from gangen.bounded import lies_in, read_json
from gangen.components.registry import Registry
from gangen.errors import CheckpointError, GangenError, RecipeError, RunError
from gangen.failures import exited
from gangen.files import to_json, write_atomically
from gangen.metrics.figures import is_row, read_row
from gangen.printing import visible
from gangen.recipe.load import difference, load_recipe
from gangen.recipe.sections import Recipe

# What may differ when a run goes on, as keys of a recipe begin: none of it changes the mathematics of training. What
# stands in files of `code` is compared by its digest.
_FREE = re.compile(
    r"run:|resume:|requires|code|every\.|metrics|keep_best|guard|callbacks|sampler|players\.[^.]+\.shard:"
    r"|trainer\.(threads:|trackers|keep_checkpoints:|eval_batch_size:|timeout:|non_finite:|recovery\.)"
)
# How many settings that differ are named.
_SHOWN = 10
_NAME = re.compile(r"step-\d{8,18}", re.ASCII)


class RunDirectory:
    """Paths and records of one run below ``root``."""

    def __init__(self, root: Path | str) -> None:
        self.root = Path(root)
        self.recipe = self.root / "recipe.yaml"
        self.plugins = self.root / "plugins.json"
        self.evaluation = self.root / "evaluation.json"
        self.extractors = self.root / "extractors.json"
        self.metrics = self.root / "metrics.jsonl"
        self.errors = self.root / "error.txt"
        self.heartbeat = self.root / "heartbeat.json"
        self.lock = self.root / ".lock"
        self.samples = self.root / "samples"
        self.checkpoints = self.root / "checkpoints"
        self.model = self.root / "model"
        self.best = self.root / "best"
        self.phases = self.root / "phases"

    def refuse_ways_out(self) -> None:
        """Raises RunError where records or samples lie elsewhere: those of a stranger's run may be anybody's files."""
        records = self.recipe, self.plugins, self.evaluation, self.extractors, self.metrics, self.errors
        for path in (*records, self.heartbeat, self.lock, self.samples):
            if path.is_symlink() and not lies_in(path, self.root):
                raise RunError(f"{path} is a link that leads out of the run\nput what it stands for in its place")

    def claim(self, recipe: Recipe, registry: Registry | None = None) -> list[str]:
        """Check that ``recipe`` may be played here, before anything is written; returns what to say of it.

        A run that ended before its first checkpoint has nothing to lose: its recipe may change. One that goes on may
        have another length of the phase that it is in, or that it ended with, and other phases after that.

        Raises RunError when another recipe was played here, or when ``resume`` is false and any was.
        """
        with self.writing(), suppress(FileNotFoundError):
            self.root.stat()  # which refuses, say, a name of 300 letters
        if self.root.exists() and not self.root.is_dir():
            raise RunError(f"{self.root} is a file; choose a folder with run=...")
        if not self.recipe.exists() or self._empty():
            return []
        if not recipe.resume:
            raise RunError(f"{self.root} holds a run already and resume is false\nchoose another folder with run=...")
        try:
            # Its code is what the other recipe has run by now, or nobody asked for it.
            old, new = load_recipe(self.recipe, registry=registry, run_code=False).to_dict(), recipe.to_dict()
        except RecipeError as error:
            raise RunError(f"{error}\nthis run's recipe cannot be read; choose another folder with run=...") from None
        remarks = []
        done = self._steps_played() or 0
        begun, rest = _begun(old["phases"], done)
        if begun and list(new["phases"])[: len(begun)] == begun:
            former, total = (sum(phase["steps"] for phase in it["phases"].values()) for it in (old, new))
            if former != total and "over: run" in recipe.to_yaml():
                lengths = f"{total:,} steps instead of {former:,}"
                remarks = [f"the run has {lengths}: schedules over the run are stretched from step {done:,} on"]
            old["phases"], new["phases"] = ({name: it["phases"][name] for name in begun} for it in (old, new))
            before, after = (it["phases"][begun[-1]] for it in (old, new))
            if before["steps"] != after["steps"] >= rest:
                lengths = f"{after['steps']:,} steps instead of {before['steps']:,}"
                remarks += [
                    f"phase {begun[-1]} has {lengths}: schedules that it has are stretched from step {rest:,} on"
                ]
                before["steps"] = after["steps"]
        changes = [change for change in difference(old, new) if not _FREE.match(change)]
        if changes:
            # Another game first: what else differs follows from it, and may be more than a screen holds.
            changes.sort(key=lambda change: not change.startswith(("data.use:", "objective.use:")))
            more = [f"and {len(changes) - _SHOWN:,} settings more"] if len(changes) > _SHOWN else []
            lines = "\n".join(f"  {change}" for change in changes[:_SHOWN] + more)
            played = f" (step {rest:,} of phase {begun[-1]} was played)" if begun else ""
            raise RunError(
                f"{self.root} holds a run of another recipe; it differs in\n{lines}\n"
                f"undo the change to go on with that run{played}, or start a new one with run=..."
            )
        return remarks

    def begin(self, recipe: Recipe, plugins: Mapping[str, str]) -> list[str]:
        """Create the folder and write down what is about to run; returns what is not as it was when it ran before.

        ``plugins`` says what each plugin, and each local file, is.
        """
        before = read_record(self.plugins) if self._steps_played() is not None else {}
        with self.writing():
            self.samples.mkdir(parents=True, exist_ok=True)
            self.checkpoints.mkdir(exist_ok=True)
            write_atomically(self.recipe, recipe.to_yaml())
            write_atomically(self.plugins, to_json(plugins, indent=1))
        return [
            f"{name} has changed since this run was last played, and may train otherwise: {before[name]} -> {now}"
            for name, now in plugins.items()
            if before.get(name, now) != now
        ]

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Raise RunError, in a sentence, where the block cannot write, as on a full disk."""
        try:
            yield
        except (OSError, SafetensorError) as error:
            where, reason = getattr(error, "filename", None), getattr(error, "strerror", None) or str(error)
            raise RunError(
                f"cannot write to {where or self.root}: {reason}\n"
                "nothing that was there is lost: see to it and give the same command again, or choose another folder "
                "with run=..."
            ) from None

    def _empty(self) -> bool:
        """Whether a run began here, which the record of its plugins tells, and never came to a checkpoint."""
        return self.plugins.exists() and self._steps_played() is None

    def _steps_played(self) -> int | None:
        """As many as the newest checkpoint says; None where there is none."""
        name = latest_name(self.checkpoints)
        return step_of(name) if name else None

    def changed_extractors(self, digests: Mapping[str, str]) -> list[str]:
        """In words, which extractors are not what they were in evaluations before; others are written down."""
        known = read_record(self.extractors)
        if new := {name: digest for name, digest in digests.items() if name not in known}:
            with self.writing():
                write_atomically(self.extractors, to_json(known | new, indent=1))
        return [
            f"extractor '{name}' is not what it was before in this run: {known[name][:8]} then, {digest[:8]} now; its "
            "options, the data, its weights or this machine's arithmetic have changed, and its figures do not compare"
            for name, digest in digests.items()
            if known.get(name, digest) != digest
        ]

    @contextmanager
    def keeping_tracebacks(self) -> Iterator[None]:
        """Keep that of an error which nobody raised on purpose."""
        try:
            yield
        except SystemExit as leaving:
            self.keep_traceback(leaving)
            raise exited(leaving) from None
        except Exception as error:
            if not isinstance(error, GangenError):
                self.keep_traceback(error)
            raise

    def keep_traceback(self, error: BaseException) -> None:
        """Append it to ``error.txt``, and note in the error where it is; not where that cannot be written."""
        if not self.root.is_dir():
            return
        with suppress(OSError):
            with self.errors.open("a", encoding="utf-8") as file:
                process = f"process {os.environ.get('RANK', '0')} of {os.environ.get('WORLD_SIZE', '1')}"
                trace = visible("".join(traceback.format_exception(error)))
                file.write(f"{time.ctime()}, {process}\n{trace}\n")
            error.add_note(f"the traceback is in {self.errors}")

    def append_metrics(self, *rows: Mapping[str, object]) -> None:
        with self.writing():
            self.root.mkdir(parents=True, exist_ok=True)  # somebody may have taken it away
            with self.metrics.open("a", encoding="utf-8") as file:
                file.write("".join(map(to_json, rows)))

    def read_metrics(self) -> Iterator[dict]:
        """Rows of ``metrics.jsonl``, as they were appended; a line that is none, as one cut off by a kill, is left out.

        Raises RunError where it is no file.
        """
        if not self.metrics.exists():
            return
        if not self.metrics.is_file():  # a pipe has no end
            raise RunError(f"{self.metrics} is no file\nput back the one that the run wrote, or take it away")
        with self.metrics.open(encoding="utf-8", errors="replace") as lines:
            for line in lines:
                try:
                    row = json.loads(line)
                except (ValueError, RecursionError):
                    continue
                if is_row(row):
                    yield read_row(row)

    def forget_after(self, step: int, *, events: bool = True) -> None:
        """Drop metrics of steps beyond ``step``: the run that resumes there will write them again.

        Without ``events``, rows of these stay: a run that goes back after one has them behind it.
        """
        with self.writing():
            rows = [row for row in self.read_metrics() if row["step"] <= step or (not events and "event" in row)]
            if self.metrics.exists():
                write_atomically(self.metrics, "".join(map(to_json, rows)))


def latest_name(checkpoints: Path) -> str | None:
    """The checkpoint that ``latest`` names, where it is missing the newest, None where there is none.

    Raises CheckpointError for what is no name.
    """
    pointer = checkpoints / "latest"
    try:
        name = pointer.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        found = checkpoints_in(checkpoints)
        return found[-1].name if found else None
    except NotADirectoryError:
        return None
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{pointer} cannot be read: {error}\n{way_back(checkpoints)}") from None
    if not _NAME.fullmatch(name):
        said = f"names {shorten(name, 60)!r}, which is no checkpoint" if name else "is empty"
        raise CheckpointError(f"{pointer} {said}\n{way_back(checkpoints)}")
    return name


def checkpoints_in(folder: Path) -> list[Path]:
    """Those that are called as checkpoints are, the oldest first."""
    found = (path for path in folder.glob("step-*") if _NAME.fullmatch(path.name))
    return sorted(found, key=lambda path: step_of(path.name))


def step_of(name: str) -> int:
    """The step that a checkpoint or a sheet is called by, as ``step-00000020-low.wav``; -1 where there is none.

    To be sorted by: as text ``step-100000000`` would come before ``step-99999999``.
    """
    found = re.match(r"step-(\d{1,18})(?!\d)", name, re.ASCII)
    return int(found[1]) if found else -1


def way_back(checkpoints: Path) -> str:
    """What to do where the newest of them cannot be taken, in words."""
    return (
        f"write the name of an older folder of {checkpoints} into {checkpoints / 'latest'}, or start anew with run=..."
    )


def read_record(path: Path) -> dict[str, str]:
    """What a file of JSON says by name; nothing where it is not there or not whole."""
    try:
        return {name: str(entry) for name, entry in read_json(path).items()}
    except (OSError, ValueError, AttributeError):
        return {}


def _begun(phases: Mapping[str, Mapping], played: int) -> tuple[list[str], int]:
    """The phases that ``played`` steps have come to, and how many of these steps are in the last of them."""
    names = list(phases) if played else []
    for number, name in enumerate(names, 1):
        if played <= phases[name]["steps"]:
            return names[:number], played
        played -= phases[name]["steps"]
    return names, played
