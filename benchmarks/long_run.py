"""Whether a long run stays as it began: memory, time of a step, and what it writes, over a tiny game.

    python benchmarks/long_run.py [STEPS] [OVERRIDE ...]

Plays 10,000 steps, with a row of figures every 10, a checkpoint every 500 and an evaluation every 1,000, on one thread.
Looks at it after every 100 steps, and prints for each tenth of the run the median of the memory of the process and of
CPU milliseconds a step, with all that is done between two steps. Then how much both have changed since the second
tenth, by which all that is loaded late has been, and how large metrics.jsonl has become.
"""

import statistics
import sys
import tempfile
import time
from pathlib import Path

import psutil

from gangen.components.registry import Registry
from gangen.recipe.load import load_recipe
from gangen.training.run import train
from gangen.training.trainer import Trainer

RECIPE = """
data: {use: image/points, size: 1000, heldout_size: 500}
players:
  generator: {use: image/mlp, latent_dim: 2, hidden_dim: 16, ema: 0.99}
  discriminator: {use: image/mlp, hidden_dim: 16}
objective: {use: image/gan, penalties: [r1]}
phases: {adversarial: {steps: STEPS, turns: {discriminate: 1, generate: 1}}}
trainer: {batch_size: 16, threads: 1}
every: {log: 10, sample: 0, evaluate: 1000, checkpoint: 500}
metrics: [{use: image/modes, samples: 500}]
"""


EVERY = 100


def main(steps: int, overrides: list[str]) -> None:
    process, memory, paces = psutil.Process(), [], []
    play, since = Trainer.play_step, time.process_time()

    def looked_at(self: Trainer, phase: object) -> None:
        nonlocal since
        if self.state.total % EVERY == 0 and self.state.total:
            now = time.process_time()
            paces.append(1000 * (now - since) / EVERY)
            since = now
            memory.append(process.memory_info().rss / 2**20)
        play(self, phase)

    Trainer.play_step = looked_at
    registry = Registry.discover()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tiny.yaml"
        path.write_text(RECIPE.replace("STEPS", str(steps)))
        train(load_recipe(path, [f"run={folder}/run", *overrides], registry), registry)
        size = (Path(folder) / "run/metrics.jsonl").stat().st_size
    print(f"{'step':>8}{'MiB':>10}{'ms a step':>12}")
    tenths = [
        [
            statistics.median(figures[len(figures) * tenth // 10 : len(figures) * (tenth + 1) // 10])
            for tenth in range(10)
        ]
        for figures in (memory, paces)
    ]
    for tenth, (taken, pace) in enumerate(zip(*tenths, strict=True), start=1):
        print(f"{steps * tenth // 10:>8,}{taken:>10.1f}{pace:>12.3f}")
    grown, drifted = (figures[-1] / figures[1] - 1 for figures in tenths)
    print(f"memory {grown:+.2%}, a step {drifted:+.1%} since the second tenth")
    print(f"metrics.jsonl {size / 1024:.0f} KiB, {size / steps:.0f} bytes a step")


if __name__ == "__main__":
    given = sys.argv[1:]
    main(int(given.pop(0)) if given and given[0].isdecimal() else 10_000, given)
