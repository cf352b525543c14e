"""Corrupted texts: what is kept of a text, what changes, and where the tokens come from."""

import pytest
import torch

from gangen_text.extractors.corruption import corrupted, text_only
from gangen_text.spec import TextSpec

PAD, START, END = range(3)
LENGTH = 12
ENDED = TextSpec(1000, LENGTH, START, END, PAD)
ENDLESS = TextSpec(1000, LENGTH, START)


def texts(n):
    """Rows of 4 to 10 tokens, each of which stands at one place only: 100 r + t is token t of row r."""
    lengths = 4 + torch.arange(n) % 7
    place = torch.arange(LENGTH)
    rows = 100 * torch.arange(1, n + 1)[:, None] + place
    rows = torch.where(place == lengths[:, None], END, rows)
    return torch.where(place > lengths[:, None], PAD, rows)


def words(row):
    return [token for token in row.tolist() if token > END]


@pytest.fixture
def found():
    rows = texts(9)
    batches = [corrupted(rows, ENDED, torch.Generator().manual_seed(seed)) for seed in range(40)]
    return rows, batches


def test_rows_are_texts_with_one_end_and_padding_behind_it(found):
    rows, batches = found
    for batch in batches:
        assert torch.equal(text_only(batch, ENDED), batch)
        assert batch.shape == rows.shape
        assert ((batch == END).sum(1) <= 1).all()
        assert (batch[:, -1] > END).logical_or((batch == END).any(1)).all()


def test_moved_tokens_are_the_text_in_another_order(found):
    rows, batches = found
    moved = [(words(row), words(batch[index])) for batch in batches for index, row in enumerate(rows) if index % 3 == 0]
    assert all(sorted(one) == sorted(other) for one, other in moved)
    assert sum(one != other for one, other in moved) > 0.7 * len(moved)


def test_replaced_tokens_come_from_the_rows_and_the_others_stay_in_place(found):
    rows, batches = found
    everything, changed, total = set(rows.flatten().tolist()), 0, 0
    for batch in batches:
        for one, other in zip(rows[1::3], batch[1::3], strict=True):
            kept = words(other)
            assert set(kept) <= everything
            changed += sum(a != b for a, b in zip(words(one), kept, strict=False))
            total += len(kept)
    assert 0.05 < changed / total < 0.3


def test_spliced_texts_break_off_once_and_go_on_in_their_own_or_the_next_row(found):
    rows, batches = found
    origins = set()
    for batch in batches:
        for index in range(2, len(rows), 3):
            tokens = words(batch[index])
            breaks = [place for place in range(1, len(tokens)) if tokens[place] != tokens[place - 1] + 1]
            assert tokens[0] == rows[index, 0] and len(breaks) <= 1
            origins |= {(token // 100 - 1 - index) % len(rows) for token in tokens[breaks[0] :]} if breaks else set()
    assert origins == {0, 1}


def test_texts_of_fixed_length_stay_full_and_empty_ones_empty():
    rows = torch.arange(100, 100 + 6 * LENGTH).view(6, LENGTH)
    assert set(corrupted(rows, ENDLESS, torch.Generator().manual_seed(0)).flatten().tolist()) <= set(
        rows.flatten().tolist()
    )
    empty = text_only(torch.full((6, LENGTH), END), ENDED)
    assert torch.equal(corrupted(empty, ENDED, torch.Generator().manual_seed(0)), empty)
