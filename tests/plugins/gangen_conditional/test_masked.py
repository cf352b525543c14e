"""Texts with holes: which words are hidden, how rows are laid out, and what prompts with holes become."""

import random
from types import SimpleNamespace

import pytest
import torch

from gangen import Account, DataError, StreamSplit, TensorSplit, UsageError
from gangen_conditional.codecs.output import TextFromCodec
from gangen_conditional.data.masked import Masked
from gangen_text import Corpus, Texts

WORDS = ["the", "old", "king", "sold", "his", "small", "house", "and", "went", "to", "see", "a", "river", "near", "it"]


def texts(count=200, seed=0):
    chance = random.Random(seed)
    return [" ".join(chance.choices(WORDS, k=chance.randint(4, 9))) + ", said (he)." for _ in range(count)]


def corpus(rows=None, **options):
    rows = texts() if rows is None else rows
    options = {"tokenizer": "words", "vocab_size": 100, "max_length": 16, "heldout": 0.3} | options
    return Corpus(Texts(rows, None), [], Account("texts", "texts"), **options)


def batch(data, counter=0, rows=range(200), size=200):
    return data.train.batch(counter, rows, size, seed=1, device="cpu")


def fills_of(rows, spec):
    """Of each hole, row by row, its tokens without padding."""
    parts = rows["tokens"][spec.holes(rows["input"])].view(-1, spec.longest)
    return [[token for token in part.tolist() if token != spec.pad] for part in parts]


def test_rows_differ_in_holes_alone_and_hold_the_text():
    data = Masked(of=corpus(), holes=2, longest=3)
    rows, spec = batch(data), data.codec.spec.input
    assert rows["tokens"].shape == rows["input"].shape == (200, 16 + 2 * (3 - 1))
    holes = spec.holes(rows["input"])
    assert torch.equal(rows["tokens"][~holes], rows["input"][~holes])
    plain = data.codec.decode(rows["tokens"])
    source = corpus().train.batch(0, range(200), 200, seed=1, device="cpu")
    assert plain == corpus().codec.decode(source["tokens"])


def test_holes_have_one_to_as_many_words_as_they_may_and_begin_and_end_with_a_word():
    data = Masked(of=corpus(), holes=2, longest=3, share=0.9)
    rows, spec = batch(data), data.codec.spec.input
    fills = fills_of(rows, spec)
    assert {len(fill) for fill in fills} == {1, 2, 3}
    names = data.codec.tokenizer.id_to_token
    assert all(names(fill[end]).isalpha() for fill in fills for end in (0, -1))
    assert any(not names(token).isalpha() for fill in fills for token in fill)  # marks within are hidden too
    counts = spec.holes(rows["input"]).sum(1) // 3
    assert set(counts.tolist()) == {1, 2}


def test_no_more_than_the_share_of_a_text_is_hidden_but_one_word_always():
    for share in (0.01, 0.3):
        data = Masked(of=corpus(), holes=3, longest=4, share=share)
        rows, spec = batch(data), data.codec.spec.input
        words = (spec.holes(rows["input"]) & (rows["tokens"] != spec.pad)).sum(1)
        length = (spec.text(rows["tokens"]) & (rows["tokens"] != spec.pad)).sum(1)
        assert (words <= (share * length).clamp(min=1)).all() and (words >= 1).all()


def test_holes_do_not_touch():
    data = Masked(of=corpus(), holes=3, longest=2, share=0.9)
    holes = data.codec.spec.input.holes(batch(data)["input"])
    for row in holes:
        runs = "".join("h" if hole else " " for hole in row.tolist()).split()
        assert set(map(len, runs)) == {2}


def test_unknown_words_are_never_hidden():
    data = Masked(of=corpus(vocab_size=12))
    rows, spec = batch(data), data.codec.spec.input
    assert (rows["tokens"] == spec.unknown).any()
    assert not any(spec.unknown in fill for fill in fills_of(rows, spec))


def test_a_batch_is_a_function_of_its_number_and_each_process_has_its_rows():
    data = Masked(of=corpus())
    whole = batch(data, 3, range(8), 8)
    parts = [batch(data, 3, range(start, start + 4), 8) for start in (0, 4)]
    for name, column in whole.items():
        assert torch.equal(column, torch.cat([part[name] for part in parts]))


def test_a_text_has_other_holes_when_it_comes_up_again_but_for_held_out_ones():
    rows = [f"{word} and the king" for word in WORDS]
    data = Masked(of=corpus(rows, heldout=0.2))
    counted = len(data.train.plain)
    epochs = [batch(data, number, range(counted), counted) for number in range(2)]
    by_text = [dict(zip(*(data.codec.decode(it["tokens"]), it["input"].tolist()), strict=True)) for it in epochs]
    assert by_text[0].keys() == by_text[1].keys()
    assert by_text[0] != by_text[1]
    again = Masked(of=corpus(rows, heldout=0.2))
    assert torch.equal(data.heldout.rows()["input"], again.heldout.rows()["input"])
    assert torch.equal(data.train.plain.rows()["input"], again.train.plain.rows()["input"])


def test_streams_are_masked_too():
    source = corpus()
    rows = source.train.rows()["tokens"]
    source.train = StreamSplit(lambda epoch: iter({"tokens": row} for row in rows))
    data = Masked(of=source)
    assert not hasattr(data.train, "plain")
    found = batch(data, 0, range(4), 8)
    assert data.codec.spec.input.holes(found["input"]).any(1).all()


def test_the_space_of_chosen_tokens_is_the_words_of_a_hole_and_what_closes_it():
    spec = Masked(of=corpus(), holes=1, longest=3).codec.spec.input
    hole, pad, end = spec.hole, spec.pad, spec.end
    input = torch.tensor([[5, hole, hole, hole, 6, end, pad], [hole, hole, hole, 7, end, pad, pad]])
    tokens = torch.tensor([[5, 8, pad, pad, 6, end, pad], [8, 9, 8, 7, end, pad, pad]])
    expected = [[False, True, True, False, False, False, False], [True, True, True, False, False, False, False]]
    assert spec.chosen(tokens, input).tolist() == expected


@pytest.mark.parametrize("tokenizer", ["byte_bpe", "characters"])
def test_tokens_that_are_no_words_are_refused(tokenizer):
    with pytest.raises(DataError, match=r"hides whole words.*set tokenizer: words"):
        Masked(of=corpus(tokenizer=tokenizer, vocab_size=400, max_length=60))


def test_data_that_are_no_texts_are_refused():
    images = SimpleNamespace(codec=SimpleNamespace(spec=None), train=None, heldout=None)
    with pytest.raises(DataError, match="needs texts"):
        Masked(of=images)


def test_texts_of_one_word_have_nothing_to_hide():
    source = corpus()
    source.heldout = TensorSplit(tokens=source.codec.pack(source.codec.tokenize(["king", "river"])))
    with pytest.raises(DataError, match="no held-out text has a word to hide"):
        Masked(of=source)


@pytest.fixture(scope="module")
def data():
    return Masked(of=corpus(), holes=2, longest=3)


@pytest.mark.parametrize(
    ("prompt", "shown"),
    [
        ("the king [...] his house", "the king [...] his house"),
        ("[...] king sold [...].", "[...] king sold [...]."),
        ("The  king […] house".lower(), "the king [...] house"),
        ("the king [...], [...] [ ... ] house", "the king [...], [...] house"),
        ("the king (he) said ([...]).", "the king (he) said ([...])."),
    ],
)
def test_a_prompt_is_read_with_a_hole_for_each_gap(prompt, shown, data):
    row = data.codec.input.read(prompt)
    assert data.codec.input.decode(row[None]) == [shown]
    spec = data.codec.spec.input
    assert spec.holes(row[None]).sum() == 3 * shown.count("[...]")
    assert row.shape == (20,) and (row == spec.end).sum() == 1


@pytest.mark.parametrize(
    ("prompt", "said"),
    [
        ("the old king", r"nothing to fill in 'the old king': write \[...\] where words are missing"),
        ("[...] [...]", r"only holes in '\[...\] \[...\]'"),
        ("", r"nothing to start from: this model takes a text with \[...\] where words are missing"),
        (None, "nothing to start from"),
        ("the kink [...] house", "does not know 'kink'; did you mean 'king'"),
        ("the king [...] .", r"does not know '\.' with these spaces beside it"),
        ("the ki[...] house", "stands for whole words: put spaces around it"),
        ("the king [...] " + "and went " * 9, "takes 23 tokens, 3 for each hole; this model writes 19 at most"),
    ],
)
def test_what_is_wrong_about_a_prompt_is_said(prompt, said, data):
    with pytest.raises(UsageError, match=said):
        data.codec.encode(prompt, 1)


def test_a_codec_is_read_as_it_was_written(data, tmp_path):
    data.codec.save(tmp_path)
    read = TextFromCodec.load(tmp_path)
    assert read.spec == data.codec.spec
    prompt = "the king [...] his house"
    assert torch.equal(read.encode(prompt, 2)["input"], data.codec.encode(prompt, 2)["input"])


def test_a_sheet_has_held_out_texts_with_holes_and_whole(data):
    for row in data.sheet():
        assert row.n == len(row.condition["input"]) and "[...]" in row.beside["input"]
        before = row.beside["input"].split("[...]")[0].strip()
        assert row.beside["truth"].startswith(before)
