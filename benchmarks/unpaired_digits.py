"""CycleGAN between the digits of USPS and those of MNIST, with the networks and the game of recipes/cyclegan.yaml.

    GANGEN_DATA=FOLDER python benchmarks/unpaired_digits.py [OVERRIDE ...]

FOLDER has mnist/ with the four IDX files (.gz) and usps/usps16.npz. Digits of USPS, 16 x 16, are put in the middle of
28 x 28 pixels, the size of those of MNIST, which are the inputs. Discriminators see patches of 16 pixels rather than
34, so that what a whole digit looks like is not for them to say. What label_kept says of both directions is told in the
end, and the run stays in runs/unpaired_digits.
"""

import os
import sys
from pathlib import Path

from gangen import cli

SIDES = {
    "image": {
        "images": "usps/usps16.npz:train_images",
        "labels": "usps/usps16.npz:train_labels",
        "heldout_images": "usps/usps16.npz:test_images",
        "heldout_labels": "usps/usps16.npz:test_labels",
    },
    "input": {
        "images": "mnist/train-images-idx3-ubyte.gz",
        "labels": "mnist/train-labels-idx1-ubyte.gz",
        "heldout_images": "mnist/t10k-images-idx3-ubyte.gz",
        "heldout_labels": "mnist/t10k-labels-idx1-ubyte.gz",
    },
}


def main(overrides: list[str]) -> int:
    if "GANGEN_DATA" not in os.environ:
        sys.exit("GANGEN_DATA does not name a folder of data sets")
    root = Path(os.environ["GANGEN_DATA"])
    data = []
    for side, files in SIDES.items():
        options = {"use": "image/arrays", "size": 28} | {name: str(root / file) for name, file in files.items()}
        data.append(f"data.{side}={options}")
    recipe = Path(__file__).parent.parent / "recipes/cyclegan.yaml"
    own = ["run=runs/unpaired_digits", "phases.adversarial.steps=600"]
    own += [f"players.discriminator_{side}.layers=1" for side in SIDES]
    return cli.main([str(recipe), *own, *data, *overrides])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
