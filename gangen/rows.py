"""Rows of files, folders, saved sets and the hub."""

import glob
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from pathlib import Path
from random import Random
from typing import Any, ClassVar, Self

from gangen import hub
from gangen.account import Account, few, listed
from gangen.errors import DataError, did_you_mean
from gangen.labels import label_name
from gangen.printing import silent
from gangen.reading.folders import read_media
from gangen.reading.formats import READERS, ROWS_AT_ONCE, Chunk, named
from gangen.reading.paths import Found, find, has_split, suffix_of

ARCHIVES = {".zip", ".tar", ".tgz", ".tbz", ".txz", ".7z", ".rar", ".zst"}
PARQUET = "parquet"


@dataclass(frozen=True)
class Rows:
    """``path``: a file, a glob, a folder of files, a folder that ``datasets`` saved, or a name on the hub.

    ``split`` is read of what has splits: the sub-folder of that name, files called so ("train.csv", or
    "train-00000-of-00002.parquet" as the hub names them), the split of a saved set or of one on the hub. What has none
    is read whole. Files are read where they are: no cache can be stale or left behind. A set on the hub is fetched and
    kept unless ``streaming``. ``encoding`` is that of text files; a byte order mark in one has the last word.

    A plugin says in a subclass which ``columns`` it wants, and what is read:

    - ``readers``: by a file's last suffix, that of packing (.gz, .bz2, .xz) left aside: "text", a line a row; "csv";
      "tsv", where quotes mean nothing; "json"; "parquet"; or "image", "audio" or "video": files of such media are read
      where they lie together, with sub-folders as classes. The suffix "*" stands for any other, of a file named itself.
    - ``wanted``: what these are, in words: "folder x holds no ...".
    - ``hints``: what to say of a column that is missing, by its name.
    - ``classes``: whether sub-folders of media are wanted as classes, in the column "label".
    """

    path: str
    split: str = "train"
    streaming: bool = False
    encoding: str = "utf-8"

    readers: ClassVar[Mapping[str, str]]
    wanted: ClassVar[str] = "file that can be read"
    hints: ClassVar[Mapping[str, str]] = {}

    @property
    def classes(self) -> bool:
        return True

    def columns(self, features: Mapping[str, Any]) -> Sequence[str]:
        """The columns to read, of those there are. ``features`` has the type of each, None where any value may stand.

        Types are those of ``datasets``.
        """
        return list(features)

    def chunks(
        self, account: Account | None = None, *, seed: int = 0, epoch: int | None = None, buffer: int = 1
    ) -> Iterator[Chunk]:
        """Every row, some at a time: in order, or, for an epoch's number, shuffled by ``(seed, epoch)`` within a buffer
        of so many rows; media in files are shuffled as a whole. What is not read is told to the ``account``.

        Raises:
            DataError: there is nothing, nothing readable, or no such column.
        """
        account = Account(self.path) if account is None else account
        found = None if self._is_saved() else self._find()
        if found is None:
            chunks = self._of_datasets(seed, epoch, buffer)
        else:
            chunks = self._of_files(found, account, None if epoch is None else Random(f"{seed}/{epoch}"), buffer)
        first = next(chunks, None)
        if first is None:
            raise DataError(f"{self.path} is empty: it has no rows")
        if found:
            found.tell(account)
        yield from chain([first], chunks)

    def labels(self, chunk: Chunk, column: str, unlabelled: list[str] | None = None) -> list[str]:
        """The values of a column as labels; "" for rows without one, whose places go to ``unlabelled``.

        Raises:
            DataError: a cell holds what is no label; or nothing, where nobody collects such places.
        """
        names, places = [], []
        for row, value in enumerate(chunk.columns[column]):
            try:
                name = label_name(value)
            except ValueError as error:
                raise DataError(f"{chunk.place(row)}: {error}\nchoose another label_column, or null") from None
            names.append(name or "")
            if name is None:
                places.append(chunk.place(row))
        if unlabelled is None:
            self.refuse(places, column)
        else:
            unlabelled += places
        return names

    def refuse(self, unlabelled: Sequence[str], column: str) -> None:
        """Raises DataError where there are rows without a label, at these places."""
        if unlabelled:
            rows = f"{len(unlabelled):,} rows have" if len(unlabelled) > 1 else "a row has"
            raise DataError(
                f"{self.path}: {rows} no label in column {column!r}: {few(unlabelled)}\n"
                "say what they are, leave them out of the data, or set label_column: null"
            )

    def other(self, name: str) -> Self:
        """Where held-out rows come from: split ``name`` of this path where it has such a split, else the path ``name``.

        Raises:
            DataError: there is neither, or the split lies inside what is read here.
        """
        if not re.fullmatch(r"\w+", name):
            return replace(self, path=name)
        here = Path(self.path).expanduser()
        if self._has(name):
            if not self._has(self.split):
                raise DataError(
                    f"{self.path} as a whole includes its {name!r}; put what to train on into {here / self.split}"
                )
            return replace(self, split=name)
        if not here.exists() and not glob.has_magic(self.path):  # on the hub
            return replace(self, split=name)
        if not Path(name).exists():
            raise DataError(f"{self.path} has no split {name!r}, and there is no file or folder of that name")
        return replace(self, path=name)

    def _has(self, split: str) -> bool:
        if self._is_saved():
            return (Path(self.path).expanduser() / split).is_dir()
        return has_split(self.path, split, self._is_readable)

    def _is_saved(self) -> bool:
        here = Path(self.path).expanduser()
        return (here / "state.json").is_file() or (here / "dataset_dict.json").is_file()

    def _is_readable(self, file: Path) -> bool:
        return suffix_of(file) in self.readers

    def _reader(self, file: Path) -> str | None:
        return self.readers.get(suffix_of(file), self.readers.get("*"))

    def _find(self) -> Found | None:
        """What the path stands for; None for a name on the hub. Raises DataError where there is nothing of use."""
        if not self.path:
            raise DataError("the path of the data is empty")
        media = any(reader not in READERS for reader in self.readers.values())
        found = find(self.path, self.split, self._is_readable, media=media)
        if media and (files := [file for file in found.files if self._reader(file) not in READERS]):
            found.others += [file for file in found.files if self._reader(file) in READERS]
            found.files = files
        if found.files:
            return found
        if found.folder:
            other = f"; it has {few(found.shown(found.others))}" if found.others else ""
            raise DataError(f"folder {self.path} holds no {self.wanted}{other}")
        if glob.has_magic(self.path):
            raise DataError(f"no file matches {self.path}")
        if Path(self.path).expanduser().exists():
            raise DataError(f"{self.path} is neither a file nor a folder; write what it gives into a file")
        if suffix_of(Path(self.path)) in self.readers or not re.fullmatch(r"[\w-][\w.-]*(/[\w.-]+)?", self.path):
            raise DataError(f"no file or folder {self.path}{_near(Path(self.path).expanduser())}")
        return None

    def _of_files(self, found: Found, account: Account, order: Random | None, buffer: int) -> Iterator[Chunk]:
        readers = {suffix_of(file): self._reader(file) or "" for file in found.files}
        kinds = set(readers.values())
        if archive := next((file for file in found.files if {suffix_of(file), file.suffix.lower()} & ARCHIVES), None):
            raise DataError(f"{archive} is an archive; unpack it, and name the folder or the file")
        if "" in kinds:
            raise DataError(f"{self.path} holds no {self.wanted}")
        if len(kinds) > 1:
            first, *_ = sorted(readers)
            some = shlex.quote(f"{self.path.rstrip('/')}/**/*{first}" if found.folder else f"*{first}")
            raise DataError(
                f"{self.path} holds files of several kinds ({', '.join(sorted(readers))}); name those of one, as {some}"
            )
        (kind,) = kinds
        if kind not in READERS:
            if not found.folder and len(found.files) == 1:
                raise DataError(f"{self.path}: such files are read from a folder, not one by one")
            choose = partial(self._choose, self.path)
            return read_media(found, kind, choose, account, classes=self.classes, order=order)
        if kind == PARQUET and self.encoding.lower() not in ("utf-8", "utf8"):
            raise DataError(f"{self.path}: encoding is for files of text, which parquet is not; leave it out")
        files = order.sample(found.files, len(found.files)) if order else found.files
        chunks = chain.from_iterable(
            READERS[kind](file, self.encoding, partial(self._choose, str(file)), account) for file in files
        )
        return _shuffled(chunks, order, buffer) if order else chunks

    def _choose(self, where: str, features: Mapping[str, Any], hints: Mapping[str, str] | None = None) -> list[str]:
        """The columns to read of those in a file. Raises DataError for one that it does not have."""
        columns = list(self.columns(features))
        for name in columns:
            if name not in features:
                told = {**self.hints, **(hints or {})}
                hint = told.get(name) or did_you_mean(name, [*features, *told])
                raise DataError(f"{where} has no column {name!r}{hint}\nit has: {listed(features)}")
        return columns

    def _of_datasets(self, seed: int, epoch: int | None, buffer: int) -> Iterator[Chunk]:
        """Rows of what ``datasets`` saved, or fetches."""
        with self._explaining():
            rows = self._open()
            features: Mapping[str, Any] = rows.features or dict.fromkeys(next(iter(rows)))
            columns = self._choose(self.path, features)
            rows = rows.select_columns(columns)  # others may hold what costs much to decode
            for name in columns:
                if hasattr(features[name], "decode"):  # by the caller, who can go on after a damaged one
                    rows = rows.cast_column(name, replace(features[name], decode=False))
            if epoch is not None:
                rows = rows.shuffle(seed=seed, buffer_size=buffer)
                rows.set_epoch(epoch)
            batches = rows.iter(batch_size=ROWS_AT_ONCE)
        start = 1
        while True:
            with self._explaining():
                batch = next(batches, None)
            if batch is None:
                return
            size = len(batch[columns[0]])
            places = [(f"{self.path}, row ", number) for number in range(start, start + size)]
            yield named({name: batch[name] for name in columns}, features, places)
            start += size

    def _open(self) -> Any:
        """A ``datasets.IterableDataset``."""
        import datasets  # a second of imports that a trained model does not need

        here = Path(self.path).expanduser()
        if self._is_saved():
            try:
                rows = self._only(datasets.load_from_disk(here))
            except IndexError:  # datasets looks for a first file
                raise DataError(f"{self.path} is empty: it has no rows") from None
        else:
            rows = self._only(self._fetched(datasets))
        return rows if isinstance(rows, datasets.IterableDataset) else rows.to_iterable_dataset()

    def _fetched(self, datasets: Any) -> Any:
        """A set on the hub, or where that does not answer, what was fetched of it before."""
        before, answers = datasets.config.HF_HUB_OFFLINE, hub.answers()
        try:
            datasets.config.HF_HUB_OFFLINE = before or not answers  # or it would ask again and again, for a minute
            return datasets.load_dataset(self.path, streaming=self.streaming)
        except ConnectionError:
            if answers:
                raise
            raise DataError(
                f"no file or folder {self.path}{_near(Path(self.path))}, and the hub, which may have a set of that "
                "name, does not answer"
            ) from None
        finally:
            datasets.config.HF_HUB_OFFLINE = before

    def _only(self, rows: Any) -> Any:
        """The split that is wanted of what may have several."""
        if not isinstance(rows, dict):
            return rows
        if self.split not in rows and (len(rows) > 1 or self.split != "train"):
            raise DataError(f"{self.path} has no split {self.split!r}\nit has: {listed(rows)}")
        return rows[self.split] if self.split in rows else next(iter(rows.values()))

    @contextmanager
    def _explaining(self) -> Iterator[None]:
        """Turn what ``datasets`` raises into one DataError, and keep it from talking meanwhile."""
        from datasets.utils import logging

        try:
            with silent(logging):
                yield
        except DataError:
            raise
        except Exception as error:  # each format raises its own library's errors
            what = f"{self.path} cannot be read"
            if not self._is_saved():
                what = f"no file or folder {self.path}, nor can it be fetched from the hub"
            raise DataError(f"{what}: {_innermost(error)}") from error


def _near(path: Path) -> str:
    """What stands beside a path that leads nowhere, and is called nearly so."""
    try:
        return did_you_mean(path.name, (it.name for it in path.parent.iterdir()))
    except OSError:
        return ""


def _innermost(error: BaseException) -> str:
    while error.__cause__ is not None:
        error = error.__cause__
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _shuffled(chunks: Iterator[Chunk], order: Random, buffer: int) -> Iterator[Chunk]:
    """The same rows, each drawn from the ``buffer`` rows that are held at a time."""
    held: list[tuple] = []
    drawn: list[tuple] = []
    names: list[str] = []
    for chunk in chunks:
        names = names or list(chunk.columns)
        if set(names) != set(chunk.columns):
            raise DataError(
                f"{chunk.place(0)} has the columns {listed(chunk.columns)}, and rows before it {listed(names)}"
            )
        # Files may have the same columns in another order.
        chunk = chunk._replace(columns={name: chunk.columns[name] for name in names})
        for row in zip(*chunk.columns.values(), chunk.places, strict=True):
            held.append(row)
            if len(held) > buffer:
                place = order.randrange(len(held))
                held[place], held[-1] = held[-1], held[place]
                drawn.append(held.pop())
        if len(drawn) >= ROWS_AT_ONCE:
            yield _together(drawn, chunk)
            drawn = []
    order.shuffle(held)
    drawn += held
    for start in range(0, len(drawn), ROWS_AT_ONCE):
        yield _together(drawn[start : start + ROWS_AT_ONCE], chunk)


def _together(rows: Sequence[tuple], like: Chunk) -> Chunk:
    """Rows, each a value for each column and its place, as a chunk with the columns of another one."""
    *columns, places = zip(*rows, strict=True)
    return like._replace(columns=dict(zip(like.columns, map(list, columns), strict=True)), places=places)
