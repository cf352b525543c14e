"""Sentence pairs: from tables in every form, held out without leakage, each fault named."""

import gzip
import json

import datasets
import pytest

from gangen import DataError, UsageError
from gangen_conditional.codecs.output import TextFromCodec
from gangen_conditional.data.parallel import Parallel

PAIRS = [(f"the {noun} {verb}", f"{verb} {noun}") for noun in "abcdefg" for verb in ("runs", "sleeps", "sings")]


@pytest.fixture
def table(tmp_path):
    """``table(rows, name, **columns)`` writes pairs and gives the file."""

    def write(rows=PAIRS, name="pairs.tsv", source="source", target="target"):
        path = tmp_path / name
        if name.endswith(".jsonl"):
            text = "".join(json.dumps({source: one, target: other}) + "\n" for one, other in rows)
        else:
            text = "".join("\t".join(cells) + "\n" for cells in [(source, target), *rows])
        path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
        return path

    return write


def texts(data, split):
    rows = split.rows()
    return set(zip(data.codec.input.decode(rows["input"]), data.codec.decode(rows["tokens"]), strict=True))


@pytest.mark.parametrize("name", ["pairs.tsv", "pairs.jsonl", "pairs.tsv.gz"])
def test_a_table_is_read_and_every_pair_is_on_one_side(table, name):
    data = Parallel(path=str(table(name=name, source="en", target="xx")), source_column="en", target_column="xx")
    train, heldout = texts(data, data.train), texts(data, data.heldout)
    assert train | heldout == set(PAIRS) and not train & heldout
    assert list(data.train.rows()) == ["tokens", "input"]
    assert str(data.accounts[0]).endswith("21 sentences: 20 to train on, 1 held out")


def test_a_saved_set_of_the_hubs_kind_is_read_by_language(tmp_path):
    rows = {"translation": [{"en": one, "xx": other} for one, other in PAIRS]}
    features = datasets.Features({"translation": datasets.Translation(["en", "xx"])})
    datasets.Dataset.from_dict(rows, features=features).save_to_disk(tmp_path / "set")
    data = Parallel(path=str(tmp_path / "set"), source_column="translation.en", target_column="translation.xx")
    assert texts(data, data.train) | texts(data, data.heldout) == set(PAIRS)
    with pytest.raises(DataError, match=r"row 1: column 'translation' has no 'de'\nit has: en, xx"):
        Parallel(path=str(tmp_path / "set"), source_column="translation.en", target_column="translation.de")


def test_a_source_with_several_translations_stays_on_one_side(table):
    rows = [(source, f"{target} {number}") for source, target in PAIRS for number in range(3)]
    data = Parallel(path=str(table(rows)), heldout=0.3)
    train, heldout = ({source for source, _ in texts(data, split)} for split in (data.train, data.heldout))
    assert train and heldout and not train & heldout


def test_held_out_pairs_whose_source_is_trained_on_are_left_out(table):
    path, unseen = str(table()), [("the a runs b", "runs"), ("b sings", "sings b")]
    data = Parallel(path=path, heldout_path=str(table([PAIRS[0], *unseen], "test.tsv")))
    assert texts(data, data.train) == set(PAIRS) and texts(data, data.heldout) == set(unseen)
    assert "1 held-out texts that are in the training texts too" in str(data.accounts[1])
    with pytest.raises(DataError, match="every held-out text is in the training texts too"):
        Parallel(path=path, heldout_path=str(table(PAIRS[:2], "seen.tsv")))
    with pytest.raises(DataError, match=r"2 held-out texts that are in .*\nmend the data, raise"):
        Parallel(path=path, heldout_path=str(table(PAIRS[:2] + unseen[:1], "mostly_seen.tsv")))


def test_empty_cells_are_left_out_and_named(table):
    path = table([*PAIRS, ("the a", " "), ("", "x")])
    assert f"2 with an empty cell: {path}:23, {path}:24" in str(Parallel(path=str(path)).accounts[0])
    with pytest.raises(DataError, match="has no row with text in both of its columns, 'source' and 'target'"):
        Parallel(path=str(table([("a", ""), ("b", "")])))


def test_pairs_of_which_one_side_is_too_long_are_left_out(table):
    data = Parallel(path=str(table([*PAIRS, ("a", "b " * 9), ("a " * 9, "b")])), max_length=6)
    assert "2 longer than 6 tokens on one side (data.max_length)" in str(data.accounts[0])
    assert texts(data, data.train) | texts(data, data.heldout) == set(PAIRS)
    with pytest.raises(DataError, match=r"no pair to train on has 1 to 2 tokens .* has 3 .*\nraise max_length"):
        Parallel(path=str(table()), max_length=3)


def test_held_out_pairs_of_the_built_in_grammar_cannot_be_named():
    with pytest.raises(DataError, match="heldout_path goes with a path"):
        Parallel(size=10, heldout_path="test.tsv")


def test_a_column_that_is_not_there_is_refused_with_those_that_are(table):
    with pytest.raises(DataError, match=r"has no column 'target'.*\nit has: source, french"):
        Parallel(path=str(table(target="french")))


def test_a_row_without_a_translation_is_refused_by_its_line(table):
    path = table([PAIRS[0], ("a sentence alone",)])
    with pytest.raises(DataError, match=r"pairs.tsv:3 has another number of cells \(1\) than of columns \(2: source"):
        Parallel(path=str(path))


def test_plain_text_is_no_table(tmp_path):
    (tmp_path / "lines.txt").write_text("one\ntwo\n")
    with pytest.raises(DataError, match=r"holds no table of sentences \(.csv, .tsv"):
        Parallel(path=str(tmp_path / "lines.txt"))


def test_built_in_sentences_are_a_function_of_the_seed_and_held_out_unseen():
    first, again, other = (Parallel(size=300, seed=seed) for seed in (0, 0, 1))
    assert texts(first, first.heldout) == texts(again, again.heldout) != texts(other, other.heldout)
    assert len(first.heldout) == 15 and not texts(first, first.heldout) & texts(first, first.train)


def test_a_sheet_has_the_sentence_and_the_truth_beside_translations():
    data = Parallel(size=300)
    rows = data.sheet()
    assert len(rows) == 8
    assert {(row.beside["input"], row.beside["truth"]) for row in rows} <= texts(data, data.heldout)
    assert data.codec.input.decode(rows[0].condition["input"]) == [rows[0].beside["input"]]


def test_each_language_has_a_vocabulary_of_its_own_which_are_described():
    data = Parallel(size=300)
    source, target = data.describe()
    assert source.startswith(f"source: a vocabulary of {data.codec.spec.input.vocab_size}; up to ")
    assert target.startswith(f"target: a vocabulary of {data.codec.spec.vocab_size}; up to ")


def test_prompts_are_sentences_that_the_model_knows(tmp_path):
    data = Parallel(size=300, max_length=24)
    (tmp_path / "codec").mkdir()
    data.codec.save(tmp_path / "codec")
    codec = TextFromCodec.load(tmp_path / "codec")
    condition = codec.encode("the girl sees the dog", 3)
    assert condition["input"].shape == (3, 24)
    assert codec.input.decode(condition["input"]) == ["the girl sees the dog"] * 3
    with pytest.raises(UsageError, match=r"does not know 'grils'; did you mean 'girls'\?\nit takes a sentence, as '"):
        codec.encode("the grils see the dog", 1)
    with pytest.raises(UsageError, match="has 30 tokens; this model reads 23 at most"):
        codec.encode("the dog " * 15, 1)
    with pytest.raises(UsageError, match="there is nothing to start from: this model takes a sentence, as '"):
        codec.encode("", 1)
