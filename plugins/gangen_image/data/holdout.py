"""Hold images out: of each label alike, and no copy of one is trained on."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor

from gangen import Account, DataError, few, held_out


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
    """Warn of images that are held out and yet trained on as well.

    Both sides are as ``hold_out`` takes them. Copies are those that are alike once they are made into one size.
    """
    known = set(map(key_of, train["image"]))
    if copies := sum(key_of(image) in known for image in held["image"]):
        account.warnings.append(
            f"{account.source}: {copies:,} of {len(held['image']):,} held-out images are trained on as well, as "
            "copies; take them out of one side, or figures reward learning them by heart"
        )


def tell_relabelled(sides: Iterable[tuple[Mapping[str, Tensor], Sequence[str]]], account: Account) -> None:
    """Warn of labelled images that have copies with another label, and say where the first are.

    Each of ``sides`` is columns, as ``hold_out`` takes them, with the place of each row.
    """
    first: dict[bytes, tuple[int, str]] = {}
    pairs: dict[bytes, str] = {}
    for columns, places in sides:
        for image, label, place in zip(columns["image"], columns["label"].tolist(), places, strict=True):
            key = key_of(image)
            known, other = first.setdefault(key, (label, place))
            if label != known:
                pairs.setdefault(key, f"{other} and {place}")
    if pairs:
        which = "an image has" if len(pairs) == 1 else f"{len(pairs):,} images have"
        account.warnings.append(f"{account.source}: {which} copies with other labels: {few(list(pairs.values()))}")


def key_of(image: Tensor) -> bytes:
    """What copies of an image have in common, and no others: a digest of its uint8 numbers."""
    return hashlib.blake2b(image.numpy(), digest_size=16).digest()
