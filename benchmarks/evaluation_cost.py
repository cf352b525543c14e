"""How much of a run goes into its evaluations.

    python benchmarks/evaluation_cost.py recipes/gumbel.yaml [OVERRIDE ...]

Plays the recipe to its end in a folder of its own, on one thread, and takes the CPU seconds of each evaluation out of
those of the whole run. The first evaluation also fits extractors and looks at real data; later ones do not.
"""

import sys
import tempfile
import time
from pathlib import Path

from gangen.components.registry import Registry
from gangen.recipe.load import load_recipe
from gangen.training.callbacks.evaluations import Evaluations
from gangen.training.run import train


def main(recipe: str, overrides: list[str]) -> None:
    evaluations: list[float] = []
    take = Evaluations.after_step

    def timed(self: Evaluations, trainer: object) -> None:
        start, known = time.process_time(), self.run.metrics.stat().st_size if self.run.metrics.exists() else 0
        take(self, trainer)
        if self.run.metrics.exists() and self.run.metrics.stat().st_size > known:
            evaluations.append(time.process_time() - start)

    Evaluations.after_step = timed
    registry = Registry.discover()
    with tempfile.TemporaryDirectory() as folder:
        settings = ["trainer.threads=1", *overrides, f"run={folder}/run"]
        start = time.process_time()
        train(load_recipe(Path(recipe), settings, registry), registry)
        whole = time.process_time() - start
    each = ", ".join(f"{seconds:.2f}" for seconds in evaluations)
    print(f"whole run {whole:.1f} CPU s; evaluations {each}: {sum(evaluations) / whole:.1%} of it")


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    main(sys.argv[1], sys.argv[2:])
