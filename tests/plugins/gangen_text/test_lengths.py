"""Distances of lengths against sorted lengths."""

import random
from statistics import fmean

import pytest

from gangen.errors import UsageError
from gangen.metrics.figures import Figure
from gangen_text.metrics.lengths import Lengths, length_distance


def of_lengths(*lengths):
    return [["word"] * length for length in lengths]


def by_sorting(first, second):
    """Each side repeated until both have equally many."""
    lengths = (
        sorted([len(text) for text in texts] * len(other)) for texts, other in ((first, second), (second, first))
    )
    return fmean(abs(a - b) for a, b in zip(*lengths, strict=True))


@pytest.mark.parametrize("seed", range(10))
def test_distance_is_that_of_sorted_lengths(seed):
    chance = random.Random(seed)
    first, second = (of_lengths(*chance.choices(range(12), k=chance.randint(1, 20))) for _ in range(2))
    assert length_distance(first, second) == pytest.approx(by_sorting(first, second))
    assert length_distance(second, first) == pytest.approx(length_distance(first, second))


def test_distance_by_hand():
    assert length_distance(of_lengths(3, 5), of_lengths(5, 3)) == 0.0
    assert length_distance(of_lengths(3, 5), of_lengths(7, 4)) == pytest.approx(1.5)
    assert length_distance(of_lengths(0), of_lengths(4, 6, 8)) == pytest.approx(6.0)


def test_samples_against_held_out_beside_training_texts(bench):
    evaluation = bench(["a b", ""], ["a b c d.", "a b"], ["a b c", "a b c", "a b c"])
    metric = Lengths()
    figures = {"length_distance": Figure(pytest.approx(2.0), pytest.approx(1.5), "low")}
    assert metric(evaluation) == figures
    evaluation.data.train = None
    assert metric(evaluation) == figures


def test_tokens_may_stand_for_words(bench):
    # One token, three words.
    evaluation = bench(["don't"], ["don't"], ["a b c d e"])
    assert Lengths()(evaluation)["length_distance"].value == pytest.approx(2.0)
    assert Lengths(unit="tokens")(evaluation)["length_distance"].value == pytest.approx(4.0)


def test_nothing_to_compare_is_refused():
    for first, second in (([], [["a"]]), ([["a"]], [])):
        with pytest.raises(UsageError, match="both sides have a text"):
            length_distance(first, second)
