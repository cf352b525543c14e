"""Rows with images into tensors: decoded on several threads, damaged ones left out and named."""

import logging
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from PIL import UnidentifiedImageError
from torch import Tensor

from gangen import DataError
from gangen_image.data.files import Source
from gangen_image.data.pixels import Fit, open_image, to_pixels

log = logging.getLogger(__name__)

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
        number = {name: position for position, name in enumerate(names)}
        strangers = sorted(set(self.labels) - set(number))
        if strangers:
            raise DataError(
                f"{where}: label {strangers[0]!r} does not occur in the images that the labels were taken from"
            )
        return columns | {"label": torch.tensor([number[label] for label in self.labels])}


@dataclass(frozen=True)
class Reader:
    """A source, what its images are made into, and the share of them that may be damaged."""

    source: Source
    channels: int
    size: int
    fit: Fit
    max_unreadable: float

    def read(self, count: float = float("inf"), **order: Any) -> Pictures:
        """All images, or about ``count`` from the start; those left out are counted in the log. ``order`` goes to
        ``Source.rows``.

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
        """Some images at a time; ``order`` goes to ``Source.rows``."""
        row = 0
        with ThreadPoolExecutor(min(THREADS, os.cpu_count() or 1)) as threads:
            for rows in self.source.rows(**order):
                made = list(threads.map(self._decode, rows.cells))
                names = [_name(cell, row + position) for position, cell in enumerate(rows.cells)]
                row += len(made)
                good = [position for position, image in enumerate(made) if isinstance(image, Tensor)]
                yield Pictures(
                    [made[position] for position in good],
                    None if rows.labels is None else [rows.labels[position] for position in good],
                    rows.classes,
                    [f"{name} ({image})" for name, image in zip(names, made, strict=True) if isinstance(image, str)],
                )

    def _decode(self, cell: dict[str, Any] | None) -> Tensor | str:
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
            raise DataError(f"{self.source.path} has no images")
        if not bad:
            return
        shown = ", ".join(found.faults[:FAULTS_SHOWN]) + (", ..." if bad > FAULTS_SHOWN else "")
        told = f"{self.source.path}: {bad} of {total} images cannot be read: {shown}"
        if not found.images or bad > self.max_unreadable * total:
            raise DataError(f"{told}\nmend or remove them, or raise the data's max_unreadable ({self.max_unreadable})")
        log.warning("%s; left out", told)


def _name(cell: dict[str, Any] | None, row: int) -> str:
    """What to call an image that cannot be read: its file with the folder, or its row."""
    path = cell and cell["path"]
    return "/".join(Path(path).parts[-2:]) if path else f"row {row}"


def _in_order(label: str) -> tuple[bool, int, str]:
    """Numbers as numbers before names as names: "9", "10", "cat"."""
    return (False, int(label), label) if label.isdecimal() else (True, 0, label)
