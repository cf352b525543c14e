"""Pairs of pictures in files: two columns, two sub-folders with the same names, or one and what is derived from it."""

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gangen import Account, Chunk, DataError, did_you_mean, few, listed
from gangen_conditional.data.derived import DERIVED
from gangen_image import PictureRows, Pictures, holds_images

AUTO = "auto"
DEFAULT = "edges"


@dataclass(frozen=True)
class PairRows(PictureRows):
    """Rows of two pictures, which ``read`` gives as one of more channels: first those of the image, then the input's.

    ``image_column`` is the column or sub-folder of what is to be made, ``input`` that of what it is made from, or how
    that is derived from the image. ``auto`` is the one called "input", or beside "image", or the only other one; where
    there are pictures of one kind alone, edges are derived.
    """

    input: str = AUTO
    input_channels: int = 3

    @property
    def classes(self) -> bool:
        return False

    def columns(self, features: Mapping[str, Any]) -> Sequence[str]:
        named = {self.image_column, self.input}
        found = [name for name, kind in features.items() if holds_images(kind, certainly=name not in named)]
        if len(found) == 1:  # those of a folder, perhaps, where sub-folders tell
            return found
        return [name for name in self._sides(found) if name]

    def chunks(self, account: Account | None = None, **order: Any) -> Iterator[Chunk]:
        """The image and, where it is not derived, the input of all rows; see ``Rows.chunks``."""
        account = Account(self.path) if account is None else account
        chunks = super().chunks(account, **order)
        first = next(chunks)
        _, number = first.places[0]
        if number == "":
            yield self._matched([first, *chunks], account)
            return
        if len(first.columns) == 1:
            self._sides(list(first.columns))
        yield first
        yield from chunks

    def stream(
        self, account: Account | None = None, unlabelled: list[str] | None = None, **order: Any
    ) -> Iterator[Pictures]:
        """Some pairs at a time; see ``PictureRows.stream``. Raises DataError for a pair of other proportions."""
        with ThreadPoolExecutor() as threads:
            for chunk in self.chunks(account, **order):
                images, *given = chunk.columns.values()
                made = list(threads.map(self.decode, images))
                if given:
                    inputs = list(threads.map(replace(self, channels=self.input_channels).decode, given[0]))
                else:
                    inputs = [it if isinstance(it, str) else (self._derived(it[0]), it[1]) for it in made]
                yield self._paired(chunk, made, inputs)

    def _paired(self, chunk: Chunk, made: Sequence[Any], inputs: Sequence[Any]) -> Pictures:
        found = Pictures([], None, None, [], [], [], None)
        for row, (image, given) in enumerate(zip(made, inputs, strict=True)):
            if isinstance(image, str) or isinstance(given, str):
                why = image if isinstance(image, str) else f"input: {given}"
                found.faults.append(f"{chunk.place(row)} ({why})")
                continue
            (width, height), (other_width, other_height) = image[1], given[1]
            if abs(width * other_height - other_width * height) > max(height, other_height):
                raise DataError(
                    f"{chunk.place(row)} has {width} x {height} pixels and its input {other_width} x {other_height}: "
                    "of a pair both are to show the same places; cut or resize one of them"
                )
            found.images.append(torch.cat([image[0], given[0]]))
            found.sizes.append(image[1])
            found.places.append(chunk.place(row))
        return found

    def _derived(self, image: Tensor) -> Tensor:
        return DERIVED[DEFAULT if self.input == AUTO else self.input](image[None])[0]

    def _sides(self, names: Sequence[str]) -> tuple[str, str | None]:
        """The image's and the input's of these columns or sub-folders; None for an input that is derived.

        Raises DataError where there are none of that name, or it cannot be told which is which.
        """
        for name in (self.image_column, self.input):
            if name not in (AUTO, *names) and (name == self.image_column or name not in DERIVED):
                ways = f"; an input can also be derived: {', '.join(DERIVED)}" if name == self.input else ""
                raise DataError(
                    f"{self.path} has no column or sub-folder of pictures called {name!r}{did_you_mean(name, names)}\n"
                    f"it has: {listed(names) or 'none'}{ways}"
                )
        given = self.input if self.input in names else "input" if self.input == AUTO and "input" in names else None
        others = [name for name in names if name != given]
        image = self.image_column if self.image_column in others else "image" if "image" in others else None
        if image is None and len(others) == 1:
            (image,) = others
        rest = [name for name in others if name != image]
        if image is None or (given is None and self.input == AUTO and len(rest) > 1):
            raise DataError(
                f"{self.path} has pictures called {few(names)}: say which to make and which to start from, as in "
                f"data.image={names[0]} data.input={names[-1]}, or data.input={DEFAULT} for what is derived"
            )
        if given is None and self.input == AUTO and rest:
            (given,) = rest
        return image, given

    def _matched(self, chunks: Iterable[Chunk], account: Account) -> Chunk:
        """Files of two sub-folders that have the same name but for the suffix; or all, whose inputs are derived."""
        files = [Path(cell["path"]) for chunk in chunks for cell in next(iter(chunk.columns.values()))]
        depth = len(Path(os.path.commonpath([file.parent for file in files])).parts)
        folders = sorted({file.parts[depth] for file in files if len(file.parts) > depth + 1})
        derived = self.input not in folders and (self.input in DERIVED or (self.input == AUTO and not folders))
        if derived and self.image_column == AUTO:
            return _of_files(image=files)
        image, given = self._sides(folders)
        sides: dict[str, dict[str, Path]] = {}
        for name in filter(None, (image, given)):
            inside = [file for file in files if len(file.parts) > depth + 1 and file.parts[depth] == name]
            keys = ["/".join([*file.parts[depth + 1 : -1], file.stem]) for file in inside]
            if twice := [key for key, count in Counter(keys).items() if count > 1]:
                raise DataError(f"{self.path}: {name} has several pictures called {few(twice)}; rename or remove some")
            sides[name] = dict(zip(keys, inside, strict=True))
        chosen = {file for side in sides.values() for file in side.values()}
        account.pass_over("pictures of neither side passed over", [str(it) for it in files if it not in chosen])
        if given is None:
            return _of_files(image=list(sides[image].values()))
        for one, other in ((image, given), (given, image)):
            if alone := [key for key in sides[one] if key not in sides[other]]:
                raise DataError(
                    f"{self.path}: {len(alone):,} of {len(sides[one]):,} pictures in {one} have none of the same name "
                    f"in {other}: {few([str(sides[one][key]) for key in alone])}\nadd what is missing, or remove these"
                )
        return _of_files(image=list(sides[image].values()), input=[sides[given][key] for key in sides[image]])


def _of_files(**sides: Sequence[Path]) -> Chunk:
    cells = {name: [{"bytes": None, "path": str(file)} for file in files] for name, files in sides.items()}
    return Chunk(cells, {}, [(str(file), "") for file in sides["image"]])
