"""Batches are functions of (seed, counter), whoever asks for them, in whatever order."""

import pytest
import torch

from gangen.errors import DataError
from gangen.splits import StreamSplit, TensorSplit, held_out


def numbered(size):
    return TensorSplit(number=torch.arange(size), double=2 * torch.arange(size))


def numbers(split, counters, size=4, seed=0):
    batches = [split.batch(counter, range(size), size, seed=seed, device="cpu") for counter in counters]
    return torch.cat([batch["number"] for batch in batches]).tolist()


def test_each_epoch_holds_every_row_once_and_batches_cross_its_border():
    drawn = numbers(numbered(10), range(15), size=4)
    epochs = [drawn[start : start + 10] for start in range(0, 60, 10)]
    assert all(sorted(epoch) == list(range(10)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) > 1


def test_rows_of_different_tensors_stay_together():
    batch = numbered(10).batch(7, range(4), 4, seed=1, device="cpu")
    assert batch["double"].equal(2 * batch["number"])


def test_a_batch_depends_on_seed_and_counter_alone():
    in_order = numbers(numbered(10), range(20))
    backwards = [number for counter in reversed(range(20)) for number in reversed(numbers(numbered(10), [counter]))]
    assert in_order == backwards[::-1]
    assert in_order != numbers(numbered(10), range(20), seed=1)


@pytest.mark.parametrize("size", [3, 10, 64])
def test_parts_of_a_batch_are_its_rows(size):
    split = numbered(size)
    whole = numbers(split, [5], size=8)
    parts = [
        split.batch(5, range(start, start + 2), 8, seed=0, device="cpu")["number"].tolist() for start in range(0, 8, 2)
    ]
    assert [number for part in parts for number in part] == whole


def test_rows_have_numbers_whatever_the_order_of_batches():
    split = numbered(10)
    assert split.rows()["number"].tolist() == list(range(10))
    assert split.rows(range(4, 7))["double"].tolist() == [8, 10, 12]
    assert split.rows(range(8, 12))["number"].tolist() == [8, 9]


def test_a_set_smaller_than_a_batch_is_repeated():
    drawn = numbers(numbered(3), [0], size=9)
    assert [sorted(drawn[start : start + 3]) for start in (0, 3, 6)] == [[0, 1, 2]] * 3


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({}, "at least one row"),
        ({"a": torch.zeros(0, 2)}, "at least one row"),
        ({"a": torch.zeros(3), "b": torch.zeros(2)}, "same number of rows"),
    ],
)
def test_what_is_no_split_is_refused(tensors, message):
    with pytest.raises(DataError, match=message):
        TensorSplit(**tensors)


def test_length_is_the_number_of_rows():
    assert len(numbered(10)) == 10


class Stream:
    """Epochs of 5 rows that are rotated by the epoch's number; counts how often it is opened."""

    def __init__(self):
        self.opened = []

    def __call__(self, epoch):
        self.opened.append(epoch)
        for row in range(5):
            yield {"number": torch.tensor((row + epoch) % 5)}


STREAMED = [0, 1, 2, 3, 4, 1, 2, 3, 4, 0, 2, 3, 4, 0, 1, 3, 4, 0, 1, 2]


def test_a_stream_is_read_on_and_over_from_epoch_to_epoch():
    assert numbers(StreamSplit(Stream()), range(5)) == STREAMED


def test_a_stream_asked_in_order_is_read_once():
    stream = Stream()
    split = StreamSplit(stream)
    for counter in range(5):
        for start in (0, 2):
            part = split.batch(counter, range(start, start + 2), 4, seed=0, device="cpu")
            assert part["number"].tolist() == STREAMED[4 * counter + start : 4 * counter + start + 2]
    assert stream.opened == [0, 1, 2, 3]


@pytest.mark.parametrize("counters", [[3], [4, 1], [0, 3], [2, 2]])
def test_a_stream_asked_out_of_order_gives_the_same_rows(counters):
    expected = [number for counter in counters for number in STREAMED[4 * counter : 4 * counter + 4]]
    assert numbers(StreamSplit(Stream()), counters) == expected


def test_a_stream_without_rows_is_refused():
    with pytest.raises(DataError, match="no rows"):
        StreamSplit(lambda epoch: iter(())).batch(0, range(2), 2, seed=0, device="cpu")


def test_rows_are_held_out_with_their_copies_and_each_label_keeps_one():
    assert held_out("aabc", "xxxx", ["a"]) == [True, True, False, False]
    assert held_out("abcd", "xxxy", ["d", "c"]) == [False, False, True, False]  # "d" is the last of y
    assert held_out("aab", "xyy", ["a", "b"]) == [False, False, True]  # "a" is all that x has
    assert held_out("abc", "xxy", ["c"]) == [True, False, False]  # none of those proposed can be
    assert not any(held_out("aaa", "xxx", ["a"]))
