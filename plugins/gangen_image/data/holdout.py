"""Hold images out: of each label alike, and no copy of one is trained on."""

import hashlib
from collections import Counter
from collections.abc import Mapping

import torch
from torch import Tensor

from gangen import Account, DataError, held_out


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


def tell_copies(train: Mapping[str, Tensor], held: Mapping[str, Tensor], account: Account) -> None:
    """Warn of images that are held out and yet trained on as well, and of those that have several labels.

    Both sides are as ``hold_out`` takes them. Copies are those that are alike once they are made into one size.
    """
    trained, others = ([key_of(image) for image in side["image"]] for side in (train, held))
    known = set(trained)
    if copies := sum(key in known for key in others):
        account.warnings.append(
            f"{account.source}: {copies:,} of {len(others):,} held-out images are trained on as well, as copies; "
            "take them out of one side, or figures reward learning them by heart"
        )
    if "label" in train:
        pairs = zip(trained + others, [*train["label"].tolist(), *held["label"].tolist()], strict=True)
        labels = Counter(key for key, _ in set(pairs))
        if several := sum(count > 1 for count in labels.values()):
            which = "an image has" if several == 1 else f"{several:,} images have"
            account.warnings.append(f"{account.source}: {which} copies with other labels")


def key_of(image: Tensor) -> bytes:
    """What copies of an image have in common, and no others: a digest of its uint8 numbers."""
    return hashlib.blake2b(image.numpy(), digest_size=16).digest()
