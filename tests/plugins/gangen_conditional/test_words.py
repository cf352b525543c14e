"""What the encoder of words makes of texts: states that have read both sides, and nothing of padding."""

import pytest
import torch

from gangen import UsageError
from gangen_conditional.networks.words import Words
from gangen_conditional.spec import ImageFromSpec
from gangen_image import ImageSpec
from gangen_text import TextSpec

TEXT = TextSpec(vocab_size=9, max_length=7, start=1, end=2, pad=0)
SPEC = ImageFromSpec(3, 8, input=TEXT)


@pytest.fixture
def words():
    torch.manual_seed(0)
    return Words(SPEC, embedding_dim=5, hidden_dim=4, layers=2).double()


def test_states_are_those_of_each_row_by_itself(words):
    rows = [[3, 4, 5, 2], [6, 2], [3, 4, 5, 6, 7, 8, 2]]
    tokens = torch.tensor([row + [0] * (7 - len(row)) for row in rows])
    states, mask = words(tokens)
    assert mask.sum(1).tolist() == [4, 2, 7]
    assert states.shape == (3, 7, words.dim) and words.dim == 8
    for number, row in enumerate(rows):
        alone, _ = words.lstm(words.embedding(torch.tensor([row])))
        torch.testing.assert_close(states[number, : len(row)], alone[0], rtol=0, atol=1e-14)
        assert not states[number, len(row) :].any()


def test_every_state_has_read_both_sides(words):
    states, _ = words(torch.tensor([[3, 4, 5, 6, 7, 8, 2], [8, 4, 5, 6, 7, 8, 2], [3, 4, 5, 6, 7, 3, 2]]))
    changed_before, changed_behind = (states[0] != states[row] for row in (1, 2))
    assert changed_before.any(1).all() and changed_behind.any(1).all()


def test_what_is_made_from_pictures_is_refused():
    with pytest.raises(UsageError, match="conditional/words reads texts, and what these data are made from is none"):
        Words(ImageFromSpec(3, 8, input=ImageSpec(1, 8)))
