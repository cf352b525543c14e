"""Is a pretrained network worth it as discriminator? One from scratch and image/features, at equal CPU time.

    GANGEN_DATA=FOLDER python benchmarks/pretrained_images.py DATA SECONDS SEEDS CODE OPTIONS

DATA is "cifar10", 4,000 photos of ten kinds of things at 32 x 32 (FOLDER/cifar10/cifar10_lossless_4k_1k.npz), or
"facades", 400 photos of houses at 64 x 64 (FOLDER/facades128/train.parquet). OPTIONS are those of image/features, as in
'{network: "effnet:lite0", weights: lite0.safetensors, layers: [_blocks.0, _blocks.2], size: 64}', and CODE the file
with its network, see docs/images.md. All else is the same: recipes/image_gan.yaml, a DCGAN with hinge loss and spectral
norm, with image/diffaugment and mirror images.

Of each a step is timed, in CPU seconds on one thread, and as many are played as take SECONDS. Prints the Frechet
distance after each third of that, in the features of a classifier of labels, or of quarter turns, with the statistics
of batch norm as they were, in brackets, and as the turn ``settle`` makes them; more figures at the end; and the seconds
after which a run has the distance that the one from scratch ends with; of seeds 0 to SEEDS - 1.
"""

import os
import statistics
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar

import yaml

import gangen
from gangen import Callback

RECIPE = Path(__file__).parents[1] / "recipes/image_gan.yaml"
TIMED, PARTS, SETTLING = 12, 3, 40
OPTIMIZER = {"lr": 5e-4, "betas": [0, 0.99]}
CIFAR10 = {
    "use": "image/arrays",
    "images": "{}/cifar10/cifar10_lossless_4k_1k.npz:train_images",
    "labels": "{}/cifar10/cifar10_lossless_4k_1k.npz:train_labels",
    "heldout_images": "{}/cifar10/cifar10_lossless_4k_1k.npz:test_images",
    "heldout_labels": "{}/cifar10/cifar10_lossless_4k_1k.npz:test_labels",
    "label_names": "{}/cifar10/cifar10_lossless_4k_1k.npz:class_names",
    "flip": True,
}
FACADES = {
    "use": "image/dataset",
    "path": "{}/facades128",
    "image_column": "photo",
    "label_column": None,
    "size": 64,
    "heldout": "val",
    "flip": True,
}
DATA = {
    "cifar10": (CIFAR10, "frechet"),
    "facades": (FACADES, {"use": "frechet", "against": "training", "samples": 400}),
}
# Each with a batch of its own: a step of the second costs more than twice as much.
SCRATCH = {"use": "image/dcgan", "width": 32, "norm": "none", "spectral_norm": True}, 64
PRETRAINED = {"use": "image/features", "width": 32}, 32
# But at the end of a phase.
NEVER = 10**6
# At the end alone: in pixels a comparison takes as long as many steps.
FIGURES = ("frechet_classifier", "frechet_rotations")
LAST = ["memorised", {"use": "kid", "extractor": "image/identity"}]


class Timed(Callback):
    """CPU time after each step."""

    at: ClassVar[list[float]] = []

    def after_step(self, trainer: Any) -> None:
        state = trainer.state
        if state.step and trainer.phases[state.phase].name.startswith("adversarial"):  # 0 where the phase is over
            self.at.append(time.process_time())

    @classmethod
    def step(cls) -> float:
        """Seconds of a step in which somebody learns, the median; begins anew."""
        found = cls.at.copy()
        cls.at.clear()
        return statistics.median(after - before for before, after in pairwise(found))


def play(run: Path, parts: int, steps: int, **overrides: Any) -> gangen.Run:
    """So many parts of as many steps, after each of which statistics are settled; evaluated before and after that."""
    phases: dict[str, Any] = {}
    for part in range(parts):
        # The first has the name of the recipe's own, which it changes; the others follow.
        name = f"adversarial_{part}" if part else "adversarial"
        phases[name] = {"steps": steps, "turns": {"discriminate": 1, "generate": 1}}
        phases[f"settle_{part}"] = {"steps": SETTLING, "turns": {"settle": 1}}
    every = {"log": 50, "sample": 0, "checkpoint": NEVER, "evaluate": NEVER}
    return gangen.train(RECIPE, run=str(run), **overrides | {"phases": phases, "every": every, "callbacks": [Timed]})


def reached(curve: list[tuple[float, float]], goal: float) -> float:
    """Seconds after which a curve of (seconds, distance) is down at ``goal``, along lines between points; or nan."""
    if curve[0][1] <= goal:
        return curve[0][0]
    for (before, above), (after, below) in pairwise(curve):
        if below <= goal:
            return before + (after - before) * (above - goal) / (above - below)
    return float("nan")


def main(name: str, seconds: float, seeds: int, code: str, options: dict[str, Any]) -> None:
    data, metric = DATA[name]
    common = {
        "data": {key: _placed(it) for key, it in data.items()},
        "code": [code],
        "metrics": [metric],
        "objective.augmentation": "image/diffaugment",
        "players.generator.optimizer": OPTIMIZER,
        "players.generator.condition": None,
    }
    kinds = {}
    for kind, (player, batch_size) in {"scratch": SCRATCH, "pretrained": PRETRAINED}.items():
        own = player | options if kind == "pretrained" else player
        trainer = {"threads": 1, "batch_size": batch_size}
        setting = common | {"players.discriminator": {**own, "optimizer": OPTIMIZER}, "trainer": trainer}
        with tempfile.TemporaryDirectory() as folder:
            play(Path(folder) / "run", 1, TIMED, **setting | {"metrics": []})
        kinds[kind] = setting, max(1, int(seconds / PARTS / Timed.step()))
    for seed in range(seeds):
        goal = None
        for kind, (setting, steps) in kinds.items():
            run = play(Path(f"runs/{name}-{kind}-{seed}"), PARTS, steps, seed=seed, **setting)
            step = Timed.step()
            found = [it for row in run.metrics for key, it in row.items() if key in FIGURES]
            curve = [(steps * step * part, it) for part, it in enumerate(found[1::2], 1)]
            goal = curve[-1][1] if goal is None else goal
            cells = [f"{at:.0f} s: {it:.1f} ({before:.1f})" for (at, it), before in zip(curve, found[::2], strict=True)]
            cells += [f"{key} {it.value:.3f}" for key, it in run.evaluate(LAST).figures.items()]
            cells += [f"{reached(curve, goal):.0f} s to {goal:.1f}"]
            print(f"{kind}, {1000 * step:.0f} ms a step, seed {seed}: {', '.join(cells)}", flush=True)


def _placed(option: Any) -> Any:
    return option.format(os.environ["GANGEN_DATA"]) if isinstance(option, str) else option


if __name__ == "__main__":
    if "GANGEN_DATA" not in os.environ or len(sys.argv) != 6:
        sys.exit(__doc__)
    main(sys.argv[1], float(sys.argv[2]), int(sys.argv[3]), sys.argv[4], yaml.safe_load(sys.argv[5]))
