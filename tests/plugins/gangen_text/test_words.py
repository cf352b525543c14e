"""Rows as words and as tokens."""

import pytest
import torch

from gangen.splits import StreamSplit
from gangen_text.data.oracle import OracleData
from gangen_text.metrics.words import read, real, words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A dog, on the BEACH.", ["a", "dog", ",", "on", "the", "beach", "."]),
        ("don't -- ever!?", ["don", "'", "t", "-", "-", "ever", "!", "?"]),
        ("two  lines\nof 42 Äpfel", ["two", "lines", "of", "42", "äpfel"]),
        ("a <unk> < b", ["a", "<unk>", "<", "b"]),
        (" ", []),
        ("", []),
    ],
)
def test_words_and_punctuation_in_lower_case(text, expected):
    assert words(text) == expected


def test_rows_are_read_up_to_their_end(bench):
    texts = ["a dog.", "", "a cat and a dog"]
    codec = bench(texts, texts, texts).data.codec
    rows = codec.pack(codec.tokenize(texts))
    assert read(rows, codec, "words") == [["a", "dog", "."], [], ["a", "cat", "and", "a", "dog"]]
    assert read(rows, codec, "tokens") == codec.tokenize(texts)
    # Whatever stands behind the end is no part of a text.
    rows[0, 5] = rows[0, 0]
    assert read(rows, codec, "tokens") == codec.tokenize(texts)


def test_words_of_an_oracle_are_its_tokens():
    data = OracleData(vocab_size=50, length=6, train_size=10, heldout_size=10)
    rows = data.heldout.rows()["tokens"]
    assert read(rows, data.codec, "tokens") == rows.tolist()
    assert read(rows, data.codec, "words") == [[str(token) for token in row] for row in rows.tolist()]


def test_real_texts_are_drawn_without_repetition(bench):
    texts = [f"text {number}" for number in range(20)]
    evaluation = bench(texts, texts, texts)
    some = real(evaluation, evaluation.data.train, 8, "words")
    assert len({tuple(text) for text in some}) == 8 and some != [words(text) for text in texts[:8]]
    every = real(evaluation, evaluation.data.train, 99, "words")
    assert sorted(every) == sorted(words(text) for text in texts)


def test_real_texts_of_a_stream_are_its_first(bench):
    texts = [f"text {number}" for number in range(20)]
    evaluation = bench(texts, texts, texts)
    rows = evaluation.samples(20)
    stream = StreamSplit(lambda epoch: ({"tokens": row} for row in torch.unbind(rows)))
    assert real(evaluation, stream, 3, "words") == [words(text) for text in texts[:3]]
