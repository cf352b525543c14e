"""Hold images out: of each label alike, and no copy of one is trained on."""

from collections.abc import Mapping

import torch
from torch import Tensor

from gangen import DataError, TensorSplit


def hold_out(columns: Mapping[str, Tensor], share: float, seed: int, name: str) -> tuple[TensorSplit, TensorSplit]:
    """(train, held out): ``share`` of the rows of each label, by ``seed``, and every copy of an image among them.

    ``columns`` has "image" uint8 ``[n, channels, size, size]`` and, where it is labelled, "label" int64 ``[n]``.

    Raises:
        DataError: the images are too few, or too much alike, to hold any out.
    """
    images, labels = columns["image"], columns.get("label", torch.zeros(len(columns["image"])))
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(seed))
    chosen = []
    for label in labels.unique():
        rows = order[labels[order] == label]
        chosen.append(rows[: min(max(round(share * len(rows)), 1), len(rows) - 1)])
    seen = {image.tobytes() for image in images[torch.cat(chosen)].numpy()}
    held = torch.tensor([image.tobytes() in seen for image in images.numpy()])
    if held.all() or not held.any():
        raise DataError(
            f"{name}: too few different images to hold out a share of {share}; add images, or lower heldout"
        )
    return tuple(TensorSplit(**{key: column[kept] for key, column in columns.items()}) for kept in (~held, held))
