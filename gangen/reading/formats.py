"""Rows of one file, by its format; every reader gives the columns that are wanted, and says where each row stands."""

import csv
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice, repeat
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TextIO

from gangen.account import Account
from gangen.errors import DataError
from gangen.reading.encodings import opened, unpacked

ROWS_AT_ONCE = 256
# Cells may be whole books; the limit is there against quotes that are never closed, which are found otherwise.
LONGEST_CELL = 2**31 - 1


class Choose(Protocol):
    """What columns are wanted."""

    def __call__(self, features: Mapping[str, Any], hints: Mapping[str, str] = ...) -> Sequence[str]:
        """Of those there are, with the type of each, None where any value may stand; ``hints`` say why one is not.

        Raises DataError for one that is not there.
        """


class Chunk(NamedTuple):
    """Some rows: the values of each column; and, of columns of classes, the names of all classes in their order.

    A class is given by its name, None where there is none; media as {"bytes", "path"}, for the caller to decode.
    """

    columns: Mapping[str, Sequence[Any]]
    classes: Mapping[str, tuple[str, ...]]
    places: Sequence[tuple[str, int | str]]

    def place(self, row: int) -> str:
        """Where a row stands, for messages: "poems.txt:12", or "poems.parquet, row 12"."""
        file, number = self.places[row]
        return f"{file}{number}"


def read_lines(path: Path, encoding: str, choose: Choose, account: Account) -> Iterator[Chunk]:
    """Lines of text, in the column "text"."""
    choose({"text": None})
    with opened(path, encoding) as file:
        start = 1
        while lines := list(islice(file, ROWS_AT_ONCE)):
            yield Chunk({"text": lines}, {}, _places(path, range(start, start + len(lines))))
            start += len(lines)


def read_csv(path: Path, encoding: str, choose: Choose, account: Account) -> Iterator[Chunk]:
    """A table with commas between its cells, and quotes around those that hold any; cells are text as it stands."""
    return _read_table(path, encoding, choose, account, strict=True)


def read_tsv(path: Path, encoding: str, choose: Choose, account: Account) -> Iterator[Chunk]:
    """A table with tabs between its cells, where quotes are like any other character."""
    return _read_table(path, encoding, choose, account, delimiter="\t", quoting=csv.QUOTE_NONE)


def _read_table(path: Path, encoding: str, choose: Choose, account: Account, **dialect: Any) -> Iterator[Chunk]:
    csv.field_size_limit(LONGEST_CELL)
    with opened(path, encoding, newline="") as file:
        rows = _cells(path, csv.reader(file, **dialect))
        _, header = next(rows, (0, None))
        if header is None:
            raise DataError(f"{path} is empty")
        wanted = choose(dict.fromkeys(header))
        if double := [name for name in wanted if header.count(name) > 1]:
            raise DataError(f"{path} has several columns {double[0]!r}; rename all but one")
        where = [header.index(name) for name in wanted]
        while some := list(islice(rows, ROWS_AT_ONCE)):
            for number, cells in some:
                if len(cells) != len(header):
                    there = f"{len(cells)} cells, but there are {len(header)} columns ({', '.join(header)})"
                    hint = "" if "delimiter" in dialect else "\nput quotes around what has a comma in it"
                    raise DataError(f"{path}:{number} has {there}{hint}")
                for column in where:
                    if "\n" in cells[column]:
                        _look_into(path, number, cells[column], len(header), account)
            columns = {name: [cells[column] for _, cells in some] for name, column in zip(wanted, where, strict=True)}
            yield Chunk(columns, {}, _places(path, [number for number, _ in some]))


def _cells(path: Path, reader: Any) -> Iterator[tuple[int, list[str]]]:
    """Rows of a table with the line that each begins in."""
    while True:
        number = reader.line_num + 1
        try:
            cells = next(reader, None)
        except csv.Error as error:
            raise DataError(
                f"{path}:{number}: a quote opens that is not closed as it should be (line {reader.line_num}: {error})\n"
                "within quotes write two for one; a cell without any around it may have them anywhere but at its start"
            ) from None
        if cells is None:
            return
        if cells:
            yield number, cells


def _look_into(path: Path, number: int, cell: str, columns: int, account: Account) -> None:
    """Warn of a cell that holds what look like rows."""
    inner = cell.splitlines()[1:-1]
    if columns > 1 and inner and all(line.count(",") == columns - 1 for line in inner):
        account.warnings.append(
            f"{path}:{number}: one cell holds {len(inner)} lines that look like rows; is a quote there by mistake?"
        )


def read_json(path: Path, encoding: str, choose: Choose, account: Account) -> Iterator[Chunk]:
    """Objects, one a line, or a list of them; what is no object stands in the column "text"."""
    with opened(path, encoding) as file:
        rows = _values(path, file)
        first = list(islice(rows, ROWS_AT_ONCE))
        if not first:
            raise DataError(f"{path} is empty")
        wanted = choose(dict.fromkeys(name for _, row in first for name in row))
        some = first
        while some:
            columns = {name: [row.get(name) for _, row in some] for name in wanted}
            yield Chunk(columns, {}, _places(path, [number for number, _ in some]))
            some = list(islice(rows, ROWS_AT_ONCE))


def _values(path: Path, file: TextIO) -> Iterator[tuple[int, dict[str, Any]]]:
    """Rows with their lines, or their numbers in a list."""
    start = next((line for line in file if line.strip()), "")
    file.seek(0)
    if _is_object(start):
        lines = ((number, line) for number, line in enumerate(file, 1) if line.strip())
        found: Iterable[tuple[int, Any]] = ((number, _value(path, line, number)) for number, line in lines)
    else:  # one value over many lines
        found = enumerate(_rows_of(_value(path, file.read())) if start else [], 1)
    for number, value in found:
        yield number, value if isinstance(value, dict) else {"text": value}


def _is_object(line: str) -> bool:
    try:
        return not isinstance(json.loads(line), list)
    except ValueError:
        return False


def _value(path: Path, text: str, line: int | None = None) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        place = f"{path}:{error.lineno if line is None else line}:{error.colno}"
        raise DataError(f"{place}: this is not JSON: {error.msg}") from None
    except RecursionError:
        raise DataError(f"{path} cannot be read: it is nested too deeply") from None


def _rows_of(whole: Any) -> Sequence[Any]:
    """The rows of a list, or of an object that holds a list for each column."""
    if isinstance(whole, list):
        return whole
    columns = whole.values() if isinstance(whole, dict) else ()
    if columns and all(isinstance(column, list) for column in columns) and len({len(it) for it in columns}) == 1:
        return [dict(zip(whole, row, strict=True)) for row in zip(*columns, strict=True)]
    return [whole]


def read_parquet(path: Path, encoding: str, choose: Choose, account: Account) -> Iterator[Chunk]:
    """A table of Parquet; columns of media are left to the caller to decode."""
    import datasets  # a second of imports that a trained model does not need
    from pyarrow import ArrowException, parquet

    try:
        with unpacked(path) as raw, parquet.ParquetFile(raw) as file:
            features = datasets.Features.from_arrow_schema(file.schema_arrow)
            wanted = list(choose(features))
            start = 1
            for batch in file.iter_batches(ROWS_AT_ONCE, columns=wanted):
                numbers = range(start, start + len(batch))
                yield named(batch.to_pydict(), features, [(f"{path}, row ", number) for number in numbers])
                start += len(batch)
    except (ArrowException, OSError) as error:
        raise DataError(f"{path} cannot be read: {str(error).splitlines()[0]}") from None


def named(columns: Mapping[str, list], features: Mapping[str, Any], places: Sequence[tuple[str, int | str]]) -> Chunk:
    """A chunk of columns as ``datasets`` gives them: numbers of classes become their names."""
    from datasets import ClassLabel

    classes = {name: tuple(features[name].names) for name in columns if isinstance(features[name], ClassLabel)}
    named = {
        name: [None if value is None or value < 0 else classes[name][value] for value in columns[name]]
        for name in classes
    }
    return Chunk({**columns, **named}, classes, places)


def _places(path: Path, numbers: Iterable[int]) -> list[tuple[str, int]]:
    return list(zip(repeat(f"{path}:"), numbers))


READERS = {"text": read_lines, "csv": read_csv, "tsv": read_tsv, "json": read_json, "parquet": read_parquet}
