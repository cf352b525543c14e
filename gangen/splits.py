"""Rows of data, handed out in global batches that are a function of (seed, counter)."""

import random
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import chain, islice

import torch
from torch import Tensor

from gangen.contracts import HeldOut
from gangen.errors import DataError

CHUNK = 1000


class TensorSplit:
    """Tensors of equal first dimension, held in memory (or on a device): row i of each belongs together.

    Raises DataError where there are no tensors, no rows, or unequal numbers of rows.
    """

    def __init__(self, **tensors: Tensor) -> None:
        sizes = {name: len(tensor) for name, tensor in tensors.items()}
        if len(set(sizes.values())) > 1:
            raise DataError(f"a split needs the same number of rows in each tensor, not {sizes}")
        if not sizes or not min(sizes.values()):
            raise DataError("a split needs at least one row")
        self._tensors = tensors
        self._size = min(sizes.values())

    def __len__(self) -> int:
        return self._size

    def rows(self, rows: range | None = None, device: torch.device | str = "cpu") -> dict[str, Tensor]:
        """``rows`` (contiguous) by their numbers, all by default, in the order in which they are held."""
        part = slice(None) if rows is None else slice(rows.start, rows.stop)
        return {name: tensor[part].to(device) for name, tensor in self._tensors.items()}

    def batch(
        self, counter: int, rows: range, size: int, *, seed: int, device: torch.device | str
    ) -> dict[str, Tensor]:
        """Return ``rows`` (contiguous) of global batch ``counter``, which has ``size`` rows, on ``device``.

        Epochs are permutations without replacement, each a function of (seed, epoch). Batches run on across the
        border between epochs, so no row is ever dropped, and a set smaller than a batch is repeated.
        """
        epoch, offset = divmod(counter * size + rows.start, self._size)
        missing = len(rows)
        where = next(iter(self._tensors.values())).device
        pieces = []
        while missing > 0:
            piece = _permutation(self._size, seed, epoch, where)[offset : offset + missing]
            pieces.append(piece)
            missing -= len(piece)
            epoch, offset = epoch + 1, 0
        index = pieces[0] if len(pieces) == 1 else torch.cat(pieces)
        return {name: tensor[index].to(device) for name, tensor in self._tensors.items()}


def in_chunks(split: HeldOut, device: torch.device | str = "cpu") -> Iterator[dict[str, Tensor]]:
    """All rows of ``split`` in their order, 1,000 at a time, as there may be more than go into memory as floats."""
    for start in range(0, len(split), CHUNK):
        yield split.rows(range(start, min(start + CHUNK, len(split))), device)


def held_out(keys: Sequence[Hashable], labels: Sequence[Hashable], proposed: Iterable[Hashable]) -> list[bool]:
    """Which rows to hold out, given that rows with equal ``keys`` are copies: those ``proposed``, with all copies.

    A key is not held out where it is the last of a label: each keeps something to train on. Where none of those
    proposed can be, the first key that can is.
    """
    labels_of: dict[Hashable, tuple[Hashable, ...]] = {}
    alone = {label: (label,) for label in set(labels)}
    left: Counter[Hashable] = Counter()  # different rows of each label
    for key, label in zip(keys, labels, strict=True):
        known = labels_of.get(key, ())
        if label not in known:
            labels_of[key] = (*known, label) if known else alone[label]
            left[label] += 1
    held: set[Hashable] = set()
    for key in chain(proposed, (key for key in keys if not held)):
        if key not in held and all(left[label] > 1 for label in labels_of[key]):
            held.add(key)
            left.subtract(labels_of[key])
    return [key in held for key in keys]


class StreamSplit:
    """Rows that are read as they are needed: ``open(epoch)`` gives an iterator over one epoch, row by row.

    The order of the rows is the order of ``open``; whoever wants them shuffled shuffles there, by the epoch. A
    batch asked for out of order costs reading up to it, so that a resumed run sees the rows it would have seen.
    """

    def __init__(self, open: Callable[[int], Iterator[Mapping[str, Tensor]]]) -> None:
        self._open = open
        self._rewind()

    def _rewind(self) -> None:
        self._rows = self._endless()
        self._position = 0
        self._batch: dict[str, Tensor] = {}
        self._held = range(0)

    def _endless(self) -> Iterator[Mapping[str, Tensor]]:
        epoch = 0
        while True:
            row = None
            for row in self._open(epoch):
                yield row
            if row is None:
                raise DataError(f"the stream of data has no rows (epoch {epoch})")
            epoch += 1

    def batch(
        self, counter: int, rows: range, size: int, *, seed: int, device: torch.device | str
    ) -> dict[str, Tensor]:
        """Return ``rows`` (contiguous) of global batch ``counter`` as ``TensorSplit.batch`` does.

        ``seed`` has no say here: the stream's own order decides. Raises DataError where an epoch has no rows.
        """
        wanted = range(counter * size, (counter + 1) * size)
        if wanted != self._held:
            if wanted.start < self._position:
                self._rewind()
            read = list(islice(self._rows, wanted.start - self._position, wanted.stop - self._position))
            self._batch = {name: torch.stack([row[name] for row in read]) for name in read[0]}
            self._held, self._position = wanted, wanted.stop
        part = slice(rows.start, rows.stop)
        return {name: tensor[part].to(device) for name, tensor in self._batch.items()}


@lru_cache(maxsize=4)
def _permutation(size: int, seed: int, epoch: int, device: torch.device) -> Tensor:
    # Drawn on the CPU whatever the device, so that the order of the rows does not depend on the hardware.
    generator = torch.Generator().manual_seed(random.Random(f"{seed}/{epoch}").getrandbits(63))
    return torch.randperm(size, generator=generator).to(device)
