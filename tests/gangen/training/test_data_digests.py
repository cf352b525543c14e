"""A run that goes on with other data than it was begun with is refused as such; with the same ones it goes on."""

import json
from pathlib import Path

import pytest
import torch

from gangen.cli import main
from gangen.splits import TensorSplit
from gangen.training.data_digests import digests_of

RECIPE = """
run: run
data: {use: text/lines, path: rows.csv, label_column: label, heldout_path: held.csv, tokenizer: words}
players: {generator: {use: text/lstm, embedding_dim: 4, hidden_dim: 4}}
objective: text/gumbel
phases: {pretrain: {steps: 2, turns: {imitate: 1}}}
trainer: {batch_size: 4, threads: 1}
every: {sample: 0, checkpoint: 1}
metrics: [text/unique]
"""
TEXTS = ["a red house", "the old tree", "a house by the tree", "old red wood", "the wood", "a tree", "a", "a"]
ROWS = [(text, "home" if "house" in text else "wood") for text in TEXTS]
HELD = [("by the house", "home"), ("a wood", "wood")]
OTHERS = {
    "a word more": ([("a green house", "home"), *ROWS[1:]], "the codec differs (vocab_size is 13 and not 12)"),
    "another word": ([(text.replace("red", "rot"), label) for text, label in ROWS], "codec differs (tokenizer.json)"),
    "a label less": ([(text, "home") for text in TEXTS], "the codec differs (labels is ('home',) and not "),
    "a label": (
        [*ROWS[:-1], (TEXTS[-1], "home")],
        "begun with: the training rows differ in label, or in another order\n",
    ),
    "order": (ROWS[::-1], "begun with: the training rows are others, or in another order\n"),
    "fewer rows": (ROWS[:-1], "begun with: 7 training rows and not 8\n"),
    "more rows": (ROWS * 2, "begun with: 16 training rows and not 8\n"),
}


def write(name, rows):
    with open(name, "w", encoding="utf-8") as file:
        file.writelines(f"{text},{label}\n" for text, label in [("text", "label"), *rows])


@pytest.fixture
def begun(tmp_path, monkeypatch):
    """A run of which a step was played and a step is left."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    write("rows.csv", ROWS)
    write("held.csv", HELD)
    assert main(["recipe.yaml"]) == 0
    (tmp_path / "run/checkpoints/latest").write_text("step-00000001\n")
    return tmp_path / "run"


@pytest.mark.parametrize("what", OTHERS)
@pytest.mark.parametrize("command", [["recipe.yaml"], ["check", "recipe.yaml"]], ids=["train", "check"])
def test_other_data_are_refused_as_such(what, command, begun, capsys):
    rows, words = OTHERS[what]
    recipe = (begun / "recipe.yaml").read_bytes()
    write("rows.csv", rows)
    write("held.csv", [(text, "home") for text, _ in HELD] if what == "a label less" else HELD)
    assert main([*command, "every.log=7"]) == 1
    said = capsys.readouterr().err
    assert "the data are not those that this run was begun with: " in said and words in said
    assert "damaged" not in said
    assert (begun / "recipe.yaml").read_bytes() == recipe
    # Networks that were made for another codec are no beginning.
    assert ("start_from=run begins it with the networks of this one" in said) == ("codec" not in words)


def test_a_recipe_is_checked_where_another_one_was_played(begun, capsys):
    write("rows.csv", ROWS[:2])
    assert main(["check", "recipe.yaml", "seed=1"]) == 0
    assert "warning: it cannot be trained as it is: run holds a run of another recipe; it differs" in (
        " ".join(capsys.readouterr().out.split())
    )


def test_a_run_goes_on_once_its_data_are_put_back(begun, tmp_path):
    write("rows.csv", ROWS[:2])
    assert main(["recipe.yaml"]) == 1
    write("rows.csv", ROWS)
    assert main(["recipe.yaml"]) == 0
    assert (tmp_path / "run/checkpoints/latest").read_text() == "step-00000002\n"


def test_held_out_rows_are_looked_at(begun, capsys):
    write("held.csv", HELD[::-1])
    assert main(["recipe.yaml"]) == 1
    assert "begun with: the held-out rows are others, or in another order\n" in capsys.readouterr().err


def test_of_a_stream_held_out_rows_are_looked_at_alone(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "recipe.yaml").write_text(RECIPE.replace("tokenizer: words", "tokenizer: words, streaming: true"))
    write("rows.csv", ROWS)
    write("held.csv", HELD)
    assert main(["recipe.yaml", "phases.pretrain.steps=1"]) == 0
    write("rows.csv", ROWS[::-1])
    assert main(["recipe.yaml"]) == 0
    write("held.csv", HELD[:1])
    assert main(["recipe.yaml", "phases.pretrain.steps=3"]) == 1
    assert "begun with: 1 held-out row and not 2\n" in capsys.readouterr().err


def test_an_evaluation_warns_of_other_rows_and_refuses_another_codec(begun, capsys):
    write("rows.csv", ROWS[::-1])
    assert main(["eval", "run", "--no-sweep"]) == 0
    words = "the data are not those that the run was trained with: the training rows are others"
    assert words in json.loads(Path("run/evaluation.json").read_text())["warnings"][0]
    write("rows.csv", OTHERS["a word more"][0])
    assert main(["eval", "run", "--no-sweep"]) == 1
    assert "not those that run was trained with: the codec differs (vocab_size is 13" in capsys.readouterr().err


def test_a_checkpoint_that_does_not_know_its_data_goes_on_where_networks_fit(begun, tmp_path, capsys):
    path = tmp_path / "run/checkpoints/step-00000001/state.json"
    state = json.loads(path.read_text())
    del state["data"]
    path.write_text(json.dumps(state | {"format": 2, "figures": {}}))
    path.with_name("manifest.json").unlink()
    write("rows.csv", OTHERS["a word more"][0])
    assert main(["recipe.yaml"]) == 1
    said = capsys.readouterr().err
    assert "generator/model.safetensors does not fit: embedding.weight is [12, 4] there and [13, 4] here" in said
    assert "damaged" not in said
    write("rows.csv", ROWS[::-1])
    assert main(["recipe.yaml"]) == 0


class Codec:
    spec = None

    def save(self, folder):
        (folder / "codec.json").write_text("{}")


class Data:
    codec = Codec()

    def __init__(self, **columns):
        self.train = self.heldout = TensorSplit(**columns)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.bool, torch.int64, torch.float32, torch.bfloat16, torch.float64])
def test_digests_see_a_value_of_any_type_its_shape_and_its_type(dtype):
    rows = torch.zeros(2500, 2, 3).to(dtype)
    changed = rows.clone()
    changed[2400, 1, 2] = 1
    different = [rows, changed, rows.reshape(2500, 3, 2), rows.to(torch.int32)]
    columns = [digests_of(Data(x=it))["rows"]["training"]["columns"]["x"] for it in different]
    assert len(set(columns)) == 4
    assert digests_of(Data(x=rows.transpose(1, 2).contiguous().transpose(1, 2))) == digests_of(Data(x=rows.clone()))
