"""The first sheet of a run shows held-out rows as later ones show samples, on the screen too."""

from io import StringIO
from itertools import pairwise
from types import SimpleNamespace

import pytest
import torch
from rich.console import Console

from gangen.contracts import sheet_rows
from gangen.run_directory import RunDirectory
from gangen.training.callbacks.sheets import Sheets, real_sheet
from gangen.training.pace import Pace

HELDOUT = {"x": torch.arange(6), "label": torch.tensor([0, 1, 0, 1, 0, 0])}


def codec_of(*prompts):
    return SimpleNamespace(
        per_prompt=3, prompts=lambda: list(prompts), samples_of=lambda rows: -rows["x"], decode=torch.Tensor.tolist
    )


def test_labelled_rows_stand_behind_their_label():
    sheet = real_sheet(codec_of("cat", "dog", "sea lion"), HELDOUT)
    assert [(row.title, row.samples) for row in sheet] == [("cat", [0, -2, -4]), ("dog", [-1, -3]), ("sea lion", [])]


@pytest.mark.parametrize("prompts", [[""], ["1 0", "0 1"]])
def test_rows_without_labels_stand_together(prompts):
    sheet = real_sheet(codec_of(*prompts), {"x": HELDOUT["x"]})
    assert [(row.title, row.samples) for row in sheet] == [("", [0, -1, -2])]


def test_rows_of_data_that_make_nothing_of_labels_stand_together():
    sheet = real_sheet(codec_of(""), HELDOUT)
    assert [(row.title, row.samples) for row in sheet] == [("", [0, -1, -2])]


def test_of_many_labels_some_are_shown_spread_evenly():
    names = [f"label {number}" for number in range(600)]
    codec = SimpleNamespace(per_prompt=1, prompts=lambda: names, encode=lambda prompt, n: {"label": prompt})
    rows = sheet_rows(SimpleNamespace(codec=codec))
    numbers = [names.index(row.title) for row in rows]
    assert len(rows) == 40 and (numbers[0], numbers[-1]) == (0, 599)
    steps = {after - before for before, after in pairwise(numbers)}
    assert steps == {15, 16}
    assert [row.condition["label"] for row in rows] == [row.title for row in rows]
    real = real_sheet(codec_of(*names), {"x": torch.arange(1200), "label": torch.arange(1200) % 600})
    assert [row.title for row in real] == [row.title for row in rows]
    assert real[1].samples == [-15, -615]
    few = real_sheet(codec_of(*names), {"x": torch.arange(3), "label": torch.tensor([7, 8, 7])})
    assert [(row.title, row.samples) for row in few] == [("label 7", [0, -2]), ("label 8", [-1])]


def test_a_preview_does_not_steer_the_terminal(tmp_path):
    codec = SimpleNamespace(
        per_prompt=1,
        prompts=lambda: [""],
        encode=lambda prompt, n: {},
        decode=torch.Tensor.tolist,
        render=lambda sheet, path: path,
        preview=lambda sheet: "a\x1b[2J\nb",
    )
    state, phases = SimpleNamespace(total=3, phase=0, step=3), [SimpleNamespace(name="play", steps=3)]
    data, networks = SimpleNamespace(codec=codec), SimpleNamespace()
    place = {"state": state, "phases": phases, "device": torch.device("cpu")}
    trainer = SimpleNamespace(data=data, players={}, networks=networks, seed=0, strict=True, pace=Pace(), **place)
    sampler = SimpleNamespace(networks=(), sample=lambda n, condition: torch.zeros(n))
    screen = StringIO()
    Sheets(RunDirectory(tmp_path), 3, sampler, Console(file=screen)).after_step(trainer)
    assert screen.getvalue().endswith("\na\\x1b[2J\nb\n\n")
