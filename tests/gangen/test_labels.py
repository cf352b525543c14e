import datetime
import math

import pytest
import torch

from gangen import DataError, UsageError, label_number, label_of, labels_shown, numbered
from gangen.account import Account
from gangen.labels import in_order, label_name, with_rows


def test_rows_have_the_places_of_their_labels():
    assert numbered(["b", "a", "b"], ["a", "b"], "rows").tolist() == [1, 0, 1]
    with pytest.raises(DataError, match="rows: label 'c' does not occur in what the labels were taken from"):
        numbered(["a", "c"], ["a", "b"], "rows")


def test_a_prompt_may_have_another_case_but_the_very_name_comes_first():
    assert [label_number(prompt, ["cat", "Dog", "dog"]) for prompt in ("CAT", "Dog", "dog", "DOG")] == [0, 1, 2, 2]


def test_a_network_that_knows_labels_must_be_told_one():
    labels = torch.tensor([1, 0])
    assert label_of({"label": labels}, ["cat", "dog"]) is labels
    assert label_of({"label": labels}, ()) is None and label_of(None, ()) is None
    for condition in (None, {}, {"prefix": labels}):
        with pytest.raises(UsageError, match="a condition needs a label, one of cat, dog"):
            label_of(condition, ["cat", "dog"])


def test_an_unknown_label_is_refused_with_those_that_there_are():
    with pytest.raises(UsageError, match=r"no label 'cats'; did you mean 'cat'\?\nlabels: cat, dog$"):
        label_number("cats", ["cat", "dog"])
    with pytest.raises(UsageError, match=r"name39 and 60 more$"):
        label_number("", [f"name{number}" for number in range(100)])


def test_a_sheet_of_some_labels_says_how_many():
    names = [f"label {number}" for number in range(1200)]
    assert labels_shown(names[:40], names) == "40 of 1,200 labels"
    assert labels_shown(names, names) == labels_shown([""], [""]) == labels_shown([""], []) == ""
    assert labels_shown(["sample", "nearest"], names) == ""


@pytest.mark.parametrize(
    ("cell", "name"),
    [
        (3, "3"),
        (3.0, "3"),
        (True, "True"),
        (" cat ", "cat"),
        ("e\u0301", "\u00e9"),
        (datetime.date(2020, 1, 2), "2020-01-02"),
        (None, None),
        (math.nan, None),
        (" ", None),
    ],
)
def test_cells_are_labels_as_people_write_them(cell, name):
    assert label_name(cell) == name


@pytest.mark.parametrize(("cell", "what"), [(0.5, "a float"), (math.inf, "a float"), (["a", "b"], "2 labels")])
def test_measurements_and_lists_are_no_labels(cell, what):
    with pytest.raises(ValueError, match=f"a label is one name, and here is {what}"):
        label_name(cell)


def test_numbers_come_in_their_order_and_before_names():
    assert in_order(["b", "10", "9", "a", "9"]) == ["9", "10", "a", "b"]


def test_labels_on_one_side_alone_are_told_and_those_never_trained_on_left_out():
    accounts = [Account("set"), Account("other")]
    names, train, held = with_rows(
        ("never", "held", "both", "trained"),
        {"label": torch.tensor([2, 2, 2, 3, 3])},
        {"label": torch.tensor([1, 2]), "x": torch.tensor([10, 20])},
        accounts,
    )
    assert names == ("both", "trained") and train["label"].tolist() == [0, 0, 0, 1, 1]
    assert held["label"].tolist() == [0] and held["x"].tolist() == [20] and accounts[1].left_out == 1
    assert "2 labels ('never', 'held') left out, without a row to train on" in accounts[0].warnings[0]
    assert "label 'trained' without a held-out row" in accounts[0].warnings[1]


def test_labels_that_may_be_one_and_too_many_are_doubted():
    account = Account("set")
    rows = {"label": torch.arange(4)}
    with_rows(("Cat", "cat", "1", "01"), rows, rows, [account])
    alike, many = account.warnings
    assert "'Cat' and 'cat', '1' and '01'" in alike and "4 labels for 4 rows" in many


def test_long_numbers_are_labels_as_others_are():
    one, other = "9007199254740993", "9007199254740992"
    account = Account("x")
    with_rows((one, other), {"label": torch.tensor([0, 0, 1, 1])}, {"label": torch.tensor([0, 1])}, [account])
    assert account.warnings == []
    assert in_order(["a", "1" * 5000, "9"]) == ["9", "1" * 5000, "a"]
