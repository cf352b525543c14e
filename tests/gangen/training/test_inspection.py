"""`gangen data RECIPE` shows what a run would read, before any training."""

import pytest
from PIL import Image

from gangen.cli import main

RECIPE = """
run: run
data: {use: text/lines, path: rows.csv, label_column: mood, tokenizer: words, max_length: 6, heldout: 0.2}
players: {generator: {use: text/lstm, embedding_dim: 4, hidden_dim: 4}}
objective: text/gumbel
phases: {pretrain: {steps: 2, turns: {imitate: 1}}}
trainer: {batch_size: 4, threads: 1}
metrics: [text/unique]
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    rows = [f"the {number}th text,{'glad' if number % 3 else 'sad'}\n" for number in range(30)]
    (tmp_path / "rows.csv").write_text("text,mood\n" + "".join(rows) + ",sad\na text of all too many words,glad\n")
    return tmp_path


def test_what_became_of_all_rows_is_told(folder, capsys):
    assert main(["data", "recipe.yaml"]) == 0
    told = capsys.readouterr().out.splitlines()
    assert told[0] == "data text/lines"
    assert "to train on: 24 rows of tokens int64 [6], label int64" in told
    assert "held out: 6 rows of tokens int64 [6], label int64" in told
    (labels,) = (line for line in told if line.startswith("labels (to train on + held out): "))
    counts = dict(part.split(": ") for part in labels.partition(": ")[2].split(", "))
    assert {name: sum(map(int, both.split(" + "))) for name, both in counts.items()} == {"glad": 20, "sad": 10}
    (warning,) = (line for line in told if line.startswith("warning: rows.csv: 32 texts"))
    assert "24 to train on, 6 held out, 1 empty: rows.csv:32, 1 longer than 6 tokens (data.max_length)" in warning
    assert (folder / "run/training-rows.txt").read_text().strip()
    assert not (folder / "run/metrics.jsonl").exists()


def test_a_stream_is_looked_at_where_it_begins(folder, capsys):
    assert main(["data", "recipe.yaml", "data.streaming=true", "data.buffer=20"]) == 0
    told = capsys.readouterr().out
    assert "the first 256 to train on: 256 rows of tokens" in told
    assert "; the first 20 of a stream, which may hold more" in told


def test_data_that_cannot_be_read_are_an_error(folder, capsys):
    assert main(["data", "recipe.yaml", "data.path=nowhere.csv"]) == 1
    told = capsys.readouterr().err.splitlines()
    assert told[0] == "gangen: error: no file or folder nowhere.csv; did you mean 'rows.csv'?"
    assert told[-1] == "at recipe.yaml:3:1, command line: data.path=nowhere.csv"
    (folder / "rows.csv").unlink()
    assert main(["data", "recipe.yaml"]) == 1
    assert capsys.readouterr().err.endswith("\nat recipe.yaml:3:1\n")


def test_pictures_are_shown_in_a_sheet_within_the_run_alone(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data.png").write_text("mine")
    for label in "ab":
        (tmp_path / f"set/{label}").mkdir(parents=True)
        for number in range(5):
            Image.new("RGB", (30, 20), (20 * number, ord(label), 255)).save(tmp_path / f"set/{label}/{number}.png")
    (tmp_path / "recipe.yaml").write_text(
        RECIPE.partition("data:")[0] + "data: {use: image/dataset, path: set, size: 8}\n"
        "players: {generator: image/r3gan, discriminator: image/r3gan}\nobjective: image/gan\n"
        "phases: {adversarial: {steps: 2, turns: {discriminate: 1, generate: 1}}}\ntrainer: {batch_size: 4}\n"
    )
    assert main(["data", "recipe.yaml"]) == 0
    told = capsys.readouterr().out.splitlines()
    assert "set: 10 images: 8 to train on, 2 held out; 30 x 20 made 8 x 8; pixels 0 to 255" in told
    assert "held out: 2 rows of image uint8 [3, 8, 8], label int64" in told
    assert "labels (to train on + held out): a: 4 + 1, b: 4 + 1" in told
    with Image.open(tmp_path / "run/training-rows.png") as sheet:
        assert sheet.width >= 16
    assert (tmp_path / "data.png").read_text() == "mine"


def test_what_samples_are_made_from_is_shown_beside_the_truth(tmp_path, monkeypatch, capsys, foreign):
    foreign("shade")
    monkeypatch.chdir(tmp_path)
    assert main(["data", "shade/tint"]) == 0
    said = "sheet of what samples are made from, and the truth: runs/tint/held-out-rows.png"
    assert said in capsys.readouterr().out.splitlines()
    with Image.open(tmp_path / "runs/tint/held-out-rows.png") as sheet:
        assert sheet.width == 2 * 8 * 8  # of 8 pixels a picture, 8 times as large: no samples yet between the two
