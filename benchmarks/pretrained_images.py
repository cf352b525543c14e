"""What helps where photos are few? Augmentations, and a pretrained network as discriminator, at equal CPU time.

    GANGEN_DATA=FOLDER python benchmarks/pretrained_images.py DATA SECONDS SEEDS KINDS [CODE OPTIONS]

DATA is "cifar10", 4,000 photos of ten kinds of things at 32 x 32 (FOLDER/cifar10/cifar10_lossless_4k_1k.npz), or
"facades", 400 photos of houses at 64 x 64 (FOLDER/facades128/train.parquet). KINDS are some of none, diffaugment and
adaptive, the augmentations that a discriminator from scratch sees through, and pretrained and pretrained_diffaugment:
image/features. OPTIONS are those of image/features, as in '{network: "effnet:lite0", weights: lite0.safetensors,
layers: [_blocks.0, _blocks.2], pixel_width: 32}', and CODE the file with its network, see docs/images.md. All else is
the same: recipes/image_gan.yaml, a DCGAN with hinge loss and spectral norm, with mirror images.

Of each a step is timed, in CPU seconds on one thread, and as many are played as take SECONDS. Prints the Frechet
distance after each third of that, in the features of a classifier of labels, or of quarter turns, with the statistics
of batch norm as they were, in brackets, and as the turn ``settle`` makes them; and more figures at the end; of seeds 0
to SEEDS - 1.
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
RATE, BETAS = 5e-4, [0, 0.99]
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
# With the size of batches, with what figures see, and how Frechet distances are taken.
DATA = {
    "cifar10": (CIFAR10, 64, "image/classifier", {}),
    "facades": (FACADES, 16, "image/rotations", {"against": "training", "samples": 400}),
}
SCRATCH = {"use": "image/dcgan", "width": 32, "norm": "none", "spectral_norm": True}
# Heads that learn no faster than the generator tell little apart.
PRETRAINED = {"use": "image/features", "width": 32, "optimizer": {"lr": 2 * RATE, "betas": BETAS}}
AUGMENTATIONS = {
    "none": None,
    "diffaugment": "image/diffaugment",
    "adaptive": {"use": "image/adaptive", "samples": 50_000},
    "pretrained": None,
    "pretrained_diffaugment": "image/diffaugment",
}
# But at the end of a phase.
NEVER = 10**6
FIGURES = ("frechet_classifier", "frechet_rotations")
# At the end alone: in pixels a comparison takes as long as many steps.
PIXELS = {"use": "kid", "extractor": "image/identity"}


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


def main(name: str, seconds: float, seeds: int, kinds: list[str], code: list[str], options: dict[str, Any]) -> None:
    data, batch, extractor, compared = DATA[name]
    common = {
        "data": {key: _placed(it) for key, it in data.items()},
        "code": code,
        "metrics": [{"use": "frechet", "extractor": extractor, **compared}],
        "players.generator.optimizer": {"lr": RATE, "betas": BETAS},
        "players.generator.condition": None,
    }
    last = [{"use": "memorised", "extractor": extractor}, PIXELS]
    settings = {}
    for kind in kinds:
        player = PRETRAINED | options if kind.startswith("pretrained") else SCRATCH
        setting = common | {
            "objective.augmentation": AUGMENTATIONS[kind],
            "players.discriminator": {"optimizer": {"lr": RATE, "betas": BETAS}, **player},
            "trainer": {"threads": 1, "batch_size": batch},
        }
        with tempfile.TemporaryDirectory() as folder:
            play(Path(folder) / "run", 1, TIMED, **setting | {"metrics": []})
        settings[kind] = setting, max(1, int(seconds / PARTS / Timed.step()))
    for seed in range(seeds):
        for kind, (setting, steps) in settings.items():
            run = play(Path(f"runs/{name}-{kind}-{seed}"), PARTS, steps, seed=seed, **setting)
            step = Timed.step()
            found = [it for row in run.metrics for key, it in row.items() if key in FIGURES]
            pairs = enumerate(zip(found[1::2], found[::2], strict=True), 1)
            cells = [f"{steps * step * part:.0f} s: {it:.1f} ({before:.1f})" for part, (it, before) in pairs]
            cells += [f"{key} {it.value:.3f}" for key, it in run.evaluate(last).figures.items()]
            print(f"{kind}, {1000 * step:.0f} ms a step, seed {seed}: {', '.join(cells)}", flush=True)


def _placed(option: Any) -> Any:
    return option.format(os.environ["GANGEN_DATA"]) if isinstance(option, str) else option


if __name__ == "__main__":
    if "GANGEN_DATA" not in os.environ or len(sys.argv) not in (5, 7):
        sys.exit(__doc__)
    name, seconds, seeds, given, *pretrained = sys.argv[1:]
    kinds = given.split(",")
    frozen = any(kind.startswith("pretrained") for kind in kinds)
    if name not in DATA or not AUGMENTATIONS.keys() >= set(kinds) or frozen != bool(pretrained):
        sys.exit(__doc__)
    code, options = ([pretrained[0]], yaml.safe_load(pretrained[1])) if pretrained else ([], {})
    main(name, float(seconds), int(seeds), kinds, code, options)
