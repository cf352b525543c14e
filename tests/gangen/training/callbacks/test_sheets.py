"""The first sheet of a run shows held-out rows as later ones show samples."""

from types import SimpleNamespace

import pytest
import torch

from gangen import TensorSplit
from gangen.training.callbacks.sheets import real_sheet

HELDOUT = {"x": torch.arange(6), "label": torch.tensor([0, 1, 0, 1, 0, 0])}


def data(*prompts, **columns):
    codec = SimpleNamespace(
        per_prompt=3, prompts=lambda: list(prompts), samples_of=lambda rows: -rows["x"], decode=torch.Tensor.tolist
    )
    return SimpleNamespace(codec=codec, heldout=TensorSplit(**columns))


def test_labelled_rows_stand_behind_their_label():
    sheet = real_sheet(data("cat", "dog", "sea lion", **HELDOUT))
    assert [(row.title, row.samples) for row in sheet] == [("cat", [0, -2, -4]), ("dog", [-1, -3]), ("sea lion", [])]


@pytest.mark.parametrize("prompts", [[""], ["1 0", "0 1"]])
def test_rows_without_labels_stand_together(prompts):
    sheet = real_sheet(data(*prompts, x=HELDOUT["x"]))
    assert [(row.title, row.samples) for row in sheet] == [("", [0, -1, -2])]


def test_rows_of_data_that_make_nothing_of_labels_stand_together():
    sheet = real_sheet(data("", **HELDOUT))
    assert [(row.title, row.samples) for row in sheet] == [("", [0, -1, -2])]
