"""Rows of one file, by its format; every reader gives the columns that are wanted, and says where each row stands."""

import csv
import json
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice, repeat
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TextIO

from gangen.account import Account, listed
from gangen.errors import DataError
from gangen.reading.encodings import opened, unpacked
from gangen.reading.paths import suffix_of

ROWS_AT_ONCE = 256
# Cells may be whole books; the limit is there against quotes that are never closed, which are found otherwise.
LONGEST_CELL = 2**31 - 1
# Levels of JSON that the stack of a thread has room for.
LIFTED = 5000
BRACKETS = re.compile(r'[][{}]|"(?:[^"\\]|\\.)*"')
# json.loads asks of every line anew how it is to be decoded.
DECODER = json.JSONDecoder()


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
    """Lines of text, in the column "text"; blank ones are none."""
    _chosen(choose, ["text"], ", a line each; other columns are those of tables")
    with opened(path, encoding, account) as file:
        start = 1
        while lines := list(islice(file, ROWS_AT_ONCE)):
            if start == 1 and lines[0].startswith("{") and _is_row(lines[0]):
                account.warnings.append(f"{path} holds JSON, as it seems, read as text; let its name end in .jsonl")
            numbers: Sequence[int] = range(start, start + len(lines))
            start += len(lines)
            if any(map(str.isspace, lines)):
                numbers = [number for number, line in zip(numbers, lines, strict=True) if not line.isspace()]
                account.skip("blank lines", len(lines) - len(numbers))
                lines = [line for line in lines if not line.isspace()]
            if lines:
                yield Chunk({"text": lines}, {}, _places(path, numbers))


def read_csv(path: Path, encoding: str, choose: Choose, account: Account) -> Iterator[Chunk]:
    """A table with commas between its cells, and quotes around those that hold any; cells are text as it stands."""
    return _read_table(path, encoding, choose, account, strict=True)


def read_tsv(path: Path, encoding: str, choose: Choose, account: Account) -> Iterator[Chunk]:
    """A table with tabs between its cells, where quotes are like any other character."""
    return _read_table(path, encoding, choose, account, delimiter="\t", quoting=csv.QUOTE_NONE)


def _read_table(path: Path, encoding: str, choose: Choose, account: Account, **dialect: Any) -> Iterator[Chunk]:
    csv.field_size_limit(LONGEST_CELL)
    comma = dialect.get("delimiter", ",")
    with opened(path, encoding, account, newline="") as file:
        rows = _cells(path, csv.reader(file, **dialect), account)
        line, header = next(rows, (0, None))
        if header is None:
            raise DataError(f"{path} is empty")
        header[0] = header[0].lstrip("\ufeff")  # a second byte order mark, which programs add to one that is there
        wanted = _chosen(choose, header, f" (line {line}, which should name the columns){_separator(header, comma)}")
        _refuse_double(path, wanted, header)
        places = {name: place for place, name in enumerate(header)}
        where = [places[name] for name in wanted]
        begun = False
        while some := list(islice(rows, ROWS_AT_ONCE)):
            for number, cells in some:
                if len(cells) != len(header):
                    raise DataError(f"{path}:{number} {_wrong_count(cells, header, comma)}")
            columns = {name: [cells[column] for _, cells in some] for name, column in zip(wanted, where, strict=True)}
            if comma == "\t" and not begun:
                _warn_of_quotes(path, columns, account)
            begun = True
            yield Chunk(columns, {}, _places(path, [number for number, _ in some]))


def _warn_of_quotes(path: Path, columns: Mapping[str, Sequence[str]], account: Account) -> None:
    for name, cells in columns.items():
        if all(len(cell) > 1 and cell[0] == cell[-1] == '"' for cell in cells):
            account.warnings.append(
                f"{path}: each {name} has quotes around it, which are part of it in such a file; save it as .csv"
            )


def _chosen(choose: Choose, names: Iterable[str], where: str) -> Sequence[str]:
    """The columns to read; an error for one that is not there says ``where`` the others are."""
    try:
        return choose(dict.fromkeys(names))
    except DataError as error:
        raise DataError(f"{error}{where}") from None


def _refuse_double(path: Path, wanted: Iterable[str], names: Sequence[str]) -> None:
    counts = Counter(names)
    if double := [name for name in wanted if counts[name] > 1]:
        raise DataError(f"{path} has several columns {double[0]!r}; rename all but one")


def _separator(header: Sequence[str], comma: str) -> str:
    """What to do where a header seems to have another character between its cells than ``comma``."""
    if len(header) > 1 or not (other := next((it for it in ",;\t|" if it in header[0]), "")):
        return ""
    advice = {",": "let the name of the file end in .csv", "\t": "let the name of the file end in .tsv"}
    return f"\nits cells have {other!r} between them: {advice.get(other, 'save it with commas')}"


def _wrong_count(cells: Sequence[str], header: Sequence[str], comma: str) -> str:
    """That a row has too few cells, or too many, and what to do."""
    count = f"has another number of cells ({len(cells):,}) than of columns ({len(header):,}: {listed(header)})"
    if comma == "\t":
        return f"{count}\nno cell can hold a line break or a tab in such a file, also within quotes; save it as .csv"
    if len(cells) > len(header):
        return f"{count}\nput quotes around what has a comma in it; the first line has to name all columns"
    return f"{count}\nput quotes around what has a line break in it, and a comma for each cell that is empty"


def _are_rows(cells: Sequence[str]) -> bool:
    """Whether every line that a row spans has as many commas as a row of its own, as those after a stray quote."""
    lines = ",".join(cells).replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return len(cells) > 1 and all(line.count(",") == len(cells) - 1 for line in lines)


def _cells(path: Path, reader: Any, account: Account) -> Iterator[tuple[int, list[str]]]:
    """Rows of a table with the line that each begins in."""
    warned = False
    while True:
        number = reader.line_num + 1
        try:
            cells = next(reader, None)
        except csv.Error as error:
            raise DataError(
                f"{path}:{number}: a quote opens that is not closed as it should be (line {reader.line_num}: {error})\n"
                'within quotes write two for one ("""Oh"", she said"); a cell without quotes starts with none'
            ) from None
        if cells is None:
            return
        if cells:
            if not warned and reader.line_num > number and _are_rows(cells):
                warned = True
                account.warnings.append(
                    f"{path}:{number} has a cell with lines that look like rows; is a quote there by mistake?"
                )
            yield number, cells


def read_json(path: Path, encoding: str, choose: Choose, account: Account) -> Iterator[Chunk]:
    """Objects, one a line, or a list of them; what is no object stands in the column "text"."""
    with opened(path, encoding, account) as file:
        rows = _values(path, file)
        some = list(islice(rows, ROWS_AT_ONCE))
        if not some:
            raise DataError(f"{path} is empty")
        features = dict.fromkeys(name for _, row in some for name in row)
        try:
            wanted = choose(features)
        except DataError:  # there may be such a column in later rows
            features |= dict.fromkeys(name for _, row in rows for name in row)
            wanted = choose(features)
            file.seek(0)
            rows = _values(path, file)
            some = list(islice(rows, ROWS_AT_ONCE))
        while some:
            if late := set().union(*(row for _, row in some)) - features.keys():
                features |= dict.fromkeys(sorted(late))
                wanted = choose(features)
            columns = {name: [row.get(name) for _, row in some] for name in wanted}
            yield Chunk(columns, {}, _places(path, [number for number, _ in some]))
            some = list(islice(rows, ROWS_AT_ONCE))


def _values(path: Path, file: TextIO) -> Iterator[tuple[int, dict[str, Any]]]:
    """Rows with their lines, or their numbers in a list."""
    start, *others = list(islice((line for line in file if line.strip()), 2)) or [""]
    file.seek(0)
    if _is_row(start) and (others or suffix_of(path) != ".json"):
        lines = ((number, line) for number, line in enumerate(file, 1) if line.strip())
        found: Iterable[tuple[int, Any]] = ((number, _value(path, line, number)) for number, line in lines)
    else:  # one value, maybe over many lines
        found = enumerate(_rows_of(_value(path, file.read())) if start else [], 1)
    for number, value in found:
        yield number, value if isinstance(value, dict) else {"text": value}


def _is_row(line: str) -> bool:
    try:
        _refuse_depth(line)
        return not isinstance(json.loads(line), list)
    except (ValueError, RecursionError):
        return False


def _value(path: Path, text: str, line: int | None = None) -> Any:
    try:
        _refuse_depth(text)
        value = DECODER.decode(text)
        if "\\ud" in text or "\\uD" in text:  # halves of characters, which are none by themselves
            json.dumps(value, ensure_ascii=False).encode()
        return value
    except json.JSONDecodeError as error:
        place = f"{path}:{error.lineno if line is None else line}:{error.colno}"
        hint = "\nwrite an object on each line, or all in one list" if error.msg == "Extra data" else ""
        raise DataError(f"{place}: this is not JSON: {error.msg}{hint}") from None
    except RecursionError:
        why = "it is nested too deeply"
    except UnicodeEncodeError as error:
        why = f"{error.object[error.start]!a} is half of a character"
    except ValueError as error:  # a number of thousands of digits
        why = str(error).partition(":")[0]
    raise DataError(f"{path}{'' if line is None else f':{line}'} cannot be read: {why}")


def _refuse_depth(text: str) -> None:
    """Raises RecursionError as Python does, where others have lifted its limit: such JSON kills the process."""
    if sys.getrecursionlimit() > LIFTED and text.count("[") + text.count("{") > LIFTED:
        depth = 0
        for mark in BRACKETS.finditer(text):
            depth += (mark[0] in "[{") - (mark[0] in "]}")
            if depth > LIFTED:
                raise RecursionError


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
            names = file.schema_arrow.names
            try:
                features = datasets.Features.from_arrow_schema(file.schema_arrow)
            except ValueError:  # a type that datasets does not have
                features = dict.fromkeys(names)
            wanted = list(choose(features))
            _refuse_double(path, wanted, names)
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
    values = dict(columns)
    chunk = Chunk(values, classes, places)
    for name, known in classes.items():
        for row, value in enumerate(columns[name]):
            if value is not None and value >= len(known):
                raise DataError(f"{chunk.place(row)}: {name} is {value}, and its classes end at {len(known) - 1}")
        values[name] = [None if value is None or value < 0 else known[value] for value in columns[name]]
    return chunk


def _places(path: Path, numbers: Iterable[int]) -> list[tuple[str, int]]:
    return list(zip(repeat(f"{path}:"), numbers))


READERS = {"text": read_lines, "csv": read_csv, "tsv": read_tsv, "json": read_json, "parquet": read_parquet}
