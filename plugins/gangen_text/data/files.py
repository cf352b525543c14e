"""Texts from files, folders and the hub."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gangen import Account, Chunk, DataError, Rows
from gangen_text.data.corpus import Texts

# A file with another suffix is read as lines of text where it is named itself.
READERS = {
    ".txt": "text",
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".json": "json",
    ".jsonl": "json",
    ".ndjson": "json",
    ".parquet": "parquet",
}
NO_TEXT = {list: "lists", dict: "objects", bytes: "bytes"}


@dataclass(frozen=True)
class TextRows(Rows):
    """Rows with a text in ``column`` and a label in ``label_column``. Texts are stripped, and blank ones left out."""

    column: str = "text"
    label_column: str | None = None

    readers = READERS | {"*": "text"}
    wanted = f"file that can be read ({', '.join(READERS)}, each also packed: .gz, .bz2, .xz)"

    def columns(self, features: Mapping[str, Any]) -> Sequence[str]:
        return dict.fromkeys([self.column, self.label_column or self.column])

    def read(self, account: Account, count: int | None = None) -> Texts:
        """All texts in the order of the files, or the first ``count``.

        Raises:
            DataError: there are none, or some without a label.
        """
        whole = Texts([], [] if self.label_column else None)
        unlabelled: list[str] = []
        for some in self.stream(account, unlabelled):
            whole.texts.extend(some.texts)
            if self.label_column:
                whole.labels.extend(some.labels)
            if count is not None and len(whole.texts) >= count:
                account.notes.append(f"the first {count:,} of a stream, which may hold more")
                break
        self.refuse(unlabelled, self.label_column)
        if not whole.texts:
            raise DataError(f"{self.path} has no text in its column {self.column!r}")
        return whole.take(range(len(whole.texts))[:count])

    def stream(
        self, account: Account | None = None, unlabelled: list[str] | None = None, **order: Any
    ) -> Iterator[Texts]:
        """Some texts at a time; the arguments go to ``Rows.chunks`` and ``Rows.labels``."""
        for chunk in self.chunks(account, **order):
            texts = texts_of(chunk, self.column)
            labels = self.labels(chunk, self.label_column, unlabelled) if self.label_column else None
            full = [row for row, text in enumerate(texts) if text]
            if account and len(full) < len(texts):
                empty = [row for row, text in enumerate(texts) if not text]
                account.leave_out("empty", [chunk.place(row) for row in empty])
            yield Texts(texts, labels).take(full)


def texts_of(chunk: Chunk, column: str) -> list[str]:
    """The texts in a column, stripped; "" for cells that hold nothing. Raises DataError for a cell that is no text."""
    texts = []
    for row, value in enumerate(chunk.columns[column]):
        if type(value) in NO_TEXT:
            raise DataError(f"{chunk.place(row)}: column {column!r} holds {NO_TEXT[type(value)]}, not text")
        empty = value is None or value != value  # not a number is nothing
        texts.append("" if empty else str(value).strip().lstrip("\ufeff").strip())  # a byte order mark is no text
    return texts
