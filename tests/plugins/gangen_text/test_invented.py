"""Words that stand in no training text are counted, one by one and by text."""

import pytest

from gangen.errors import UsageError
from gangen.metrics.figures import Figure
from gangen.splits import StreamSplit
from gangen_text.metrics.invented import Invented


def test_invented_words_beside_those_of_held_out_texts(bench):
    train = ["a dog sits on the bench", "the cat sleeps."]
    samples = ["A dog sleebs on the benchat", "the cat sits.", "the cat", ""]
    heldout = ["a zebra sits on the snow", "cat"]
    figures = Invented()(bench(samples, train, heldout))
    assert figures == {
        "invented": Figure(pytest.approx(2 / 12), pytest.approx(2 / 7), "low"),
        "invented_texts": Figure(1 / 4, 1 / 2, "low"),
    }


def test_a_stream_is_looked_at_in_part_alone_and_texts_without_words_are_said(bench):
    evaluation = bench(["cat", "dog"], ["a cat"], ["a dog"])
    evaluation.training = StreamSplit(lambda epoch: iter(()))
    with pytest.raises(UsageError, match="cannot look at all texts of a stream; say how many, as in training: 100000"):
        Invented().check(evaluation)
    with pytest.raises(UsageError, match="there is no word in these texts that could be looked for"):
        Invented()(bench(["", ""], ["a cat"], ["a dog"]))
