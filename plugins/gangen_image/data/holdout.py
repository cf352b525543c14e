"""Hold images out: of each label alike, and no copy of one is trained on."""

import hashlib
from collections.abc import Mapping

import torch
from torch import Tensor

from gangen import DataError, held_out


def hold_out(
    columns: Mapping[str, Tensor], share: float, seed: int, name: str
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """(train, held out): ``share`` of the rows of each label, by ``seed``, and every copy of an image among them.

    ``columns`` has "image" uint8 ``[n, channels, size, size]`` and, where it is labelled, "label" int64 ``[n]``. Each
    label keeps an image to train on.

    Raises:
        DataError: the images are too few, or too much alike, to hold any out.
    """
    images, labels = columns["image"], columns.get("label", torch.zeros(len(columns["image"])))
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(seed))
    chosen: list[int] = []
    for label in labels.unique():
        rows = order[labels[order] == label]
        chosen += rows[: min(max(round(share * len(rows)), 1), len(rows) - 1)].tolist()
    keys = [key_of(image) for image in images]
    held = torch.tensor(held_out(keys, labels.tolist(), [keys[row] for row in chosen]))
    if not held.any():
        raise DataError(
            f"{name}: too few different images to hold out a share of {share}; add images, or lower heldout"
        )
    return tuple({key: column[kept] for key, column in columns.items()} for kept in (~held, held))


def key_of(image: Tensor) -> bytes:
    """What copies of an image have in common, and no others: a digest of its uint8 numbers."""
    return hashlib.blake2b(image.numpy(), digest_size=16).digest()
