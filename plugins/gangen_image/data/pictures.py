"""Rows with images into tensors: decoded on several threads, damaged ones left out and named."""

import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from gangen import DataError, Rows, numbered
from gangen_image.data.pixels import Cell, Fit, open_image, to_pixels

log = logging.getLogger(__name__)

AUTO = "auto"
THREADS = 8
FAULTS_SHOWN = 3


class Pictures(NamedTuple):
    """Images, each uint8 ``[channels, size, size]``, with the label of each where they are labelled.

    ``classes`` are all labels in order, where the data set names them; ``faults`` say what was damaged, and how.
    """

    images: list[Tensor]
    labels: list[str] | None
    classes: tuple[str, ...] | None
    faults: list[str]

    def names(self) -> tuple[str, ...]:
        """The labels in order; none where the images are not labelled."""
        if self.labels is None:
            return ()
        return self.classes or tuple(sorted(set(self.labels), key=_in_order))

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
    max_unreadable: float = 0.0

    readers = dict.fromkeys(Image.registered_extensions(), ("imagefolder", {})) | {".parquet": ("parquet", {})}
    wanted = "image and no parquet file"
    hints: ClassVar[Mapping[str, str]] = {"label": "; sub-folders of images are labels, if no image is outside"}

    def read(self, count: float = float("inf"), **order: Any) -> Pictures:
        """All images, or about ``count`` from the start; those left out are counted in the log. ``order`` goes to
        ``Rows.chunks``.

        Raises:
            DataError: no images, or more than the share ``max_unreadable`` of them are damaged.
        """
        whole = Pictures([], [], None, [])
        for some in self.stream(**order):
            whole.images.extend(some.images)
            whole.faults.extend(some.faults)
            whole.labels.extend(some.labels or [])
            whole = whole._replace(classes=some.classes)
            labelled = some.labels is not None
            if len(whole.images) >= count:
                break
        self._judge(whole)
        return whole if labelled else whole._replace(labels=None)

    def stream(self, **order: Any) -> Iterator[Pictures]:
        """Some images at a time; ``order`` goes to ``Rows.chunks``."""
        row = 0
        with ThreadPoolExecutor(min(THREADS, os.cpu_count() or 1)) as threads:
            for chunk in self.chunks(**order):
                column, *label = chunk.columns
                cells = chunk.columns[column]
                made = list(threads.map(self._decode, cells))
                good = [position for position, image in enumerate(made) if isinstance(image, Tensor)]
                labels = self.labels(chunk, label[0]) if label else None
                yield Pictures(
                    [made[position] for position in good],
                    labels and [labels[position] for position in good],
                    chunk.classes.get(label[0]) if label else None,
                    [
                        f"{_name(cell, number)} ({image})"
                        for number, (cell, image) in enumerate(zip(cells, made, strict=True), row)
                        if isinstance(image, str)
                    ],
                )
                row += len(made)

    def columns(self, features: Mapping[str, Any]) -> Sequence[str]:
        image = self._only_images(features) if self.image_column == AUTO else self.image_column
        if image in features and not _holds_images(features[image]):
            raise DataError(f"{self.path}: column {image!r} holds no images")
        label = self._only_classes(features) if self.label_column == AUTO else self.label_column
        return [image] if label is None else [image, label]

    def _only_images(self, features: Mapping[str, Any]) -> str:
        found = [name for name, feature in features.items() if _holds_images(feature, certainly=True)]
        if not found:
            raise DataError(f"{self.path} has no column of images\nit has: {', '.join(features)}")
        return self._one(found, "images", "image_column")

    def _only_classes(self, features: Mapping[str, Any]) -> str | None:
        from datasets import ClassLabel, Value

        found = [name for name, feature in features.items() if isinstance(feature, ClassLabel)]
        if not found or "label" in found:
            return "label" if isinstance(features.get("label"), ClassLabel | Value) else None
        return self._one(found, "labels", "label_column")

    def _one(self, found: Sequence[str], what: str, option: str) -> str:
        if len(found) > 1:
            raise DataError(f"{self.path} has several columns of {what}: {', '.join(found)}\nname one with {option}")
        return found[0]

    def _decode(self, cell: Cell) -> Tensor | str:
        """The image, or why there is none."""
        try:
            return to_pixels(open_image(cell), self.channels, self.size, self.fit)
        except UnidentifiedImageError:
            return "no image"
        except Exception as error:  # Pillow's decoders raise whatever a damaged file leads them to
            return str(error) or type(error).__name__

    def _judge(self, found: Pictures) -> None:
        bad, total = len(found.faults), len(found.faults) + len(found.images)
        if not total:
            raise DataError(f"{self.path} has no images")
        if not bad:
            return
        shown = ", ".join(found.faults[:FAULTS_SHOWN]) + (", ..." if bad > FAULTS_SHOWN else "")
        told = f"{self.path}: {bad} of {total} images cannot be read: {shown}"
        if not found.images or bad > self.max_unreadable * total:
            raise DataError(f"{told}\nmend or remove them, or raise the data's max_unreadable ({self.max_unreadable})")
        log.warning("%s; left out", told)


def _holds_images(feature: Any, *, certainly: bool = False) -> bool:
    """Whether a column can be read as images; ``certainly``, where plain bytes might be something else."""
    from datasets import Image as ImageFeature
    from datasets import Value

    if isinstance(feature, ImageFeature) or (isinstance(feature, dict) and set(feature) == {"bytes", "path"}):
        return True
    return not certainly and isinstance(feature, Value) and feature.dtype in ("binary", "large_binary")


def _name(cell: Cell, row: int) -> str:
    """What to call an image that cannot be read: its file with the folder, or its row."""
    path = isinstance(cell, dict) and cell["path"]
    return "/".join(Path(path).parts[-2:]) if path else f"row {row}"


def _in_order(label: str) -> tuple[bool, int, str]:
    """Numbers as numbers before names as names: "9", "10", "cat"."""
    return (False, int(label), label) if label.isdecimal() else (True, 0, label)
