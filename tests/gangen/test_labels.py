import pytest
import torch

from gangen import DataError, UsageError, label_number, label_of, labels_shown, numbered


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
