"""Rows of files, folders, saved sets and the hub, all read by ``datasets``."""

import glob
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Self

from gangen.errors import DataError, did_you_mean

ROWS_AT_ONCE = 256
ALL_NAMES = 10**9

Reader = tuple[str, Mapping[str, Any]]


class Chunk(NamedTuple):
    """Some rows: the values of each column; and, of columns of classes, the names of all classes in their order.

    A class is given by its name, None where there is none; media as {"bytes", "path"}, for the caller to decode.
    """

    columns: Mapping[str, list]
    classes: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class Rows:
    """``path``: a file, a glob, a folder of files, a folder that ``datasets`` saved, or a name on the hub.

    ``split`` is read of what has splits: the sub-folder of that name, files called so ("train.csv", or
    "train-00000-of-00002.parquet" as the hub names them), the split of a saved set or of one on the hub. What has none
    is read whole. Files are read where they are: no cache can be stale or left behind. A set on the hub is fetched and
    kept unless ``streaming``. Reading raises DataError where there is nothing, nothing readable, or no such column.

    A plugin says in a subclass which ``columns`` it wants, and what is read:

    - ``readers``: by a file's last suffix, .gz left aside, the loader of ``datasets`` and what it is told. One whose
      name ends in "folder" reads a folder as a whole. The suffix "*" stands for any other, of a file named itself.
    - ``wanted``: what these are, in words: "folder x holds no ...".
    - ``hints``: what to say of a column that is missing, by its name.
    """

    path: str
    split: str = "train"
    streaming: bool = False
    encoding: str = "utf-8"

    readers: ClassVar[Mapping[str, Reader]]
    wanted: ClassVar[str] = "file that can be read"
    hints: ClassVar[Mapping[str, str]] = {}

    def columns(self, features: Mapping[str, Any]) -> Sequence[str]:
        """The columns to read, of those there are. ``features`` has the type of each, None where it is not known."""
        return list(features)

    def chunks(self, *, seed: int = 0, epoch: int | None = None, buffer: int = 1) -> Iterator[Chunk]:
        """Every row, some at a time: in order, or, for an epoch's number, shuffled by ``(seed, epoch)`` within a buffer
        of so many rows; what is read as a folder is shuffled as a whole.
        """
        with self._explaining():
            chunks = self._chunks(seed, epoch, buffer)
        while True:
            with self._explaining():
                chunk = next(chunks, None)
            if chunk is None:
                return
            yield chunk

    def labels(self, chunk: Chunk, column: str) -> list[str]:
        """The values of a column as labels. Raises DataError for a row without one, or for what is no label."""
        return [self._label(value, column) for value in chunk.columns[column]]

    def other(self, name: str) -> Self:
        """Where held-out rows come from: split ``name`` of this path where it has such a split, else the path ``name``.

        Raises:
            DataError: there is neither, or the split lies inside what is read here.
        """
        if not re.fullmatch(r"\w+", name):
            return replace(self, path=name)
        here = Path(self.path).expanduser()
        if self._of_split(here, name):
            if not self._of_split(here, self.split):
                raise DataError(
                    f"{self.path} as a whole includes its {name!r}; put what to train on into {here / self.split}"
                )
            return replace(self, split=name)
        if not here.exists() and not glob.has_magic(self.path):  # on the hub
            return replace(self, split=name)
        if not Path(name).exists():
            raise DataError(f"{self.path} has no split {name!r}, and there is no file or folder of that name")
        return replace(self, path=name)

    def _chunks(self, seed: int, epoch: int | None, buffer: int) -> Iterator[Chunk]:
        import datasets  # a second of imports that a trained model does not need

        rows = self._open()
        features: Mapping[str, Any] = rows.features or dict.fromkeys(next(iter(rows)))
        columns = self.columns(features)
        for name in columns:
            if name not in features:
                hint = did_you_mean(name, features) or self.hints.get(name, "")
                raise DataError(f"{self.path} has no column {name!r}{hint}\nit has: {', '.join(features)}")
        rows = rows.select_columns(list(columns))  # others may hold what costs much to decode
        for name in columns:
            if hasattr(features[name], "decode"):  # by the caller, who can go on after a damaged one
                rows = rows.cast_column(name, replace(features[name], decode=False))
        if epoch is not None:
            # Of a folder only the names are held, so there is room for all: they come label by label.
            whole = (rows.info.builder_name or "").endswith("folder")
            rows = rows.shuffle(seed=seed, buffer_size=ALL_NAMES if whole else buffer)
            rows.set_epoch(epoch)
        classes = {
            name: tuple(features[name].names) for name in columns if isinstance(features[name], datasets.ClassLabel)
        }
        for batch in rows.iter(batch_size=ROWS_AT_ONCE):
            values = {name: batch[name] for name in columns}
            for name, names in classes.items():
                values[name] = [None if value is None or value < 0 else names[value] for value in batch[name]]
            yield Chunk(values, classes)

    def _label(self, value: Any, column: str) -> str:
        if isinstance(value, list | dict | bytes | float):
            raise DataError(
                f"{self.path}: the labels are {type(value).__name__}s, not names; choose another label_column, or null"
            )
        name = "" if value is None else str(value).strip()
        if not name:
            raise DataError(
                f"{self.path} has a row without a label in column {column!r}; "
                "leave it out of the data, or set label_column: null"
            )
        return name

    def _open(self) -> Any:
        """A ``datasets.IterableDataset``."""
        import datasets

        here = Path(self.path).expanduser()
        if (here / "state.json").is_file() or (here / "dataset_dict.json").is_file():
            rows = self._only(datasets.load_from_disk(here))
        elif found := self._find():
            reader, patterns, told = found
            rows = datasets.load_dataset(reader, data_files=patterns, split="train", streaming=True, **told)
        else:
            rows = self._only(datasets.load_dataset(self.path, streaming=self.streaming))
        return rows if isinstance(rows, datasets.IterableDataset) else rows.to_iterable_dataset()

    def _only(self, rows: Any) -> Any:
        """The split that is wanted of what may have several."""
        if not isinstance(rows, dict):
            return rows
        if self.split not in rows and (len(rows) > 1 or self.split != "train"):
            raise DataError(f"{self.path} has no split {self.split!r}\nit has: {', '.join(rows)}")
        return rows[self.split] if self.split in rows else next(iter(rows.values()))

    def _find(self) -> tuple[str, list[str], Mapping[str, Any]] | None:
        """The loader of ``datasets``, the patterns of its files and what it is told; None for a name on the hub."""
        folder, files = self._files()
        if not files:
            return None
        suffixes = sorted({_suffix(file) for file in files})
        found = [self.readers.get(suffix, self.readers.get("*")) for suffix in suffixes]
        readers = [reader for reader in found if reader]
        whole = next((reader for reader in readers if reader[0].endswith("folder")), None)
        if whole and folder:
            # One pattern for all, because `datasets` would take folders called "val" or "test_tube" for splits.
            return whole[0], [f"{glob.escape(str(folder))}/**"], whole[1]
        if whole:
            raise DataError(f"{self.path}: such files are read from a folder, not one by one")
        if None in found:
            raise DataError(f"{self.path} holds no {self.wanted}")
        if any(reader != readers[0] for reader in readers):
            kinds = ", ".join(suffixes)
            raise DataError(
                f"{self.path} holds files of several kinds ({kinds}); name those of one, such as '*{suffixes[0]}'"
            )
        reader, told = readers[0]
        if self.encoding.lower() not in ("utf-8", "utf8"):
            # Told another encoding, `datasets` reads packed files as UTF-8 all the same, and parquet has none.
            if reader == "parquet" or any(file.suffix == ".gz" for file in files):
                raise DataError(
                    f"{self.path}: encoding is for files that are neither packed nor parquet; unpack it first"
                )
            told = {**told, "encoding": self.encoding}
        return reader, [glob.escape(str(file)) for file in files], told  # `datasets` takes names for patterns

    def _files(self) -> tuple[Path | None, list[Path]]:
        """The files that ``path`` stands for, in order, and the folder that they are in where it names one.

        Raises:
            DataError: there are none, and ``path`` can be no name on the hub.
        """
        here = Path(self.path).expanduser().absolute()
        if here.is_dir():
            parts = self._of_split(here, self.split) or [here]
            inside = (file for part in parts for file in ([part] if part.is_file() else part.rglob("*")))
            files = sorted(file for file in inside if _suffix(file) in self.readers and file.is_file())
            if not files:
                raise DataError(f"folder {parts[0] if parts[0] != here else self.path} holds no {self.wanted}")
            return parts[0], files
        found = [here] if here.is_file() else map(Path, sorted(glob.glob(str(here), recursive=True)))
        files = [file for file in found if file.is_file()]
        if not files and glob.has_magic(self.path):
            raise DataError(f"no file matches {self.path}")
        if not files and (_suffix(here) in self.readers or not re.fullmatch(r"[\w-][\w.-]*(/[\w.-]+)?", self.path)):
            raise DataError(f"no file or folder {self.path}")
        return None, files

    def _of_split(self, folder: Path, split: str) -> Sequence[Path]:
        """What ``folder`` holds of a split: a sub-folder, or tables that are called so."""
        if (folder / split).is_dir():
            return [folder / split]
        name = glob.escape(split)
        found = sorted(folder.glob(f"{name}.*")) or sorted(folder.glob(f"{name}-*-of-*.*"))
        readers = ((file, self.readers.get(_suffix(file))) for file in found if file.is_file())
        return [file for file, reader in readers if reader and not reader[0].endswith("folder")]

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
        # What readers raise for a file without rows; two of them have no public name.
        if type(error).__name__ in ("SchemaInferenceError", "EmptyDataError", "StopIteration"):
            return f"{self.path} is empty"
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        return f"{self.path} cannot be read: {reason}"


def _suffix(path: Path) -> str:
    return (path.with_suffix("") if path.suffix == ".gz" else path).suffix.lower()
