"""A recipe in miniature: everything that happens in a run happens once, in a folder that is thrown away."""

from pathlib import Path
from tempfile import TemporaryDirectory

from gangen import saved_model
from gangen.components.registry import Registry
from gangen.contracts import Data
from gangen.errors import PluginError
from gangen.failures import during
from gangen.model import Model
from gangen.recipe.sections import Every, Recipe
from gangen.run_directory import RunDirectory
from gangen.training.callbacks.sheets import sheet_of
from gangen.training.run import play


def rehearse(recipe: Recipe, registry: Registry, steps: int = 1) -> Model:
    """Play every phase for some steps, with sheets and evaluations; save, load, and sample twice by one seed.

    What is found is printed as it is in a run. What goes wrong is raised, also where a run goes on with a warning.
    Returns the model that was loaded.
    """
    with TemporaryDirectory() as folder:
        run = RunDirectory(folder)
        small = recipe.model_copy(
            update={
                "run": folder,
                "phases": {name: phase.model_copy(update={"steps": steps}) for name, phase in recipe.phases.items()},
                "every": Every(log=1, sample=1, evaluate=1 if recipe.metrics else 0, checkpoint=1),
                "trainer": recipe.trainer.model_copy(update={"trackers": [], "non_finite": "stop"}),
            }
        )
        play(small, registry, run, rehearsal=True)
        trainer = play(small, registry, run, rehearsal=True)  # finds itself finished, from its checkpoint
        trained = saved_model.load(folder, registry=registry)
        _sample_twice(trained, trainer.data, Path(folder))
    return trained


def _sample_twice(trained: Model, data: Data, folder: Path) -> None:
    """Raises PluginError where a seed does not make samples what they are, going by the files that the codec writes."""
    written = []
    with during("sampling from the model that was saved"):
        for number in range(2):
            row, *_ = sheet_of(data, trained.sampler, trained.networks.values(), 0, trained.device)
            path = folder / f"{number}{getattr(trained.codec, 'suffix', '.txt')}"
            trained.codec.write(list(row.samples), path)
            written.append(path.read_bytes())
    if written[0] != written[1]:
        raise PluginError(
            f"{trained.name}: two draws by one seed differ; take what is random from gangen.noise, or from torch's own "
            "generators, and from nowhere else"
        )
