"""Text from files of all kinds, split without leakage; what is wrong with a file is said in one message."""

import bz2
import csv
import gzip
import json

import datasets
import httpx
import pytest
import torch

from gangen import hub
from gangen.errors import DataError
from gangen_text.data.lines import Lines

POEM = [f"line {number} of the poem, by {'anna' if number % 2 else 'bert'}" for number in range(40)]
ROWS = [{"verse": text, "by": text.split()[-1], "id": number} for number, text in enumerate(POEM)]


def lines(path, **options):
    return Lines(**{"path": str(path), "vocab_size": 400, "max_length": 40, **options})


def texts(data, split="heldout"):
    return data.codec.decode(getattr(data, split).rows()["tokens"])


def both(data):
    return texts(data, "train") + texts(data)


def written(folder, name, text):
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.fixture
def poem(tmp_path):
    return written(tmp_path, "poem.txt", "\n".join(POEM) + "\n")


def as_csv(path, delimiter=","):
    with path.open("w", newline="") as file:
        table = csv.DictWriter(file, ROWS[0], delimiter=delimiter)
        table.writeheader()
        table.writerows(ROWS)


def as_parquet(path):
    datasets.Dataset.from_list(ROWS).to_parquet(path)


WRITERS = {
    "rows.csv": as_csv,
    "rows.tsv": lambda path: as_csv(path, "\t"),
    "rows.json": lambda path: path.write_text(json.dumps(ROWS)),
    "rows.jsonl": lambda path: path.write_text("".join(json.dumps(row) + "\n" for row in ROWS)),
    "rows.parquet": as_parquet,
    "saved": lambda path: datasets.Dataset.from_list(ROWS).save_to_disk(path),
    "splits": lambda path: datasets.DatasetDict(
        {"train": datasets.Dataset.from_list(ROWS), "test": datasets.Dataset.from_list(ROWS[:1])}
    ).save_to_disk(path),
}


@pytest.mark.parametrize("name", WRITERS)
def test_tables_are_read_with_their_labels(name, tmp_path):
    WRITERS[name](tmp_path / name)
    data = lines(tmp_path / name, column="verse", label_column="by")
    assert sorted(both(data)) == sorted(POEM)
    assert data.codec.spec.labels == ("anna", "bert")
    for split in (data.train, data.heldout):
        named = [data.codec.spec.labels[label] for label in split.rows()["label"]]
        assert named == [text.split()[-1] for text in data.codec.decode(split.rows()["tokens"])]


@pytest.mark.parametrize("name", ["poem.txt", "poem.lst"])
def test_lines_are_stripped_and_blank_ones_dropped(name, tmp_path):
    path = written(tmp_path, name, "\ufeff one\r\n\r\n \t\r\ntwo \r\n")
    assert sorted(both(lines(path))) == ["one", "two"]


def test_packed_files_folders_and_globs_are_read(tmp_path, poem):
    (tmp_path / "more [1]").mkdir()
    with gzip.open(tmp_path / "more [1]" / "b.txt.gz", "wt") as file:
        file.write("from the packed file\n")
    written(tmp_path, "LICENSE", "not a text")
    assert sorted(both(lines(tmp_path))) == sorted([*POEM, "from the packed file"])
    assert sorted(both(lines(f"{tmp_path}/p*.txt"))) == sorted(POEM)


def test_words_that_look_like_missing_values_are_text(tmp_path):
    path = written(tmp_path, "rows.csv", "text,label\nNA,01\nnull,02\nNone,x\n0042,02\nnan,NA\n")
    data = lines(path, label_column="label")
    assert sorted(both(data)) == ["0042", "NA", "None", "nan", "null"]
    assert data.codec.spec.labels == ("01", "02", "NA", "x")


def test_class_labels_have_their_names(tmp_path):
    features = datasets.Features({"text": datasets.Value("string"), "mood": datasets.ClassLabel(names=["sad", "glad"])})
    rows = [{"text": text, "mood": number % 2} for number, text in enumerate(POEM)]
    datasets.Dataset.from_list(rows, features=features).save_to_disk(tmp_path / "saved")
    assert lines(tmp_path / "saved", label_column="mood").codec.spec.labels == ("glad", "sad")


def test_other_encodings_are_read_when_named(tmp_path):
    path = written(tmp_path, "poem.txt", "caf\xe9\nna\xefve\n".encode("latin-1"))
    assert sorted(both(lines(path, encoding="latin-1"))) == ["café", "naïve"]


def test_the_held_out_share_is_a_function_of_the_seed(poem):
    held = texts(lines(poem, heldout=0.25))
    assert len(held) == 10
    assert held == texts(lines(poem, heldout=0.25))
    assert set(held) != set(texts(lines(poem, heldout=0.25, seed=1)))


def test_copies_of_a_text_stay_on_one_side(tmp_path):
    data = lines(written(tmp_path, "poem.txt", "\n".join(POEM * 3)), heldout=0.5)
    train, held = texts(data, "train"), texts(data)
    assert not set(train) & set(held)
    assert sorted(train + held) == sorted(POEM * 3)


def test_each_label_keeps_a_text_to_train_on(tmp_path):
    rows = [("only one", "rare"), *((f"text {number}", "common") for number in range(20))]
    path = written(tmp_path, "rows.csv", "text,label\n" + "".join(f"{text},{label}\n" for text, label in rows))
    for seed in range(5):
        data = lines(path, label_column="label", heldout=0.9, seed=seed)
        assert data.codec.spec.labels == ("common", "rare")
        assert "only one" in texts(data, "train") and len(data.heldout) >= 17


def test_a_text_is_held_out_wherever_one_can_be(tmp_path):
    rows = "".join(f"text {number},{number if number else 9}\n" for number in range(10))
    path = written(tmp_path, "rows.csv", "text,label\n" + rows)
    for seed in range(5):
        assert texts(lines(path, label_column="label", seed=seed)) in (["text 0"], ["text 9"])
    path = written(tmp_path, "rows.csv", "text,label\na,x\nb,y\n")
    with pytest.raises(DataError, match="no label has two different texts: none can be held out"):
        lines(path, label_column="label")


def test_it_is_told_where_copies_take_more_than_the_share(tmp_path):
    path = written(tmp_path, "a.txt", "\n".join(["hello"] * 50 + POEM[:2]))
    (warning,) = next(found for seed in range(9) if (found := lines(path, heldout=0.3, seed=seed).accounts[0].warnings))
    assert warning.endswith("50 of 52 texts are held out, since copies of a text stay together")


def test_texts_that_are_left_out_have_a_limit(tmp_path):
    long = "".join(f"{number} and much more of this than fits into a row\n" for number in range(8))
    path = written(tmp_path, "a.txt", f"one\ntwo\nthree\n\n\n{long}")
    options = {"tokenizer": "words", "max_length": 4, "seed": 1}
    with pytest.raises(
        DataError, match=r"8 longer than 4 tokens .*; blank lines: 2\nraise max_length, set too_long: cut"
    ):
        lines(path, **options)
    (account,) = lines(path, max_left_out=0.8, **options).accounts
    assert "11 texts: 2 to train on, 1 held out, 8 longer than 4 tokens" in str(account) and not account.complete
    path = written(tmp_path, "a.jsonl", '{"text": null}\n' * 9 + '{"text": "one"}\n{"text": "two"}\n')
    with pytest.raises(DataError, match=r"9 empty: .*\nallow it with max_left_out \(0\.5\)"):
        lines(path, **options)


def test_blank_lines_are_no_loss(tmp_path):
    (account,) = lines(written(tmp_path, "a.txt", "\n\n\n".join(POEM))).accounts
    assert account.complete and str(account).endswith("40 texts: 38 to train on, 2 held out; blank lines: 78")


@pytest.mark.parametrize(
    ("train", "valid"),
    [
        ("train.txt", "valid.txt"),
        ("Train.txt", "Val.txt"),
        ("train.txt.gz", "dev.txt.gz"),
        ("training/a.txt", "validation/a.txt"),
        ("train-00000-of-00001.txt", "validation-00000-of-00001.txt"),
    ],
)
def test_splits_are_known_by_the_names_that_people_give(train, valid, tmp_path):
    for name, content in {train: POEM[:30], valid: POEM[30:], "test.txt": ["for the end"]}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        packed = "\n".join(content).encode()
        written(tmp_path, name, gzip.compress(packed) if name.endswith(".gz") else packed)
    data = lines(tmp_path, heldout_path="valid")
    assert sorted(texts(data, "train")) == sorted(POEM[:30]) and sorted(texts(data)) == sorted(POEM[30:])
    assert all("files of other splits not read" in str(account) for account in data.accounts)
    assert sorted(both(lines(tmp_path))) == sorted(POEM[:30])


@pytest.mark.parametrize(
    ("train", "other"),
    [("ptb.train.txt", "ptb.test.txt"), ("x_train.txt", "x_dev.txt"), ("a/train.txt", "b/valid.txt")],
)
def test_splits_that_are_read_as_one_are_told_of(train, other, tmp_path):
    for name, content in ((train, POEM[:20]), (other, POEM[20:])):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        written(tmp_path, name, "\n".join(content))
    (warning,) = lines(tmp_path).accounts[0].warnings
    assert (
        train in warning and other in warning and "are all read; if these are splits, name what to train on" in warning
    )
    (tmp_path / other).rename((tmp_path / other).with_name("more.txt"))
    assert not lines(tmp_path).accounts[0].warnings


def test_what_else_lies_in_a_folder_is_told_of(tmp_path):
    names = ["a.txt", "b.md", "c", "backup.zip", ".hidden.txt", "deeper/d.TXT", "e.txt.bz2"]
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        content = f"text of {name}\n".encode()
        written(tmp_path, name, bz2.compress(content) if name.endswith(".bz2") else content)
    (tmp_path / "gone.txt").symlink_to(tmp_path / "nowhere")
    data = lines(tmp_path)
    assert sorted(both(data)) == ["text of a.txt", "text of deeper/d.TXT", "text of e.txt.bz2"]
    (account,) = data.accounts
    assert not account.complete
    for part in ("3 files passed over: b.md, backup.zip, c", "1 link to nowhere: gone.txt", "1 hidden file not read"):
        assert part in str(account)


def test_a_cell_that_is_no_number_is_empty_and_bytes_are_no_text(tmp_path):
    path = written(tmp_path, "a.jsonl", '{"text": NaN}\n{"text": 1.5}\n{"text": true}\n')
    assert sorted(both(lines(path))) == ["1.5", "True"]
    datasets.Dataset.from_dict({"text": [b"a", b"b"]}).to_parquet(tmp_path / "a.parquet")
    with pytest.raises(DataError, match="row 1: column 'text' holds bytes, not text"):
        lines(tmp_path / "a.parquet")


@pytest.mark.parametrize("name", ["rows.ndjson", "rows.tab"])
def test_other_suffixes_of_tables_are_known(name, tmp_path):
    WRITERS["rows.jsonl" if name == "rows.ndjson" else "rows.tsv"](tmp_path / name)
    assert sorted(both(lines(tmp_path / name, column="verse"))) == sorted(POEM)


def test_texts_that_become_one_row_are_no_leak(tmp_path):
    path = written(tmp_path, "poem.txt", "\n".join(f"the same beginning, another end {number}" for number in range(20)))
    other = written(tmp_path, "other.txt", "the same beginning, another way\nsomething else altogether here")
    data = lines(path, tokenizer="words", max_length=5, too_long="cut", heldout_path=str(other))
    assert len(data.train) == 20 and len(data.heldout) == 1
    assert str(data.accounts[1]).endswith("2 texts: 1 held out, 1 held-out texts that are in the training texts too")


def test_a_held_out_file_is_used_whole_and_trains_no_tokenizer(tmp_path, poem):
    other = written(tmp_path, "other.txt", "unheard words\nof something else\n")
    data = lines(poem, heldout_path=str(other), tokenizer="words")
    assert sorted(texts(data, "train")) == sorted(POEM)
    assert texts(data) == ["<unk> <unk>", "of <unk> <unk>"]


@pytest.mark.parametrize(("too_long", "rows"), [("drop", 20), ("cut", 40)])
def test_long_texts_are_left_out_or_cut_and_counted(too_long, rows, tmp_path):
    content = [f"a b {number}" for number in range(20)] + [f"{number} c d e f" for number in range(20)]
    path = written(tmp_path, "poem.txt", "\n".join(content))
    data = lines(path, tokenizer="words", max_length=4, heldout=0.5, too_long=too_long)
    assert len(both(data)) == rows and all(len(text.split()) == 3 for text in both(data))
    (account,) = data.accounts
    assert account.given == 40 and account.complete == (too_long == "cut")
    counted = {"drop": str(account), "cut": " ".join(account.warnings)}[too_long]
    assert {"drop": "20 longer than 4 tokens (data.max_length)", "cut": "texts are cut"}[too_long] in counted


@pytest.mark.parametrize(
    ("content", "options", "side", "advice"),
    [
        (
            "\n".join("b " * number + "a " * (9 - number) + "xyz"[number % 3] for number in range(9)),
            {"tokenizer": "words", "vocab_size": 6},
            "to train on",
            "; a larger vocab_size has fewer",
        ),
        ("anna\nbert\nzyx", {"tokenizer": "characters"}, "held out", "; no training text has them; more texts"),
        (
            "\u8655\u8655\u805e\u557c\u9ce5\n\u591c\u4f86\u98a8\u96e8\u8072\n\u82b1\u843d\u77e5\u591a\u5c11",
            {"tokenizer": "words"},
            "held out",
            "; for a script without spaces take tokenizer: characters (or byte_bpe)",
        ),
    ],
)
def test_advice_on_unknown_tokens_fits_the_case(content, options, side, advice, tmp_path):
    path = written(tmp_path, "a.txt", content)
    (account,) = lines(path, **options).accounts
    assert [advice in warning for warning in account.warnings if f"a.txt, {side}: " in warning] == [True]


def test_options_without_effect_are_told_of(poem, tmp_path):
    lines(poem).codec.save(tmp_path)
    (account,) = lines(poem, tokenizer=f"{tmp_path}/tokenizer.json", lowercase=True).accounts
    assert ["no effect of lowercase on" in warning for warning in account.warnings] == [True]
    with pytest.raises(DataError, match="drop_spaces takes out what words are told apart by"):
        lines(poem, tokenizer="words", drop_spaces=True)


def test_rows_end_once_and_are_padded(poem):
    data = lines(poem)
    tokens, spec = data.train.rows()["tokens"], data.codec.spec
    assert tokens.dtype == torch.int64 and tokens.shape == (len(data.train), 40)
    assert (tokens == spec.end).sum(dim=1).eq(1).all()
    assert spec.mask(tokens).logical_not().eq(tokens == spec.pad).all()


@pytest.mark.parametrize(
    ("name", "content", "options", "message"),
    [
        ("missing.txt", None, {}, "no file or folder"),
        ("nothing*.txt", None, {}, "no file matches"),
        ("empty.txt", "", {}, "is empty"),
        ("empty.csv", "", {}, "is empty"),
        ("empty.jsonl", "", {}, "is empty"),
        ("blank.txt", "\n \n", {}, "is empty: it has no rows"),
        ("bytes.txt", b"fine\n\xff\xfe\n", {}, r"bytes\.txt:2 is not utf-8 text .byte 0xff.\ntake the encoding"),
        ("broken.json", "{not json", {}, r"broken\.json:1:2: this is not JSON"),
        ("broken.parquet", "no parquet", {}, "cannot be read"),
        (
            "rows.csv",
            "verse,by\na,b\n",
            {"column": "verses"},
            "no column 'verses'; did you mean 'verse'.\nit has: verse, by",
        ),
        ("rows.csv", "text,by\na,b\n", {"label_column": "who"}, "no column 'who'\nit has: text, by"),
        ("rows.csv", "text,by\na,b\nc,\n", {"label_column": "by"}, r"a row has no label in column 'by': .*rows\.csv:3"),
        ("rows.jsonl", '{"text": ["a"]}\n', {}, "column 'text' holds lists, not text"),
        ("one.txt", "a\na\n", {}, "fewer than two different texts"),
        (
            "long.txt",
            "a b c d\nb c d e f\n",
            {"tokenizer": "words", "max_length": 4},
            "longer than max_length=4; the shortest has",
        ),
        ("poem.txt", "a\nb\n", {"encoding": "utf-99"}, "unknown encoding: utf-99"),
        ("poem.txt", "a\nb\n", {"tokenizer": "byte-bpe"}, "no tokenizer 'byte-bpe'; did you mean 'byte_bpe'"),
    ],
)
@pytest.mark.parametrize("streaming", [False, True])
def test_what_is_wrong_is_said_in_one_message(name, content, options, message, streaming, tmp_path, capfd, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    if content is not None:
        written(tmp_path, name, content)
    with pytest.raises(DataError, match=message):
        lines(tmp_path / name, streaming=streaming, **options)
    output = capfd.readouterr()
    assert not output.out and not output.err


def test_a_folder_must_hold_texts_of_one_kind(tmp_path):
    with pytest.raises(DataError, match="holds no file that can be read"):
        lines(tmp_path)
    written(tmp_path, "a.txt", "a")
    written(tmp_path, "b.csv", "text\nb")
    with pytest.raises(DataError, match=r"several kinds \(\.csv, \.txt\)"):
        lines(tmp_path)


def test_a_held_out_label_must_be_known(tmp_path):
    path = written(tmp_path, "a.csv", "text,by\nx,anna\ny,bert\n")
    other = written(tmp_path, "b.csv", "text,by\nz,carl\n")
    with pytest.raises(DataError, match="label 'carl' does not occur"):
        lines(path, label_column="by", heldout_path=str(other))


def test_a_name_that_is_no_file_goes_to_the_hub(monkeypatch):
    def load_dataset(name, **options):
        assert name == "someone/poems"
        raise ConnectionError("the hub is out of reach")

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    monkeypatch.setattr(hub, "answers", lambda: True)
    with pytest.raises(
        DataError, match="no file or folder someone/poems, nor can it be fetched from the hub: the hub is out of reach"
    ):
        lines("someone/poems")
    monkeypatch.setattr(
        datasets, "load_dataset", lambda name, **options: datasets.DatasetDict(train=datasets.Dataset.from_list(ROWS))
    )
    assert sorted(both(lines("someone/poems", column="verse"))) == sorted(POEM)


def test_a_hub_that_does_not_answer_is_not_asked_again_and_again(monkeypatch, tmp_path):
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path)
    monkeypatch.setattr(hub, "answers", lambda: False)
    monkeypatch.setattr(httpx.Client, "send", lambda *_, **__: pytest.fail("the hub was asked"))
    with pytest.raises(DataError, match=r"^no file or folder poens, and the hub, .*, does not answer$"):
        lines("poens")
    assert not datasets.config.HF_HUB_OFFLINE


def test_nothing_is_left_in_a_cache(poem, tmp_path, monkeypatch):
    assert POEM[0] in both(lines(poem))
    poem.write_text("quite\nanother\n")
    assert sorted(both(lines(poem))) == ["another", "quite"]


def streamed(data, counters, size=10):
    return [
        text
        for counter in counters
        for text in data.codec.decode(data.train.batch(counter, range(size), size, seed=0, device="cpu")["tokens"])
    ]


@pytest.mark.parametrize("name", ["poem.txt", "rows.jsonl", "saved"])
def test_a_stream_gives_all_texts_but_the_held_out_ones(name, poem, tmp_path):
    if name != "poem.txt":
        WRITERS[name](tmp_path / name)
    options = {} if name == "poem.txt" else {"column": "verse", "label_column": "by"}
    data = lines(tmp_path / name, streaming=True, heldout=0.25, buffer=40, **options)
    held = texts(data)
    epochs = streamed(data, range(6))
    assert len(held) == 10
    assert sorted(epochs[:30]) == sorted(epochs[30:]) == sorted(set(POEM) - set(held))
    assert epochs[:30] != epochs[30:]
    assert streamed(lines(tmp_path / name, streaming=True, heldout=0.25, buffer=40, **options), [4]) == epochs[40:50]


def test_a_stream_learns_its_tokenizer_from_the_first_rows(poem):
    data = lines(poem, streaming=True, buffer=4, tokenizer="words", too_long="drop", heldout=0.25)
    known = {word for text in POEM[:4] for word in text.replace(",", " ,").split()}
    assert set(data.codec.tokenizer.get_vocab()) - {"<pad>", "<start>", "<end>", "<unk>"} < known
    assert len(data.heldout) == 1


def test_known_facts_of_quatrains(real_data):
    path = real_data("chinese_poems/quatrains5_16394.txt.gz")
    data = Lines(path=str(path), tokenizer="characters", vocab_size=6000, drop_spaces=True, max_length=32)
    assert data.codec.spec.mask(data.train.rows()["tokens"]).sum(dim=1).eq(25).all()  # 20 characters, 4 marks, the end
    assert len(data.train) + len(data.heldout) <= 16394
    poem = texts(data)[0]
    assert len(poem) == 24 and " " not in poem and poem.endswith("。")


def test_known_facts_of_labelled_quatrains(real_data):
    path = real_data("chinese_poems/tang_quatrains.jsonl.gz")
    data = Lines(path=str(path), tokenizer="characters", vocab_size=6000, max_length=33, label_column="form")
    assert data.codec.spec.labels == ("5", "7")
    lengths = data.codec.spec.mask(data.train.rows()["tokens"]).sum(dim=1)
    assert lengths.equal(torch.where(data.train.rows()["label"] == 0, 25, 33))


def test_known_facts_of_captions(real_data):
    path, other = real_data("coco_captions/iid_train.txt.gz"), real_data("coco_captions/iid_test.txt.gz")
    data = Lines(path=str(path), heldout_path=str(other), max_length=100)
    assert (len(data.train), len(data.heldout)) == (15_821, 4_000)


def test_texts_with_unknown_words_are_left_out_where_that_is_asked_for(tmp_path):
    path = written(
        tmp_path, "x.txt", "\n".join([f"a b c{n % 4}" for n in range(36)] + [f"a odd{n} b" for n in range(4)])
    )
    held = written(tmp_path, "held.txt", "\n".join(["c1 b", "a odd1", "c2 a"]))
    options = {"tokenizer": "words", "vocab_size": 10, "max_length": 5, "heldout_path": str(held)}
    kept, left = lines(path, **options), lines(path, unknown="drop", **options)
    assert len(kept.train) == 40 and any("unk" in it for it in kept.accounts[0].warnings)
    assert len(left.train) == 36 and len(left.heldout) == 2
    assert not (left.train.rows()["tokens"] == left.codec.tokenizer.token_to_id("<unk>")).any()
    assert "4 with tokens unknown to a vocabulary of 10" in str(left.accounts[0]) and not left.accounts[0].warnings


def test_only_what_is_left_of_a_text_that_is_cut_need_be_known(tmp_path):
    path = written(tmp_path, "x.txt", "\n".join(["a b"] * 10 + ["b a"] * 10 + ["a b b b odd", "a odd b b b"]))
    held = str(written(tmp_path, "held.txt", "b b"))
    options = {"tokenizer": "words", "vocab_size": 6, "max_length": 4, "too_long": "cut", "heldout_path": held}
    assert len(lines(path, **options).train) == 22
    assert len(lines(path, unknown="drop", **options).train) == 21


def test_of_unknown_and_long_texts_both_are_named_where_none_is_left(tmp_path):
    path = written(tmp_path, "x.txt", "\n".join([f"a{n} b" for n in range(20)] + ["b b b b b"] * 20))
    with pytest.raises(DataError, match="every text to train on has unknown tokens, or is longer than max_length=4\n"):
        lines(path, tokenizer="words", vocab_size=5, max_length=4, unknown="drop")


def test_where_all_texts_have_unknown_words_that_is_said(tmp_path):
    path = written(tmp_path, "x.txt", "\n".join([f"a{n} b{n}" for n in range(20)]))
    with pytest.raises(DataError, match=r"every text to train on has unknown tokens\nraise vocab_size"):
        lines(path, tokenizer="words", vocab_size=5, unknown="drop")


def test_a_stream_leaves_out_texts_with_unknown_words_as_well(tmp_path):
    path = written(tmp_path, "x.txt", "\n".join([f"a b{n % 5} c{n // 5}" for n in range(20)] + ["a new"] * 5))
    data = lines(path, streaming=True, buffer=20, tokenizer="words", unknown="drop", heldout=0.25)
    rows = data.train.batch(0, range(30), 30, seed=0, device="cpu")["tokens"]
    assert not (rows == data.codec.tokenizer.token_to_id("<unk>")).any()
