"""Copies and longest common runs against a search by brute force."""

import random

import pytest

from gangen.errors import UsageError
from gangen.metrics.figures import Figure
from gangen.splits import StreamSplit
from gangen_text.metrics.copying import Copied, Originals, shares


def longest_run(text, originals):
    runs = (
        end - start
        for start in range(len(text))
        for end in range(start + 1, len(text) + 1)
        for other in originals
        if any(other[at : at + end - start] == text[start:end] for at in range(len(other)))
    )
    return max(runs, default=0)


@pytest.mark.parametrize("seed", range(30))
def test_longest_runs_are_those_of_a_search(seed):
    chance = random.Random(seed)
    letters = "abcdefg"[: chance.randint(1, 7)]
    originals = [chance.choices(letters, k=chance.randint(0, 9)) for _ in range(chance.randint(1, 6))]
    texts = [chance.choices([*letters, "x"], k=chance.randint(0, 9)) for _ in range(12)]
    texts += [originals[0], originals[0] * 2, [], ["x"], originals[-1][1:]]
    found = Originals(originals)
    assert found.longest_runs(texts).tolist() == [longest_run(text, originals) for text in texts]
    assert [text in found for text in texts] == [bool(text) and text in originals for text in texts]


def test_runs_do_not_reach_from_one_original_into_the_next():
    originals = Originals([["a", "b"], ["c", "d"]])
    assert originals.longest_runs([["a", "b", "c", "d"], ["b", "c"]]).tolist() == [2, 1]


def test_copies_beside_those_among_held_out_texts(bench):
    train = ["a dog sits on the bench", "the cat sleeps"]
    samples = ["A dog sits on the bench", "dog sits on", "a zebra eats grass", ""]
    heldout = ["a cat sits on the snow", "cat"]
    figures = Copied()(bench(samples, train, heldout))
    runs = (6 / 6 + 3 / 3 + 1 / 4 + 0) / 4, (3 / 6 + 1 / 1) / 2
    assert figures == {
        "copied": Figure(1 / 4, 0.0, "low"),
        "copied_run": Figure(*map(pytest.approx, runs), "low"),
    }


def test_training_texts_are_read_once(bench, captions):
    evaluation = bench(captions(9, 1), captions(9, 2), captions(9, 3))
    metric = Copied()
    figures = metric(evaluation)
    evaluation.data.train = None
    assert metric(evaluation) == figures


def test_part_of_the_training_texts_has_fewer_copies(bench, captions):
    train = captions(100, 1)
    evaluation = bench(train, train, captions(9, 3))
    assert Copied()(evaluation)["copied"].value == 1.0
    assert 0 < Copied(training=20)(evaluation)["copied"].value < 1


def test_a_stream_needs_a_number_of_texts(bench, captions):
    train = captions(30, 1)
    evaluation = bench(train, train, captions(9, 3))
    rows = evaluation.samples(30)
    evaluation.data.train = evaluation.training = StreamSplit(lambda epoch: ({"tokens": row} for row in rows))
    with pytest.raises(UsageError, match="all texts of a stream; say how many, as in training: 100000"):
        Copied().check(evaluation)
    metric = Copied(training=10, samples=10)
    metric.check(evaluation)
    assert metric(evaluation)["copied"].value == 1.0


def test_nothing_to_compare_is_refused():
    with pytest.raises(UsageError, match="no texts that samples could be copied from"):
        Originals([])
    with pytest.raises(UsageError, match="no text to look for"):
        shares([], Originals([["a"]]))
