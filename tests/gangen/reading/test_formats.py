"""Tables and lines as people have them: nothing is lost or guessed, and what is wrong is said with its line."""

import bz2
import datetime
import gzip
import json
import lzma
import sys
from collections.abc import Mapping

import datasets
import pyarrow as pa
import pytest
from pyarrow import parquet

from gangen.account import Account
from gangen.errors import DataError
from gangen.reading.formats import READERS


def read(path, content, *columns, reader=None, encoding="utf-8"):
    """The wanted columns (all, if none is named) as one tuple a row, the first of each row's place, and warnings."""
    if isinstance(content, pa.Table):
        parquet.write_table(content, path)
    else:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())

    def choose(features: Mapping, hints: Mapping = {}) -> list[str]:
        if missing := [name for name in columns if name not in features]:
            raise DataError(f"{path} has no column {missing[0]!r}\nit has: {', '.join(features)}")
        return list(columns or features)

    account = Account(str(path))
    rows, places = [], []
    for chunk in READERS[reader or path.suffix[1:]](path, encoding, choose, account):
        rows += zip(*chunk.columns.values(), strict=True)
        places += [chunk.place(row) for row in range(len(chunk.places))]
    return rows, [place.removeprefix(str(path)) for place in places], account.warnings


@pytest.fixture
def table(tmp_path):
    return tmp_path / "a.csv"


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("last", [True, False])
def test_lines_and_rows_end_as_on_any_system(end, last, tmp_path):
    lines = end.join(["text,label", "one,x", "two,y"]) + end * last
    rows, places, _ = read(tmp_path / "a.csv", lines)
    assert (rows, places) == ([("one", "x"), ("two", "y")], [":2", ":3"])
    texts, places, _ = read(tmp_path / "a.txt", lines, reader="text")
    assert [text.strip() for (text,) in texts] == ["text,label", "one,x", "two,y"] and places == [":1", ":2", ":3"]


def test_other_separators_are_part_of_a_line(tmp_path):
    line = "a\0b\x0bc\x0cd\x1ce\x85f\u2028g\u2029h"
    assert read(tmp_path / "a.txt", f"{line}\n", reader="text")[0] == [(f"{line}\n",)]
    assert read(tmp_path / "a.csv", f"text,label\n{line},x\n")[0] == [(line, "x")]
    assert read(tmp_path / "a.jsonl", json.dumps({"text": line}, ensure_ascii=True) + "\n", reader="json")[0] == [
        (line,)
    ]


def test_cells_are_text_as_it_stands(table):
    cells = [("00042", "01"), ("NA", "null"), ("", "None"), ("1.0", " x "), ('5" pipe', 'he said "hi"')]
    rows, _, warnings = read(table, "text,label\n" + "".join(f"{one},{two}\n" for one, two in cells))
    assert rows == cells and not warnings


def test_quotes_hold_commas_quotes_and_line_breaks(table):
    content = 'text,label\n"a, b",x\n\n"he said ""hi""",y\n"one\ntwo, with, commas\nthree",x\n\nlast,y\n'
    rows, places, warnings = read(table, content)
    assert [text for text, _ in rows] == ["a, b", 'he said "hi"', "one\ntwo, with, commas\nthree", "last"]
    assert places == [":2", ":4", ":5", ":9"] and not warnings


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ('text,label\none,x\n"two,y\nthree,x\n', 3),
        ('text,label\none,x\n"two,y\nthree,x\n"four,y\n', 3),
        ('text\none\n"two\nthree\n', 3),
        ('text,label\n"he said \\"hi\\"",x\n', 2),
    ],
)
def test_a_quote_that_is_not_closed_is_an_error_with_its_line(content, line, table):
    with pytest.raises(DataError, match=rf"a\.csv:{line}: a quote opens that is not closed"):
        read(table, content)


@pytest.mark.parametrize(
    "content",
    [
        'text,label\n"one,x\ntwo",y\nthree,x\n',
        'id,text\n1,"one\n2,two"\n3,x\n',
        'a,b,c\n1,x,"one\n2,y,two\n3,z,three"\n',
    ],
)
def test_rows_between_two_stray_quotes_are_told_of(content, table):
    first = content.partition(",")[0]
    _, _, (warning,) = read(table, content, first)
    assert warning.endswith("a.csv:2 has a cell with lines that look like rows; is a quote there by mistake?")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            "text,label\na,x\nb\n",
            r":3 .* cells \(1\) than of columns \(2: text, label\)\n.* a comma for each cell that",
        ),
        (
            "text,label\na,x\nb, c,y\n",
            r":3 has .* cells \(3\) .*\nput quotes around what has a comma",
        ),
        ("a,x\nb,y\n", r"no column 'text'\nit has: a, x \(line 1, which should name the columns\)"),
        ("\n\nMy export\ntext,label\n", r"no column 'text'\nit has: My export \(line 3, which"),
        ("text;label\na;x\n", "its cells have ';' between them: save it with commas"),
        ("text\tlabel\na\tx\n", r"its cells have '\\t' between them: let the name of the file end in \.tsv"),
        ("text,text\na,x\n", "has several columns 'text'; rename all but one"),
        ("", "is empty"),
    ],
)
def test_what_is_wrong_with_a_table_is_said(content, message, table):
    with pytest.raises(DataError, match=message):
        read(table, content, "text")


def test_columns_that_nobody_asked_for_are_left_alone(table):
    rows = [("A10001" if number > 300 else str(number), f"text {number}") for number in range(400)]
    content = "id,text,,\n" + "".join(f"{name},{text},,\n" for name, text in rows)
    assert read(table, content, "text")[0] == [(text,) for _, text in rows]
    assert read(table, "text,label\n", "text")[0] == []


def test_what_programs_add_to_a_table_is_no_part_of_it(table):
    assert read(table, "\ufeff\ufefftext,label\na,x\n", "text")[0] == [("a",)]
    assert read(table, 'text,label\r\n"a\rb",x\r\n', "text") == ([("a\rb",)], [":2"], [])


def test_a_cell_may_be_a_whole_book(table):
    book = "word " * 200_000
    assert read(table, f"text,label\n{book},x\n", "text")[0] == [(book,)]


def test_quotes_mean_nothing_in_tsv(tmp_path):
    path = tmp_path / "a.tsv"
    assert read(path, 'text\tlabel\n"one\tx\ntwo"\ty\n')[0] == [('"one', "x"), ('two"', "y")]
    with pytest.raises(DataError, match=r"a\.tsv:2 has another number .*\nno cell can hold a line break or a tab"):
        read(path, 'text\tlabel\n"one\nmore"\tx\n')
    _, _, (warning,) = read(path, 'text\tlabel\n"one"\tx\n"two"\ty\n')
    assert warning.endswith("each text has quotes around it, which are part of it in such a file; save it as .csv")
    with pytest.raises(DataError, match=r"its cells have ',' between them: let the name of the file end in \.csv"):
        read(path, "text,label\none,x\n", "text")


ROWS = [{"text": "one", "label": 1}, {"text": "two", "label": 2}]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.json", json.dumps(ROWS)),
        ("a.json", json.dumps(ROWS, indent=2)),
        ("a.json", "\ufeff" + json.dumps(ROWS)),
        ("a.json", json.dumps({"text": ["one", "two"], "label": [1, 2]})),
        ("a.json", json.dumps({"text": ["one", "two"], "label": [1, 2]}, indent=2)),
        ("a.json", "".join(f"{json.dumps(row)}\n" for row in ROWS)),
        ("a.jsonl", "\n\n".join(map(json.dumps, ROWS))),
        ("a.jsonl", "\r\n".join(map(json.dumps, ROWS))),
        ("a.jsonl", json.dumps(ROWS)),
    ],
)
def test_json_is_read_in_all_its_shapes(name, content, tmp_path):
    assert read(tmp_path / name, content, reader="json")[0] == [("one", 1), ("two", 2)]


def test_json_of_strings_nulls_and_varying_keys(tmp_path):
    path = tmp_path / "a.json"
    assert read(path, '["one", "two"]')[0] == read(path, '"one"\n\n"two"\n')[0] == [("one",), ("two",)]
    assert read(path, '{"text": null}\n{"id": 1}\n{"text": "a", "id": 2}\n', "text")[0] == [(None,), (None,), ("a",)]
    late = '{"id": 1}\n' * 300 + '{"text": "late"}\n'
    assert read(path, late, "text")[0] == [(None,)] * 300 + [("late",)]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"text": "one"}\n{"text": "cut\n{"text": "three"}\n', r":2:14: this is not JSON: Invalid control character"),
        ('{"text": "one"}\n{"text": "cu', r":2:10: this is not JSON: Unterminated string"),
        ('{"text": "one"},\n{"text": "two"},\n', r":1:16: .*: Extra data\nwrite an object on each line"),
        ('{\n"text": "one"\n}\n{\n"text": "two"\n}\n', r":4:1: .*: Extra data\nwrite an object on each line"),
        ("[" * 100_000 + "]" * 100_000, "nested too deeply"),
        ('{"text": "one"}\n{"text": ' + "[" * 100_000 + "]" * 100_000 + "}\n", ":2 cannot be read: it is nested"),
        ('{"text": "one"}\n{"text": "\\ud83d"}\n', r":2 cannot be read: '\\ud83d' is half of a character"),
        ('{"text": "one"}\n{"text": ' + "9" * 5000 + "}\n", ":2 cannot be read: Exceeds the limit"),
        ('{"body": "one"}\n' * 300, r"no column 'text'\nit has: body"),
        ("[]", "is empty"),
    ],
)
def test_what_is_wrong_with_json_is_said_with_its_place(content, message, tmp_path):
    with pytest.raises(DataError, match=message):
        read(tmp_path / "a.jsonl", content, "text", reader="json")


def test_levels_of_json_are_counted_where_python_does_not(tmp_path):
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(10**6)  # as some libraries do; 100,000 levels would end this process
    try:
        for content in ("[" * 8000 + "]" * 8000, '{"text": "[{[", "x": ' + "[" * 8000 + "]" * 8000 + "}"):
            with pytest.raises(DataError, match="nested too deeply"):
                read(tmp_path / "a.jsonl", content, "text", reader="json")
    finally:
        sys.setrecursionlimit(before)


@pytest.mark.parametrize(("suffix", "pack"), [("gz", gzip.open), ("bz2", bz2.open), ("xz", lzma.open)])
@pytest.mark.parametrize("content", ["text\n" + "a" * 2**21, "a\n" * 2**20])
def test_a_bomb_is_not_unpacked(suffix, pack, content, tmp_path, monkeypatch):
    monkeypatch.setattr("gangen.reading.encodings.LEAST_UNPACKED", 2**20)
    path = tmp_path / f"a.csv.{suffix}"
    with pack(path, "wt") as file:
        file.write(content)
    with pytest.raises(DataError, match=rf"a\.csv\.{suffix} unpacks to more than [\d,]+ bytes; unpack it"):
        read(path, path.read_bytes(), reader="csv")
    monkeypatch.setattr("gangen.reading.encodings.LEAST_UNPACKED", 2**22)
    assert read(path, path.read_bytes(), reader="csv")[0]


def test_forty_names_of_columns_are_enough(table):
    header = ",".join(f"column_{number}" for number in range(50_000))
    with pytest.raises(DataError) as refused:
        read(table, f"{header}\na,b\n")
    assert "column_39 and 49,960 more" in str(refused.value) and len(str(refused.value)) < 1000


def test_characters_beyond_the_basic_plane_may_be_escaped_in_json(tmp_path):
    assert read(tmp_path / "a.json", '{"text": "\\ud83d\\ude00"}')[0] == [("\U0001f600",)]


def test_parquet_gives_values_of_any_type(tmp_path):
    path, day = tmp_path / "a.parquet", datetime.date(2020, 1, 2)
    columns = {
        "text": pa.array(["a", None]).dictionary_encode(),
        "my.text": pa.array(["b", "c"], pa.large_string()),
        "my": [1.5, None],
        "day": [day, day],
        "pairs": pa.array([[("k", 1)], []], pa.map_(pa.string(), pa.int64())),
    }
    rows, places, _ = read(path, pa.table(columns), "text", "my.text", "my", "day")
    assert rows == [("a", "b", 1.5, day), (None, "c", None, day)]
    assert places == [", row 1", ", row 2"]


def test_parquet_has_names_of_classes(tmp_path):
    features = datasets.Features({"mood": datasets.ClassLabel(names=["sad", "glad"])})
    made = datasets.Dataset.from_dict({"mood": [1, 0, None]}, features=features)
    assert read(tmp_path / "a.parquet", made.data.table.replace_schema_metadata(features.arrow_schema.metadata))[0] == [
        ("glad",),
        ("sad",),
        (None,),
    ]


def test_a_class_without_a_name_is_an_error(tmp_path):
    features = datasets.Features({"mood": datasets.ClassLabel(names=["sad", "glad"])})
    made = pa.table({"mood": [0, 5]}).replace_schema_metadata(features.arrow_schema.metadata)
    with pytest.raises(DataError, match="row 2: mood is 5, and its classes end at 1"):
        read(tmp_path / "a.parquet", made)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"PAR1 and no more", "cannot be read"),
        (b"", "cannot be read"),
        (pa.Table.from_arrays([pa.array(["a"]), pa.array(["b"])], names=["text", "text"]), "several columns 'text'"),
        (pa.table({"body": ["a"]}), r"no column 'text'\nit has: body"),
    ],
)
def test_what_is_wrong_with_parquet_is_said(content, message, tmp_path):
    with pytest.raises(DataError, match=message):
        read(tmp_path / "a.parquet", content, "text")
