"""Rows with images into tensors: decoded on several threads, damaged ones left out and named."""

import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from gangen import Account, DataError, Rows, few, in_order, listed, numbered
from gangen_image.data.pixels import MAX_PIXELS, Cell, Fit, Range, open_image, to_pixels

AUTO = "auto"
THREADS = 8
READABLE = [suffix for suffix, name in Image.registered_extensions().items() if name in Image.OPEN]
# Pictures that Pillow does not read by itself: they count, so that their loss is noticed.
OTHERS = {
    *(".heic", ".heif", ".jxl", ".svg", ".xcf", ".raw", ".dng"),
    *(".cr2", ".cr3", ".nef", ".arw", ".orf", ".raf", ".rw2"),
}


class Pictures(NamedTuple):
    """Images, each uint8 ``[channels, size, size]``, with the label of each where they are labelled.

    ``classes`` are all labels in order, where the data set names them; ``faults`` say what is damaged, and how;
    ``sizes`` are the width and height that each had, and ``places`` where it stands. Labels are read in ``column``.
    """

    images: list[Tensor]
    labels: list[str] | None
    classes: tuple[str, ...] | None
    faults: list[str]
    sizes: list[tuple[int, int]]
    places: list[str]
    column: str | None

    def names(self) -> tuple[str, ...]:
        """The labels in order; none where the images are not labelled."""
        if self.labels is None:
            return ()
        return self.classes or tuple(in_order(self.labels))

    def columns(self, names: Sequence[str], where: str) -> dict[str, Tensor]:
        """Tensors "image" uint8 ``[n, channels, size, size]`` and, where there are ``names``, "label" int64 ``[n]``.

        Raises:
            DataError: labels are missing, or one is not in ``names``.
        """
        columns = {"image": torch.stack(self.images)}
        if not names:
            return columns
        if self.labels is None:
            raise DataError(f"{where}: these images have no labels, unlike those that the labels were taken from")
        return columns | {"label": numbered(self.labels, names, where)}


@dataclass(frozen=True)
class PictureRows(Rows):
    """Rows with an image and perhaps a label, what the images are made into, and the share of them that may be damaged.

    ``image_column: auto`` is the only column of images, ``label_column: auto`` the only one of classes or the one
    called "label".
    """

    image_column: str = AUTO
    label_column: str | None = AUTO
    channels: int = 3
    size: int = 64
    fit: Fit = "crop"
    pixel_range: Range | None = None
    max_unreadable: float = 0.0
    max_pixels: int = MAX_PIXELS

    readers = dict.fromkeys([*READABLE, *OTHERS], "image") | {".parquet": "parquet"}
    wanted = "image and no parquet file"

    @property
    def classes(self) -> bool:
        return self.label_column in (AUTO, "label")

    def read(self, account: Account, count: float = float("inf"), **order: Any) -> Pictures:
        """All images, or about ``count`` from the start. ``order`` goes to ``Rows.chunks``.

        Raises:
            DataError: no images, more than the share ``max_unreadable`` of them are damaged, or some have no label.
        """
        whole = Pictures([], [], None, [], [], [], None)
        unlabelled: list[str] = []
        for some in self.stream(account, unlabelled, **order):
            whole.images.extend(some.images)
            whole.faults.extend(some.faults)
            whole.sizes.extend(some.sizes)
            whole.places.extend(some.places)
            whole.labels.extend(some.labels or [])
            whole = whole._replace(classes=some.classes, column=some.column)
            labelled = some.labels is not None
            if len(whole.images) >= count:
                account.notes.append(f"the first {len(whole.images):,} of a stream, which may hold more")
                break
        self.refuse(unlabelled, whole.column or "")
        self._judge(whole, account)
        return whole if labelled else whole._replace(labels=None)

    def stream(
        self, account: Account | None = None, unlabelled: list[str] | None = None, **order: Any
    ) -> Iterator[Pictures]:
        """Some images at a time; the arguments go to ``Rows.chunks`` and ``Rows.labels``."""
        with ThreadPoolExecutor(min(THREADS, os.cpu_count() or 1)) as threads:
            for chunk in self.chunks(account, **order):
                column, *label = chunk.columns
                made = list(threads.map(self.decode, chunk.columns[column]))
                good = [row for row, image in enumerate(made) if not isinstance(image, str)]
                labels = self.labels(chunk, label[0], unlabelled) if label else None
                yield Pictures(
                    [made[row][0] for row in good],
                    labels and [labels[row] for row in good],
                    chunk.classes.get(label[0]) if label else None,
                    [f"{chunk.place(row)} ({image})" for row, image in enumerate(made) if isinstance(image, str)],
                    [made[row][1] for row in good],
                    [chunk.place(row) for row in good],
                    label[0] if label else None,
                )

    def columns(self, features: Mapping[str, Any]) -> Sequence[str]:
        image = self._only_images(features) if self.image_column == AUTO else self.image_column
        if image in features and not holds_images(features[image]):
            raise DataError(f"{self.path}: column {image!r} holds no images")
        label = self._only_classes(features) if self.label_column == AUTO else self.label_column
        return [image] if label is None else [image, label]

    def _only_images(self, features: Mapping[str, Any]) -> str:
        found = [name for name, feature in features.items() if holds_images(feature, certainly=True)]
        if not found:
            raise DataError(f"{self.path} has no column of images\nit has: {listed(features)}")
        return self._one(found, "images", "image_column")

    def _only_classes(self, features: Mapping[str, Any]) -> str | None:
        from datasets import ClassLabel

        found = [name for name, feature in features.items() if isinstance(feature, ClassLabel)]
        if not found or "label" in found:
            return "label" if "label" in features else None
        return self._one(found, "labels", "label_column")

    def _one(self, found: Sequence[str], what: str, option: str) -> str:
        if len(found) > 1:
            raise DataError(f"{self.path} has several columns of {what}: {listed(found)}\nname one with {option}")
        return found[0]

    def decode(self, cell: Cell) -> tuple[Tensor, tuple[int, int]] | str:
        """The image and the size that it had, or why there is none."""
        try:
            with open_image(cell, self.max_pixels) as image:
                return to_pixels(image, self.channels, self.size, self.fit, self.pixel_range), image.size
        except UnidentifiedImageError:
            suffix = Path(cell["path"] or "").suffix.lower() if isinstance(cell, dict) else ""
            return f"Pillow reads no {suffix}" if suffix in OTHERS else "no image"
        except Exception as error:  # Pillow's decoders raise whatever a damaged file leads them to
            return str(error) or type(error).__name__

    def _judge(self, found: Pictures, account: Account) -> None:
        bad, total = len(found.faults), len(found.faults) + len(found.images)
        if not total:
            raise DataError(f"{self.path} has no images")
        account.leave_out("unreadable", found.faults)
        if bad and (not found.images or bad > self.max_unreadable * total):
            raise DataError(
                f"{self.path}: {bad:,} of {total:,} images cannot be read: {few(found.faults)}\n"
                f"mend, convert or remove them, or raise the data's max_unreadable ({self.max_unreadable})"
            )


def holds_images(feature: Any, *, certainly: bool = False) -> bool:
    """Whether a column can be read as images; ``certainly``, where plain bytes might be something else."""
    from datasets import Image as ImageFeature
    from datasets import Value

    if isinstance(feature, ImageFeature) or (isinstance(feature, dict) and set(feature) == {"bytes", "path"}):
        return True
    return not certainly and isinstance(feature, Value) and feature.dtype in ("binary", "large_binary")
