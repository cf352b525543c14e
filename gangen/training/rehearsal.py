"""A recipe in miniature: everything that happens in a run happens once, in a folder that is thrown away."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from gangen import model
from gangen.components.registry import Registry
from gangen.errors import PluginError
from gangen.failures import during
from gangen.recipe.sections import Every, Recipe
from gangen.run_directory import RunDirectory
from gangen.training.assemble import play

_SAMPLES = 4


def rehearse(recipe: Recipe, registry: Registry) -> list[str]:
    """Play every phase for one step, with sheet and evaluation; save, load, and sample twice by one seed.

    Returns what was found, a line each. What goes wrong is raised, also where training would go on with a warning.
    """
    with TemporaryDirectory() as folder:
        run = RunDirectory(folder)
        small = recipe.model_copy(
            update={
                "run": folder,
                "phases": {name: phase.model_copy(update={"steps": 1}) for name, phase in recipe.phases.items()},
                "every": Every(log=1, sample=1, evaluate=1 if recipe.metrics else 0, checkpoint=1),
                "trainer": recipe.trainer.model_copy(update={"trackers": []}),
            }
        )
        play(small, registry, run, [], rehearsal=True)
        play(small, registry, run, [], rehearsal=True)  # finds itself finished, from its checkpoint
        _sample_twice(model.load(folder, registry=registry), Path(folder))
        lines = [line for row in run.read_metrics() for line in _lines(row)]
        sheets = ", ".join(sorted(path.name for path in run.samples.iterdir()))
        return [*lines, f"sheets: {sheets}", "saved, loaded, and sampled twice alike: every turn can be played"]


def _sample_twice(trained: model.Model, folder: Path) -> None:
    """Raises PluginError where a seed does not make samples what they are, going by the files that the codec writes."""
    with during("sampling from the model that was saved"):
        prompt, written = next(iter(trained.codec.prompts()), "") or None, []
        for number in range(2):
            path = folder / f"{number}{getattr(trained.codec, 'suffix', '.txt')}"
            trained.codec.write(trained.sample(prompt, _SAMPLES, seed=0), path)
            written.append(path.read_bytes())
    if written[0] != written[1]:
        raise PluginError(
            f"{trained.name}: two draws by one seed differ; take what is random from gangen.noise, or from torch's own "
            "generators, and from nowhere else"
        )


def _lines(row: Mapping[str, Any]) -> Iterator[str]:
    """A row of metrics.jsonl in words: figures of each turn, or of all metrics."""
    if "warning" in row:
        yield f"warning: {row['warning']}"
        return
    figures: dict[str, list[str]] = {}
    for name, value in row.items():
        turn, _, figure = name.rpartition("/")
        if "/" not in turn and name not in ("step", "phase"):
            figures.setdefault(turn, []).append(f"{figure} {value:.4g}" if turn else f"{figure} {value}")
    for turn, words in figures.items():
        yield f"phase {row['phase']}, {f'turn {turn}' if turn else 'evaluation'}: {', '.join(words)}"
