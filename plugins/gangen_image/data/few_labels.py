"""Data of which only a few rows are labelled, for semi-supervised games."""

from typing import Annotated, Any

import torch
from annotated_types import Ge
from torch import Tensor

from gangen import DataError, Part, Seed, Split, TensorSplit
from gangen_image.codec import ImageCodec


class FewLabels:
    """The data source ``of`` with ``per_label`` labelled training images of each label, chosen by ``seed``.

    A training batch has "image", without labels, and as many rows again of the few: "labelled_image" uint8
    ``[B, C, S, S]`` and their "label" int64 ``[B]``. Held-out rows keep their labels.

    Raises:
        DataError: the data are streamed, unlabelled, or have fewer images of a label.
    """

    codec_class = ImageCodec

    def __init__(
        self, *, of: Annotated[Any, Part("data")], per_label: Annotated[int, Ge(1)] = 10, seed: Seed = 0
    ) -> None:
        if not hasattr(of.train, "rows") or not {"image", "label"} <= (rows := of.train.rows()).keys():
            raise DataError("image/few_labels needs labelled images that are in memory, neither streamed nor flipped")
        self.accounts = getattr(of, "accounts", [])
        self.codec = of.codec
        self.heldout = of.heldout
        images, labels = rows["image"], rows["label"]
        order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))
        chosen = []
        for number, name in enumerate(of.codec.spec.labels):
            rows = order[labels[order] == number][:per_label]
            if len(rows) < per_label:
                raise DataError(f"label {name!r} has {len(rows)} images; lower per_label ({per_label})")
            chosen.append(rows)
        rows = torch.cat(chosen)
        self.labelled = TensorSplit(labelled_image=images[rows], label=labels[rows])
        self.train = SideBySide(TensorSplit(image=images), self.labelled)


class SideBySide:
    """Batches with the columns of several splits, each of which goes through its own rows."""

    def __init__(self, *splits: Split) -> None:
        self.splits = splits

    def __len__(self) -> int:
        """Rows of the first split."""
        return len(self.splits[0])

    def batch(
        self, counter: int, rows: range, size: int, *, seed: int, device: torch.device | str
    ) -> dict[str, Tensor]:
        """``rows`` of global batch ``counter`` of every split, in one mapping."""
        batch: dict[str, Tensor] = {}
        for split in self.splits:
            batch |= split.batch(counter, rows, size, seed=seed, device=device)
        return batch
