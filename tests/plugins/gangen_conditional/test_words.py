"""What the encoder of words makes of texts: states that have read both sides, and nothing of padding."""

import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention

from gangen import UsageError
from gangen_conditional.networks.memory import attend
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
    states, mask, _ = words(tokens)
    assert mask.sum(1).tolist() == [4, 2, 7]
    assert states.shape == (3, 7, words.dim) and words.dim == 8
    for number, row in enumerate(rows):
        alone, _ = words.lstm(words.embedding(torch.tensor([row])))
        torch.testing.assert_close(states[number, : len(row)], alone[0], rtol=0, atol=1e-14)
        assert not states[number, len(row) :].any()


def test_every_state_has_read_both_sides(words):
    memory = words(torch.tensor([[3, 4, 5, 6, 7, 8, 2], [8, 4, 5, 6, 7, 8, 2], [3, 4, 5, 6, 7, 3, 2]]))
    changed_before, changed_behind = (memory.states[0] != memory.states[row] for row in (1, 2))
    assert changed_before.any(1).all() and changed_behind.any(1).all()
    # What words are alone has read none.
    assert [(memory.alone[0] != memory.alone[row]).any(1).nonzero().tolist() for row in (1, 2)] == [[[0]], [[5]]]


def test_each_head_looks_for_itself():
    queries, keys, values = (torch.randn(2, length, 6).double() for length in (3, 5, 5))
    mask = torch.tensor([[True] * 5, [True, True, True, False, False]])
    by_head = [it.unflatten(2, (3, 2)).transpose(1, 2) for it in (queries, keys, values)]
    expected = scaled_dot_product_attention(*by_head, attn_mask=mask[:, None, None])
    seen = attend(queries, keys, values, mask, heads=3)
    torch.testing.assert_close(seen, expected.transpose(1, 2).flatten(2), rtol=0, atol=1e-12)


def test_what_is_made_from_pictures_is_refused():
    with pytest.raises(UsageError, match="conditional/words reads texts, and what these data are made from is none"):
        Words(ImageFromSpec(3, 8, input=ImageSpec(1, 8)))
