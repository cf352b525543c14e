"""Texts from files, folders and the hub, all read by ``datasets``."""

import glob
import random
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from gangen import DataError, did_you_mean
from gangen_text.data.corpus import Texts

# By a file's last suffix, .gz left aside: the reader of `datasets`, and what it is told. In tables "NA" and "null" are
# texts like any other. A file with another suffix is read as lines of text where it is named itself.
READERS = {
    ".txt": ("text", {}),
    ".csv": ("csv", {"na_filter": False}),
    ".tsv": ("csv", {"na_filter": False, "sep": "\t"}),
    ".json": ("json", {}),
    ".jsonl": ("json", {}),
    ".parquet": ("parquet", {}),
}
ROWS_AT_ONCE = 1000


@dataclass(frozen=True)
class Source:
    """``path``: a file, a glob, a folder of files, a folder that ``datasets`` saved, or a name on the hub.

    Of a saved folder or a name on the hub, the split "train" is read, or the only one. Texts are stripped, and blank
    ones left out. Reading raises DataError where there is nothing, nothing readable, no such column or no label.
    """

    path: str
    column: str = "text"
    label_column: str | None = None
    encoding: str = "utf-8"

    def read(self) -> Texts:
        """Everything, in the order of the files."""
        whole = Texts([], [] if self.label_column else None)
        # Held in memory and read anew each time: no cache can be stale, and none is left behind.
        with self._explaining(), TemporaryDirectory() as cache:
            for texts in self._texts(self._open(cache_dir=cache, keep_in_memory=True)):
                whole.texts.extend(texts.texts)
                if self.label_column:
                    whole.labels.extend(texts.labels)
        if not whole.texts:
            raise DataError(f"{self.path} has no text in its column {self.column!r}")
        return whole

    def stream(self, *, seed: int = 0, epoch: int | None = None, buffer: int = 1) -> Iterator[Texts]:
        """Everything, some rows at a time and never all in memory: in the order of the files, or, for an epoch's
        number, shuffled by ``(seed, epoch)`` within a buffer of so many rows.
        """
        with self._explaining():
            rows = self._open(streaming=True)
            if epoch is not None:
                # A seed of its own: what `set_epoch` sets is lost by the next operation.
                rows = rows.shuffle(seed=random.Random(f"{seed}/{epoch}").getrandbits(32), buffer_size=buffer)
            chunks = self._texts(rows)
        while True:
            with self._explaining():
                texts = next(chunks, None)
            if texts is None:
                return
            yield texts

    def _texts(self, rows: Any) -> Iterator[Texts]:
        self._check_columns(rows.column_names or list(next(iter(rows))))
        feature = (rows.features or {}).get(self.label_column)
        # Other columns may hold what costs much to decode, such as images.
        rows = rows.select_columns(sorted({self.column, self.label_column or self.column}))
        for batch in rows.iter(batch_size=ROWS_AT_ONCE):
            texts = [self._text(value) for value in batch[self.column]]
            kept = [row for row, text in enumerate(texts) if text]
            labels = None
            if self.label_column:
                labels = [self._label(value, feature) for value in batch[self.label_column]]
            yield Texts(texts, labels).take(kept)

    def _check_columns(self, there: Sequence[str]) -> None:
        for name in (self.column, self.label_column):
            if name is not None and name not in there:
                raise DataError(
                    f"{self.path} has no column {name!r}{did_you_mean(name, there)}\nit has: {', '.join(there)}"
                )

    def _text(self, value: Any) -> str:
        if isinstance(value, list | dict):
            raise DataError(f"{self.path}: column {self.column!r} holds {type(value).__name__}s, not text")
        # A byte order mark is no text.
        return "" if value is None else str(value).lstrip("\ufeff").strip()

    def _label(self, value: Any, feature: Any) -> str:
        if hasattr(feature, "int2str") and value is not None:
            value = feature.int2str(value)
        label = "" if value is None else str(value).strip()
        if not label:
            raise DataError(f"{self.path} has a row without a label in column {self.label_column!r}")
        return label

    def _open(self, streaming: bool = False, **options: Any) -> Any:
        """A ``datasets.Dataset``, or an ``IterableDataset`` where it is to be streamed."""
        import datasets  # a second of imports that a trained model does not need

        folder = Path(self.path).expanduser()
        if (folder / "state.json").is_file() or (folder / "dataset_dict.json").is_file():
            rows = self._only_split(datasets.load_from_disk(folder))
            return rows.to_iterable_dataset() if streaming else rows
        files = find_files(self.path)
        if files is None:
            options.pop("cache_dir", None)  # what was downloaded is kept where `datasets` keeps it
            return self._only_split(datasets.load_dataset(self.path, streaming=streaming, **options))
        reader, told = _reader(self.path, files)
        if self.encoding.lower() not in ("utf-8", "utf8"):
            # Told another encoding, `datasets` reads packed files as UTF-8 all the same, and parquet has none.
            if reader == "parquet" or any(file.suffix == ".gz" for file in files):
                raise DataError(
                    f"{self.path}: encoding is for files that are neither packed nor parquet; unpack it first"
                )
            told = told | {"encoding": self.encoding}
        # `datasets` takes names for patterns.
        names = [glob.escape(str(file.absolute())) for file in files]
        return datasets.load_dataset(reader, data_files=names, split="train", streaming=streaming, **told, **options)

    def _only_split(self, rows: Any) -> Any:
        if not isinstance(rows, dict):
            return rows
        if "train" not in rows and len(rows) > 1:
            raise DataError(f"{self.path} has no split 'train', but {', '.join(rows)}; save the one to read by itself")
        return rows["train"] if "train" in rows else next(iter(rows.values()))

    @contextmanager
    def _explaining(self) -> Iterator[None]:
        """Turn what the readers raise into one DataError, and keep them from talking meanwhile."""
        from datasets.utils import logging

        verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
        logging.set_verbosity(logging.CRITICAL)
        logging.disable_progress_bar()
        try:
            yield
        except DataError:
            raise
        except Exception as error:  # each reader raises its own library's errors
            raise DataError(self._explanation(error)) from error
        finally:
            logging.set_verbosity(verbosity)
            if bars:
                logging.enable_progress_bar()

    def _explanation(self, error: BaseException) -> str:
        while error.__cause__ is not None:
            error = error.__cause__
        if isinstance(error, UnicodeDecodeError):
            what = f"not {self.encoding} text (byte 0x{error.object[error.start]:02x})"
            return f"{self.path} is {what}; set its encoding, such as encoding: latin-1"
        # What the readers of text, csv and json raise for a file without rows; two of them have no public name.
        if type(error).__name__ in ("SchemaInferenceError", "EmptyDataError", "StopIteration"):
            return f"{self.path} is empty"
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        return f"{self.path} cannot be read: {reason}"


def find_files(path: str) -> list[Path] | None:
    """The files that ``path`` stands for, in order; None for what can only be a name on the hub.

    Raises:
        DataError: no such file, or a folder without files that can be read.
    """
    here = Path(path).expanduser()
    if here.is_file():
        return [here]
    if here.is_dir():
        files = sorted(file for file in here.rglob("*") if file.is_file() and _suffix(file) in READERS)
        if not files:
            raise DataError(f"folder {path} holds no file that can be read ({', '.join(READERS)}, each also with .gz)")
        return files
    if glob.has_magic(path):
        files = sorted(Path(name) for name in glob.glob(str(here), recursive=True) if Path(name).is_file())
        if not files:
            raise DataError(f"no file matches {path}")
        return files
    if _suffix(here) in READERS or not re.fullmatch(r"[\w-][\w.-]*(/[\w.-]+)?", path):
        raise DataError(f"no file or folder {path}")
    return None


def _reader(path: str, files: Sequence[Path]) -> tuple[str, dict[str, Any]]:
    suffixes = sorted({_suffix(file) for file in files})
    readers = [READERS.get(suffix, READERS[".txt"]) for suffix in suffixes]
    if any(reader != readers[0] for reader in readers):
        kinds = ", ".join(suffixes)
        raise DataError(f"{path} holds files of several kinds ({kinds}); name those of one, such as '*{suffixes[0]}'")
    return readers[0]


def _suffix(path: Path) -> str:
    return (path.with_suffix("") if path.suffix == ".gz" else path).suffix.lower()
