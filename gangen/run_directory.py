"""The folder of a run: recipe, plugins, metrics, samples, checkpoints, model."""

import json
import os
import time
import traceback
from collections.abc import Iterator, Mapping
from pathlib import Path

from gangen.errors import RecipeError, RunError
from gangen.files import to_json, write_atomically
from gangen.metrics.figures import read_row
from gangen.recipe.load import difference
from gangen.recipe.sections import Recipe
from gangen.recipe.source import RecipeSource

# What may differ when a run goes on: none of it changes what is trained.
_FREE = ("run", "resume", "metrics", "keep_best", "guard")


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
        self.samples = self.root / "samples"
        self.checkpoints = self.root / "checkpoints"
        self.model = self.root / "model"
        self.best = self.root / "best"
        self.phases = self.root / "phases"

    def claim(self, recipe: Recipe) -> None:
        """Check that ``recipe`` may be played here, before anything is written.

        A run that ended before its first checkpoint has nothing to lose: its recipe may change.

        Raises RunError when another recipe was played here, or when ``resume`` is false and any was.
        """
        if self.root.exists() and not self.root.is_dir():
            raise RunError(f"{self.root} is a file; choose a folder with run=...")
        if not self.recipe.exists() or self._empty():
            return
        if not recipe.resume:
            raise RunError(f"{self.root} holds a run already and resume is false\nchoose another folder with run=...")
        try:
            old = RecipeSource.read(self.recipe).tree
        except RecipeError as error:
            raise RunError(f"{error}\nthis run's recipe cannot be read; choose another folder with run=...") from None
        new = recipe.to_dict()
        changes = difference(*({key: value for key, value in it.items() if key not in _FREE} for it in (old, new)))
        if changes:
            lines = "\n".join(f"  {change}" for change in changes)
            raise RunError(
                f"{self.root} holds a run of another recipe; it differs in\n{lines}\n"
                "undo the change to go on with that run, or start a new one with run=..."
            )

    def begin(self, recipe: Recipe, plugins: Mapping[str, str]) -> None:
        """Create the folder and write down what is about to run."""
        try:
            self.samples.mkdir(parents=True, exist_ok=True)
            self.checkpoints.mkdir(exist_ok=True)
            if not self.recipe.exists() or self._empty():
                write_atomically(self.recipe, recipe.to_yaml())
            write_atomically(self.plugins, to_json(plugins, indent=1))
        except OSError as error:
            raise RunError(
                f"cannot write to {self.root}: {error.strerror}\nchoose another folder with run=..."
            ) from None

    def _empty(self) -> bool:
        """Whether a run began here, which the record of its plugins tells, and never came to a checkpoint."""
        return self.plugins.exists() and not (self.checkpoints / "latest").exists()

    def changed_extractors(self, digests: Mapping[str, str]) -> list[str]:
        """In words, which extractors are not what they were in evaluations before; others are written down."""
        try:
            known = json.loads(self.extractors.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            known = {}
        known = {name: str(digest) for name, digest in known.items()} if isinstance(known, dict) else {}
        if new := {name: digest for name, digest in digests.items() if name not in known}:
            write_atomically(self.extractors, to_json(known | new, indent=1))
        return [
            f"extractor '{name}' is not what it was before in this run: {known[name][:8]} then, {digest[:8]} now; its "
            "options, the data, its weights or this machine's arithmetic have changed, and its figures do not compare"
            for name, digest in digests.items()
            if known.get(name, digest) != digest
        ]

    def keep_traceback(self, error: Exception) -> None:
        """Append it to ``error.txt``, and note in the error where it is."""
        if self.root.is_dir():
            with self.errors.open("a", encoding="utf-8") as file:
                process = f"process {os.environ.get('RANK', '0')} of {os.environ.get('WORLD_SIZE', '1')}"
                file.write(f"{time.ctime()}, {process}\n{''.join(traceback.format_exception(error))}\n")
            error.add_note(f"the traceback is in {self.errors}")

    def append_metrics(self, *rows: Mapping[str, object]) -> None:
        with self.metrics.open("a", encoding="utf-8") as file:
            file.write("".join(map(to_json, rows)))

    def read_metrics(self) -> Iterator[dict]:
        """Rows of ``metrics.jsonl``, as they were appended; a last line that was cut off by a kill is left out."""
        if self.metrics.exists():
            for line in self.metrics.read_text(encoding="utf-8").splitlines():
                try:
                    row = json.loads(line)
                except json.JSONDecodeError:
                    return
                if isinstance(row, dict):
                    yield read_row(row)

    def forget_after(self, step: int) -> None:
        """Drop metrics of steps beyond ``step``: the run that resumes there will write them again."""
        rows = [row for row in self.read_metrics() if row["step"] <= step]
        if self.metrics.exists():
            write_atomically(self.metrics, "".join(map(to_json, rows)))
