"""Classes of folders, and tables of what is known of their files."""

import json
import unicodedata

import pytest

from gangen.account import Account
from gangen.errors import DataError
from gangen.reading.folders import classes_of, read_media
from gangen.reading.paths import find


@pytest.fixture
def files(touch):
    return lambda *names: find(str(touch(*names)), "train", lambda file: file.suffix == ".png", media=True)


def classes(found):
    account = Account("x")
    labels, why = classes_of(found, account)
    return [labels[file] for file in found.files] if labels else why, account.warnings


def rows(found, *columns):
    account = Account("x")
    chunks = read_media(found, "image", lambda features, hints: ["image", *columns], account, classes=True)
    return [
        dict(zip(it.columns, row, strict=True)) for it in chunks for row in zip(*it.columns.values(), strict=True)
    ], account


def test_the_first_folders_that_differ_are_classes_and_deeper_ones_are_told(files):
    labels, warnings = classes(files("all/cat/left/1.png", "all/cat/right/2.png", "all/dog/3.png"))
    assert labels == ["cat", "cat", "dog"]
    assert warnings == ["x: labels are the sub-folders (cat, dog); deeper ones (left, right) are not told apart"]


def test_files_beside_the_folders_leave_no_classes(files):
    why, warnings = classes(files("cat/1.png", "dog/2.png", "stray.png"))
    assert why == "stray.png lies outside of the sub-folders (cat, dog)" and why in warnings[0]


def test_one_folder_is_no_class(files):
    assert "there is but one sub-folder, cat," in classes(files("cat/1.png", "cat/2.png"))[0]


@pytest.mark.parametrize("twin", [unicodedata.normalize("NFD", "é"), "é "])
def test_names_are_composed_and_two_may_not_become_one(files, twin):
    assert classes(files(f"{twin}/1.png", "b/2.png"))[0] == ["b", "é"] or classes(files())[0] == ["é", "b"]
    with pytest.raises(DataError, match="would be one label; rename one of them"):
        classes(files("é/3.png"))


def test_folders_that_are_no_labels_and_empty_ones_are_noted(files, tmp_path):
    (tmp_path / "fox").mkdir()
    found, account = files("cat/1.png", "dog/2.png"), Account("x")
    list(read_media(found, "image", lambda features, hints: ["image"], account, classes=False))
    found.tell(account)
    assert account.notes == ["sub-folders are no labels here: cat, dog", "empty folder: fox"]
    assert account.complete and account.warnings == []


def test_columns_of_a_table_that_nobody_reads_are_noted(files, tmp_path):
    (tmp_path / "metadata.csv").write_text("file_name,kind,image\n1.png,a,x\n2.png,b,y\n")
    read, account = rows(files("1.png", "2.png"))
    assert [row["image"]["path"].endswith(name) for row, name in zip(read, ("1.png", "2.png"), strict=True)] == [
        True
    ] * 2
    assert account.notes == ["columns of its table that are not read: kind"]


def test_a_table_may_have_columns_late_and_names_from_windows(files, tmp_path):
    told = [{"file_name": f"a\\{number}.png"} | ({"kind": 5} if number > 290 else {}) for number in range(300)]
    lines = map(json.dumps, told)
    (tmp_path / "metadata.jsonl").write_text("\n".join(lines))
    found = files(*(f"a/{number}.png" for number in range(300)))
    read, account = rows(found, "kind")
    assert sum(row["kind"] == 5 for row in read) == 9 and account.warnings == []


def test_a_table_gives_columns_and_what_it_does_not_name_is_left_out(files, tmp_path):
    (tmp_path / "Metadata.CSV").write_text("file_name,kind\n1.png,a\ngone.png,b\n")
    read, account = rows(files("1.png", "2.png"), "kind")
    assert [row["kind"] for row in read] == ["a"]
    assert "names 1 that is not there: gone.png" in account.warnings[0]
    assert "1 not named in the table of files: 2.png" in str(account)
    read, account = rows(files())
    assert len(read) == 2 and "says nothing of 1 of 2: 2.png" in account.warnings[1]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("file_name,kind\n9.png,a\n", "names none of those that are there, as 1.png; file_name is to be the path"),
        ("file_name,kind\n1.png,a\n1.png,b\n", "metadata.csv:3: 1.png is named before, and with other values"),
    ],
)
def test_tables_that_cannot_be_meant_so(files, tmp_path, table, message):
    (tmp_path / "metadata.csv").write_text(table)
    with pytest.raises(DataError, match=message):
        rows(files("1.png"), "kind")


def test_a_table_without_names_of_files_is_told(files, tmp_path):
    (tmp_path / "metadata.csv").write_text("filename,kind\n1.png,a\n")
    read, account = rows(files("1.png"))
    assert len(read) == 1 and "it has no column 'file_name', but filename, kind" in account.warnings[0]


def test_a_table_may_name_files_of_other_splits(files, tmp_path):
    (tmp_path / "metadata.csv").write_text("file_name,kind\ntrain/1.png,a\ntest/1.png,b\n")
    read, account = rows(files("train/1.png", "test/1.png"), "kind")
    assert [row["kind"] for row in read] == ["a"] and account.warnings == []
