"""Training and evaluating from Python, as from a notebook: what the commands do, by functions of the same names."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from os import PathLike
from pathlib import Path
from types import FunctionType
from typing import Any

from gangen.components.registry import Registry, component
from gangen.errors import RunError, UsageError
from gangen.evaluation.results import Request, Result
from gangen.evaluation.trained import Trained
from gangen.metrics.figures import Figure
from gangen.model import Model
from gangen.printing import say, visible
from gangen.recipe.load import load_recipe, recipe_file
from gangen.recipe.sections import Recipe
from gangen.report import write_report
from gangen.report.plot import plot
from gangen.run_directory import RunDirectory, step_of
from gangen.runs import find_runs, is_run
from gangen.saved_model import load
from gangen.sharing.folder import publish
from gangen.training import run as training
from gangen.training.process import sharing

Metrics = str | type | Mapping[str, Any] | Sequence[str | type | Mapping[str, Any]]


class Run(PathLike[str]):
    """What was trained in a folder; it stands for its path wherever one is taken.

    ``code`` are files of code that it was made with: they are run when they are needed, and no others are.

    Raises RunError where there is no run, UsageError for what can be no path.
    """

    def __init__(self, folder: PathLike[str] | str, *, code: Sequence[Path | str] = ()) -> None:
        self.folder = _path(folder)
        self.code = code
        if not is_run(self.folder):
            raise RunError(f"{self.folder} is no run: name the folder that a recipe was played in")

    def __fspath__(self) -> str:
        return str(self.folder)

    def __repr__(self) -> str:
        row = find_runs(self.folder)[0]
        where = "" if row.step is None else f", step {row.step:,} of {row.steps:,}" if row.steps else ""
        return visible(f"Run({str(self.folder)!r}): {row.state}{where}{f' ({row.reason})' if row.reason else ''}")

    @property
    def metrics(self) -> list[dict[str, Any]]:
        """What was logged, a row each with its step and phase: ``pandas.DataFrame(run.metrics)`` is a table of it.

        What real data have in the place of a figure is beside it by its name and ``_real``.
        """
        run = RunDirectory(self.folder)
        run.refuse_ways_out()
        return [dict(_numbers(row)) for row in run.read_metrics() if "warning" not in row]

    def plot(self) -> Any:
        """What was logged as a figure of matplotlib, which notebooks show: a chart of each metric, then of turns.

        Raises UsageError where matplotlib is missing, or where nothing was logged yet.
        """
        run = RunDirectory(self.folder)
        run.refuse_ways_out()
        return plot(list(run.read_metrics()))

    @property
    def samples(self) -> list[Path]:
        """Sheets of samples, the oldest first."""
        run = RunDirectory(self.folder)
        run.refuse_ways_out()
        return sorted(run.samples.glob("step-*"), key=lambda path: (step_of(path.name), path))

    @property
    def model(self) -> Model:
        """The model as the newest checkpoint has it; see ``gangen.load``."""
        return load(self.folder, code=self.code)

    def resume(self, **overrides: Any) -> "Run":
        """Go on to the end of its recipe, changed by ``overrides`` as in ``train``: more steps, say, or a phase."""
        return train(self.folder / "recipe.yaml", **{"run": str(self.folder)} | overrides)

    def evaluate(self, metrics: Metrics = (), **options: Any) -> Result:
        """As ``gangen.evaluate`` does."""
        return evaluate(self.folder, metrics, **{"code": self.code} | options)

    def publish(self, name: str, **options: Any) -> dict[str, int]:
        """As ``gangen.publish`` does."""
        return publish(self.folder, name, **{"code": self.code} | options)

    def report(self) -> Path:
        """Write ``report.html``, a page about it, and return its path."""
        return write_report(RunDirectory(self.folder))


def train(recipe: PathLike[str] | str | Mapping[str, Any], /, **overrides: Any) -> Run:
    """Play a recipe to its end, from the newest checkpoint in its run directory if there is one.

    ``recipe`` is a file, the name of a recipe that is installed, or a dictionary of what such a file says. Overrides
    are settings by key, ``train("image_gan", seed=1, trainer={"batch_size": 32})``, of which a mapping without "use"
    changes what it names and leaves the rest; one inside of others may be named with dots,
    ``**{"players.generator.clip": 1.0}``. Wherever the name of a component belongs, its class may stand.

    Raises:
        RecipeError: everything that is wrong with it.
        UsageError: there is no such recipe.
        RunError: it cannot be played there, or was stopped, as by Ctrl-C; the same call then goes on.
        DataError: the data cannot be read.
    """
    loaded, registry = read(recipe, overrides)
    for remark in loaded.remarks:
        say(f"gangen: {remark}", sys.stderr)
    with sharing(loaded):
        training.train(loaded, registry)
    return Run(loaded.run, code=loaded.code)


def evaluate(
    run: PathLike[str] | str,
    metrics: Metrics = (),
    *,
    samples: int | None = None,
    sweep: Mapping[str, Sequence[float]] | None = None,
    code: Sequence[Path | str] = (),
) -> Result:
    """Measure a run that was trained; what is found is written to its ``evaluation.json``, too.

    ``metrics``, one or several, are taken instead of the recipe's, on so many ``samples``: names, classes or mappings
    of ``use`` and options. ``sweep`` are settings of sampling with values, instead of those that metrics name; none if
    empty. ``code`` are files to run, as in ``load``. ``result.figures`` has what was found by name.

    Raises:
        RunError: there is no run, none with a checkpoint, or one that is damaged.
        UsageError: what was asked for is not there, or needs what players or data lack.
    """
    asked = [named(metric) for metric in ([metrics] if isinstance(metrics, str | type | Mapping) else metrics)]
    registry = Registry.discover(code=[Path(path) for path in code])
    trained = Trained(_path(run), Request(asked, samples, sweep), registry)
    with sharing(trained.recipe):
        return trained.evaluate()


def read(recipe: PathLike[str] | str | Mapping[str, Any], overrides: Mapping[str, Any]) -> tuple[Recipe, Registry]:
    """What ``train`` plays, and where its components are. Raises RecipeError as it does."""
    registry = Registry.discover()
    if isinstance(recipe, Mapping):
        given: Any = named(recipe)
    elif isinstance(recipe, str | PathLike):
        given = recipe_file(str(recipe), registry)
    else:
        raise UsageError(f"a recipe is a file, the name of one that is installed, or a dictionary, got {recipe!r:.60}")
    return load_recipe(given, dict(_changes(named(overrides))), registry), registry


def named(value: Any) -> Any:
    """A recipe's values, in which classes are the names by which recipes may call them."""
    match value:
        case Mapping():
            return {key: named(item) for key, item in value.items()}
        case list() | tuple():
            return [named(item) for item in value]
    return f"local/{component(value).__name__}" if isinstance(value, type | FunctionType) else value


def _path(run: PathLike[str] | str) -> Path:
    try:
        return Path(run)
    except TypeError:
        raise UsageError(f"a run is the path of its folder, got {run!r:.60}") from None


def _changes(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """What overrides change, by keys with dots."""
    if path and (not isinstance(value, Mapping) or not value or "use" in value):
        yield path, value
        return
    for key, item in value.items():
        yield from _changes(item, f"{path}.{key}" if path else str(key))


def _numbers(row: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, entry in row.items():
        if isinstance(entry, Figure):
            yield name, entry.value
            if entry.real is not None:
                yield f"{name}_real", entry.real
        else:
            yield name, entry
