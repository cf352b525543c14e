"""Texts from files, folders and the hub."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gangen import DataError, Rows
from gangen_text.data.corpus import Texts

# In tables "NA" and "null" are texts like any other. A file with another suffix is read as lines of text where it is
# named itself.
READERS = {
    ".txt": ("text", {}),
    ".csv": ("csv", {"na_filter": False}),
    ".tsv": ("csv", {"na_filter": False, "sep": "\t"}),
    ".json": ("json", {}),
    ".jsonl": ("json", {}),
    ".parquet": ("parquet", {}),
}


@dataclass(frozen=True)
class TextRows(Rows):
    """Rows with a text in ``column`` and a label in ``label_column``. Texts are stripped, and blank ones left out."""

    column: str = "text"
    label_column: str | None = None

    readers = READERS | {"*": ("text", {})}
    wanted = f"file that can be read ({', '.join(READERS)}, each also with .gz)"

    def columns(self, features: Mapping[str, Any]) -> Sequence[str]:
        return dict.fromkeys([self.column, self.label_column or self.column])

    def read(self, count: int | None = None) -> Texts:
        """All texts in the order of the files, or the first ``count``. Raises DataError where there are none."""
        whole = Texts([], [] if self.label_column else None)
        for some in self.stream():
            whole.texts.extend(some.texts)
            if self.label_column:
                whole.labels.extend(some.labels)
            if count is not None and len(whole.texts) >= count:
                break
        if not whole.texts:
            raise DataError(f"{self.path} has no text in its column {self.column!r}")
        return whole.take(range(len(whole.texts))[:count])

    def stream(self, **order: Any) -> Iterator[Texts]:
        """Some texts at a time; ``order`` goes to ``Rows.chunks``."""
        for chunk in self.chunks(**order):
            texts = [self._text(value) for value in chunk.columns[self.column]]
            labels = self.labels(chunk, self.label_column) if self.label_column else None
            yield Texts(texts, labels).take([row for row, text in enumerate(texts) if text])

    def _text(self, value: Any) -> str:
        if isinstance(value, list | dict):
            raise DataError(f"{self.path}: column {self.column!r} holds {type(value).__name__}s, not text")
        # A byte order mark is no text.
        return "" if value is None else str(value).lstrip("\ufeff").strip()
