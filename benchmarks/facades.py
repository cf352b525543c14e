"""Does the adversary help? Facades of their label maps, 64 x 64, with recipes/pix2pix.yaml and with L1 alone.

    GANGEN_DATA=FOLDER python benchmarks/facades.py [SEEDS] [OVERRIDE ...]

FOLDER/facades128 holds train.parquet and val.parquet with columns "photo" and "labels", the CMP Facades (Tylecek and
Sara, 2013) as Isola et al. (2017) split them: 400 pairs to train on, 100 held out. Both play as many steps. Prints a
table in Markdown, of seeds 0 to SEEDS - 1 (1); sheets are in runs/facades.
"""

import os
import statistics
import sys
from pathlib import Path

from gangen.components.registry import Registry
from gangen.recipe.load import load_recipe
from gangen.run_directory import RunDirectory
from gangen.training.run import train

RECIPE = Path(__file__).parents[1] / "recipes/pix2pix.yaml"
OPTIONS = [
    "data.input=labels",
    "data.heldout=val",
    "players.generator.width=32",
    "players.generator.max_width=256",
    "players.discriminator.width=32",
    "phases.adversarial.steps=2000",
    "trainer.batch_size=4",
    "trainer.threads=1",
]
TURNS = {"adversarial": "{discriminate: 1, generate: 1}", "L1 alone": "{regress: 1}"}
FIGURES = ("frechet_rotations", "l1", "psnr", "ssim")


def figures(seed: int, name: str, overrides: list[str]) -> dict[str, float]:
    """The last figures of a run."""
    registry, run = Registry.discover(), Path("runs/facades") / f"{name.replace(' ', '_')}-{seed}"
    turns = f"phases.adversarial.turns={TURNS[name]}"
    train(load_recipe(RECIPE, [*OPTIONS, *overrides, turns, f"seed={seed}", f"run={run}"], registry), registry)
    rows = [row for row in RunDirectory(run).read_metrics() if FIGURES[0] in row]
    return {figure: rows[-1][figure].value for figure in FIGURES}


def main(seeds: int, overrides: list[str]) -> None:
    lines = [f"| | {' | '.join(FIGURES)} |", f"|---|{'---|' * len(FIGURES)}"]
    for name in TURNS:
        found = [figures(seed, name, overrides) for seed in range(seeds)]
        cells = [[row[figure] for row in found] for figure in FIGURES]
        spread = [f" ± {statistics.stdev(cell):.3f}" if seeds > 1 else "" for cell in cells]
        shown = (f"{statistics.mean(cell):.3f}{more}" for cell, more in zip(cells, spread, strict=True))
        lines.append(f"| {name} | {' | '.join(shown)} |")
    print("\n".join(lines))


if __name__ == "__main__":
    if "GANGEN_DATA" not in os.environ:
        sys.exit(__doc__)
    settings = [f"data.path={os.environ['GANGEN_DATA']}/facades128", *sys.argv[2:]]
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1, settings)
