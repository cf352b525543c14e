"""Sentences with their translations, from files, folders and the hub."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import compress
from typing import Any, NamedTuple, Self

from gangen import Account, Chunk, DataError, Rows, listed
from gangen_text.data.files import READERS, texts_of

TABLES = {suffix: reader for suffix, reader in READERS.items() if reader != "text"}


class Sentences(NamedTuple):
    """Sentences, and the translation of each."""

    sources: list[str]
    targets: list[str]

    def where(self, kept: Sequence[bool]) -> Self:
        """Those that are ``kept``."""
        return self._make(list(compress(side, kept)) for side in self)


@dataclass(frozen=True)
class SentenceRows(Rows):
    """Rows with a sentence in ``source_column`` and its translation in ``target_column``.

    "translation.en" is what stands under "en" in the column "translation": so sets on the hub have it.
    """

    source_column: str = "source"
    target_column: str = "target"

    readers = TABLES
    wanted = f"table of sentences ({', '.join(TABLES)}, each also packed: .gz, .bz2, .xz)"

    def columns(self, features: Mapping[str, Any]) -> Sequence[str]:
        names = self.source_column, self.target_column
        return list(dict.fromkeys(name if name in features else name.partition(".")[0] for name in names))

    def sources(self, chunk: Chunk) -> list[str]:
        """The sentences, stripped; "" for cells that hold nothing. Raises DataError for a cell that is no text."""
        return texts_of(_with(chunk, self.source_column), self.source_column)

    def read(self, account: Account) -> Sentences:
        """All sentences, stripped, in the order of the files; those without a translation are left out.

        Raises:
            DataError: there are none, or cells that hold no text.
        """
        whole, names = Sentences([], []), (self.source_column, self.target_column)
        for chunk in self.chunks(account):
            sides = Sentences(self.sources(chunk), texts_of(_with(chunk, names[1]), names[1]))
            filled = [bool(source and target) for source, target in zip(*sides, strict=True)]
            account.leave_out("with an empty cell", [chunk.place(row) for row, it in enumerate(filled) if not it])
            for side, more in zip(whole, sides.where(filled), strict=True):
                side += more
        if not whole.sources:
            raise DataError(
                f"{self.path} has no row with text in both of its columns, {' and '.join(map(repr, names))}"
            )
        return whole


def _with(chunk: Chunk, name: str) -> Chunk:
    """``chunk`` with a column ``name``, where that is a part of one."""
    if name in chunk.columns:
        return chunk
    column, _, part = name.partition(".")
    values = []
    for row, value in enumerate(chunk.columns[column]):
        if not isinstance(value, dict) or part not in value:
            has = f"it has: {listed(value)}" if isinstance(value, dict) else f"it holds: {value!r:.40}"
            raise DataError(f"{chunk.place(row)}: column {column!r} has no {part!r}\n{has}")
        values.append(value[part])
    return chunk._replace(columns={name: values})
