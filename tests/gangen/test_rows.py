"""Rows of any source: what a path stands for, splits, shuffling, and what is said of what cannot be read."""

import json
import os
import shlex
from dataclasses import dataclass
from typing import ClassVar

import datasets
import pytest

from gangen import Account, DataError, Rows


@dataclass(frozen=True)
class Numbers(Rows):
    """As a plugin would read numbers from tables."""

    column: str = "x"
    readers: ClassVar = {".csv": "csv", ".jsonl": "json"}
    wanted = "table of numbers"
    hints: ClassVar = {"y": "; y is for those who measured it"}

    def columns(self, features):
        return [self.column]


def numbers(path, *, column="x", order=(), **options):
    rows = Numbers(str(path), column=column, **options)
    found = [value for chunk in rows.chunks(**dict(order)) for value in chunk.columns[column]]
    return [int(value) if str(value).isdecimal() else value for value in found]


def write(path, values, column="x"):
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [column, *values] if path.suffix == ".csv" else [json.dumps({column: value}) for value in values]
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


def test_a_path_is_a_file_a_glob_or_a_folder(tmp_path):
    write(tmp_path / "a [1]/one.csv", [1, 2])
    write(tmp_path / "a [1]/deeper/two.csv", [3])
    (tmp_path / "a [1]/notes.md").write_text("no numbers")
    assert numbers(tmp_path / "a [1]/one.csv") == [1, 2]
    assert numbers(f"{tmp_path}/*/one.csv") == [1, 2]
    assert sorted(numbers(tmp_path / "a [1]")) == [1, 2, 3]


def test_a_split_is_a_sub_folder_or_files_that_are_called_so(tmp_path):
    write(tmp_path / "folders/train/a.csv", [1])
    write(tmp_path / "folders/test/b.csv", [2])
    write(tmp_path / "files/train.csv", [1])
    write(tmp_path / "files/test-00000-of-00002.csv", [2])
    write(tmp_path / "files/test-00001-of-00002.csv", [3])
    assert numbers(tmp_path / "folders") == numbers(tmp_path / "files") == [1]
    assert numbers(tmp_path / "folders", split="test") == [2]
    assert numbers(tmp_path / "files", split="test") == [2, 3]


def test_what_is_held_out_is_another_split_or_another_path(tmp_path):
    rows = Numbers(str(write(tmp_path / "files/train.csv", [1]).parent))
    write(tmp_path / "files/test.csv", [2])
    write(tmp_path / "whole/test.csv", [2])
    write(tmp_path / "whole/other.csv", [3])
    assert rows.other("test").split == "test"
    assert rows.other(str(tmp_path / "whole")).path == str(tmp_path / "whole")
    assert Numbers("someone/numbers").other("test").split == "test"
    with pytest.raises(DataError, match="has no split 'valid', and there is no file or folder"):
        rows.other("valid")
    with pytest.raises(DataError, match="as a whole includes its 'test'; put what to train on into"):
        Numbers(str(tmp_path / "whole")).other("test")


def test_saved_sets_have_splits_and_classes_have_names(tmp_path):
    features = datasets.Features({"x": datasets.ClassLabel(names=["odd", "even"]), "y": datasets.Value("int64")})
    made = datasets.Dataset.from_dict({"x": [1, 0, -1], "y": [5, 6, 7]}, features=features)
    datasets.DatasetDict(train=made, test=made.select([1])).save_to_disk(tmp_path / "saved")
    (chunk,) = Numbers(str(tmp_path / "saved")).chunks()
    assert chunk.columns == {"x": ["even", "odd", None]}
    assert chunk.classes == {"x": ("odd", "even")}
    assert numbers(tmp_path / "saved", split="test") == ["odd"]
    with pytest.raises(DataError, match=r"has no split 'valid'\nit has: train, test"):
        numbers(tmp_path / "saved", split="valid")


def test_an_epoch_is_a_permutation_by_seed_and_number(tmp_path):
    path = write(tmp_path / "a.csv", range(50))
    first, again, second, reseeded = (
        numbers(path, order={"seed": seed, "epoch": epoch, "buffer": 50})
        for seed, epoch in ((1, 0), (1, 0), (1, 1), (2, 0))
    )
    assert sorted(first) == sorted(second) == list(range(50))
    assert first == again
    assert len({tuple(order) for order in (range(50), first, second, reseeded)}) == 4


def test_media_of_a_folder_are_left_to_the_caller_to_decode(tmp_path):
    class Folder(Rows):
        readers: ClassVar = {".png": "image"}

    (tmp_path / "a").mkdir()
    (tmp_path / "a/1.png").write_bytes(b"damaged")
    (tmp_path / "a/notes.txt").write_text("no medium")
    (chunk,) = Folder(str(tmp_path)).chunks()
    assert [cell["path"].endswith("a/1.png") for cell in chunk.columns["image"]] == [True]
    with pytest.raises(DataError, match="such files are read from a folder, not one by one"):
        list(Folder(str(tmp_path / "a/1.png")).chunks())


def test_labels_are_names(tmp_path):
    for values, names in (
        ([3, 1.0], ["3", "1"]),
        ([" a ", "e\u0301"], ["a", "\u00e9"]),
        ([True, False], ["True", "False"]),
    ):
        rows = Numbers(str(write(tmp_path / "a.jsonl", values)))
        assert [rows.labels(chunk, "x") for chunk in rows.chunks()] == [names]
    for value, message in (
        (None, r"a row has no label in column 'x': .*b\.jsonl:1\nsay what they are"),
        (0.5, r"b\.jsonl:1: a label is one name, and here is a float: 0\.5"),
        (["a", "b"], r"b\.jsonl:1: a label is one name, and here is 2 labels"),
    ):
        rows = Numbers(str(write(tmp_path / "b.jsonl", [value])))
        with pytest.raises(DataError, match=message):
            [rows.labels(chunk, "x") for chunk in rows.chunks()]


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("nowhere.csv", {}, r"no file or folder \S*nowhere\.csv"),
        ("haeder.csv", {}, r"no file or folder \S*haeder\.csv; did you mean 'header\.csv'\?$"),
        ("nothing*.csv", {}, "no file matches"),
        ("empty", {}, r"folder .*empty holds no table of numbers"),
        ("notes.md", {}, "holds no table of numbers"),
        ("packed.zip", {}, r"packed\.zip is an archive; unpack it, and name the folder"),
        ("packed.tar.gz", {}, r"packed\.tar\.gz is an archive; unpack it"),
        ("pipe", {}, "pipe is neither a file nor a folder; write what it gives into a file"),
        ("header.csv", {}, "is empty: it has no rows"),
        ("mixed", {}, r"files of several kinds \(.csv, .jsonl\); name those of one, as \S*mixed/\*\*/\*\.csv"),
        ("a.csv", {"column": "xx"}, r"no column 'xx'; did you mean 'x'.\nit has: x"),
        ("a.csv", {"column": "y"}, r"no column 'y'; y is for those who measured it"),
        ("no_table.jsonl", {}, r"no_table\.jsonl:1:2: this is not JSON"),
    ],
)
def test_what_is_wrong_is_said_in_one_message(name, options, message, tmp_path, capfd):
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.md").write_text("no numbers")
    (tmp_path / "no_table.jsonl").write_text("{no")
    (tmp_path / "header.csv").write_text("x\n")
    (tmp_path / "packed.zip").write_bytes(b"PK")
    (tmp_path / "packed.tar.gz").write_bytes(b"")
    os.mkfifo(tmp_path / "pipe")
    write(tmp_path / "a.csv", [1])
    write(tmp_path / "mixed/a.csv", [1])
    write(tmp_path / "mixed/b.jsonl", [1]).rename(tmp_path / "mixed/b.jsonl.gz")
    with pytest.raises(DataError, match=message):
        numbers(tmp_path / name, **options)
    output = capfd.readouterr()
    assert not output.out and not output.err


def test_what_is_suggested_for_several_kinds_works(tmp_path):
    write(tmp_path / "a b/1.csv", [1])
    write(tmp_path / "a b/deeper/2.csv", [2])
    write(tmp_path / "a b/3.jsonl", [3])
    with pytest.raises(DataError, match="several kinds") as error:
        numbers(tmp_path / "a b")
    (path,) = shlex.split(str(error.value).rpartition(", as ")[2])
    assert numbers(path) == [1, 2]


def test_many_columns_are_not_all_named(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text(",".join(f"c{number}" for number in range(1000)) + "\n")
    with pytest.raises(DataError, match=r"it has: c0, c1, .*c39 and 960 more"):
        numbers(path)


def test_a_saved_set_may_be_empty(tmp_path):
    datasets.Dataset.from_dict({"x": []}).save_to_disk(tmp_path / "saved")
    with pytest.raises(DataError, match="saved is empty: it has no rows"):
        numbers(tmp_path / "saved")


def test_what_lies_beside_a_split_is_named(tmp_path):
    for name in ("train", "test", "unsup"):
        write(tmp_path / name / "a.csv", [1])
    (tmp_path / "README").write_text("no numbers")
    account = Account("numbers")
    assert numbers(tmp_path, order={"account": account}) == [1]
    assert f"outside of the split passed over: {tmp_path / 'unsup/a.csv'}" in str(account)
    assert f"1 file passed over: {tmp_path / 'README'}" in str(account)


def test_a_path_is_given(tmp_path):
    with pytest.raises(DataError, match="the path of the data is empty"):
        numbers("")


def test_shuffled_rows_keep_their_columns_where_files_have_them_in_another_order(tmp_path):
    class All(Numbers):
        def columns(self, features):
            return list(features)

    (tmp_path / "a.csv").write_text("x,y\nx1,y1\n")
    (tmp_path / "b.csv").write_text("y,x\ny2,x2\n")
    (chunk,) = All(str(tmp_path)).chunks(epoch=0, buffer=10)
    assert sorted(zip(chunk.columns["x"], chunk.columns["y"], strict=True)) == [("x1", "y1"), ("x2", "y2")]
    (tmp_path / "b.csv").write_text("x\nx2\n")
    with pytest.raises(DataError, match="columns"):
        list(All(str(tmp_path)).chunks(epoch=0, buffer=10))


def test_a_file_that_a_pattern_matches_in_several_ways_is_read_once(tmp_path):
    write(tmp_path / "a/b/c.csv", [1, 2])
    assert numbers(f"{tmp_path}/**/**/*.csv") == [1, 2]
