"""The built-in text: all verses, each under one label, none on both sides of the split."""

import sys
from collections import Counter

import pytest
import torch

from gangen.errors import DataError
from gangen_text.data.verses import Verses, read_verses

pytest.importorskip("pythonbible")

GROUPS = ("law", "history", "wisdom", "psalms", "proverbs", "prophets", "gospels", "acts", "epistles", "revelation")


@pytest.fixture(scope="module")
def verses():
    return Verses(tokenizer="words", vocab_size=4000, max_length=24)


def test_every_verse_has_one_of_ten_groups():
    texts = read_verses("groups")
    counts = Counter(texts.labels)
    assert len(texts.texts) == 31_086  # 31,102 numbers, of which this version leaves 16 empty
    assert tuple(counts) == GROUPS
    # Verses per book as any concordance gives them; of Acts this version leaves out four.
    law = 1533 + 1213 + 859 + 1288 + 959
    assert [counts[group] for group in ("law", "psalms", "proverbs", "acts", "revelation")] == [
        law,
        2461,
        915,
        1007 - 4,
        404,
    ]
    assert counts["wisdom"] == 1070 + 222 + 117


def test_books_are_labels_too():
    texts = read_verses("books")
    assert len(set(texts.labels)) == 66
    assert (texts.labels[0], texts.texts[0]) == ("Genesis", "In the beginning God created the heavens and the earth.")
    assert (texts.labels[-1], texts.texts[-1]) == (
        "Revelation",
        "The grace of the Lord Jesus be with the saints. Amen.",
    )
    assert texts.texts[texts.labels.index("Psalms")].startswith("Blessed is the man that walketh not in the counsel")


def test_verses_are_plain_sentences():
    texts = read_verses("groups").texts
    assert not any(mark in text for text in texts for mark in "[]\n\t<>") and not any("  " in text for text in texts)


def test_rows_carry_the_label_of_their_verse(verses):
    label_of = dict(zip(*read_verses("groups"), strict=True))
    decoded = verses.codec.decode(verses.heldout.rows()["tokens"])
    whole = [
        (text, label)
        for text, label in zip(decoded, verses.heldout.rows()["label"].tolist(), strict=True)
        if text in label_of
    ]
    assert verses.codec.spec.labels == GROUPS
    assert len(whole) > 20
    # A sentence that stands in several books has the label of the last here; nearly all stand once.
    assert sum(label_of[text] == GROUPS[label] for text, label in whole) > 0.9 * len(whole)


def test_the_held_out_part_is_there_and_apart(verses):
    train, held = verses.train.rows()["tokens"], verses.heldout.rows()["tokens"]
    assert 0.04 < len(held) / (len(held) + len(train)) < 0.06
    assert not {tuple(row) for row in train.tolist()} & {tuple(row) for row in held.tolist()}
    assert train.dtype == torch.int64 and train.shape[1] == 24


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "pythonbible", None)
    with pytest.raises(DataError, match=r'pip install "gangen\[demo\]"'):
        Verses()
