"""Pictures become a state for each place of a grid, which knows where it is."""

import pytest
import torch

from gangen.errors import UsageError
from gangen_conditional.networks.places import Places
from gangen_conditional.spec import TextFromSpec
from gangen_image import ImageSpec
from gangen_text import TextSpec


def spec(input):
    return TextFromSpec(vocab_size=8, max_length=5, start=0, end=1, pad=2, input=input)


def test_a_state_sees_its_place_alone_and_what_is_near():
    torch.manual_seed(0)
    encoder = Places(spec(ImageSpec(3, 32)), dim=6, width=4, grid=8, norm="none", blocks=0)
    blank = torch.zeros(1, 3, 32, 32, dtype=torch.uint8)
    dotted = blank.clone()
    dotted[:, :, 28:, :4] = 255  # the lowest place at the left
    before, after = encoder(blank), encoder(dotted)
    assert before.states.shape == (1, 64, 6) == (1, 64, encoder.dim)
    assert before.mask.all()
    changed = (before.states != after.states).any(2).reshape(8, 8)
    assert changed[7, 0] and not changed[:5].any() and not changed[:, 3:].any()


def test_the_same_sight_at_two_places_is_two_states():
    encoder = Places(spec(ImageSpec(1, 32)), dim=6, width=4, grid=8, blocks=0)
    rows = torch.full((1, 1, 32, 32), 9, dtype=torch.uint8)
    inside = encoder(rows).states.reshape(8, 8, 6)[3:5, 3:5].flatten(0, 1)  # beyond the reach of the borders
    assert torch.cdist(inside, inside).add(torch.eye(4)).min() > 1e-3
    torch.nn.init.zeros_(encoder.places)
    inside = encoder(rows).states.reshape(8, 8, 6)[3:5, 3:5].flatten(0, 1)
    assert torch.allclose(inside, inside[:1].expand_as(inside), atol=1e-6)


def test_with_blocks_every_place_knows_of_every_other():
    encoder = Places(spec(ImageSpec(1, 32)), dim=8, width=4, grid=8, norm="none", blocks=1)
    blank = torch.zeros(1, 1, 32, 32, dtype=torch.uint8)
    dotted = blank.clone()
    dotted[:, :, 28:, :4] = 255
    before, after = encoder(blank), encoder(dotted)
    assert (before.states != after.states).any(2).all()
    assert not (before.alone != after.alone).any(2).all()


@pytest.mark.parametrize(
    ("given", "grid", "words"),
    [
        (TextSpec(8, 5, 0), 8, "looks at pictures, and what these data are made from is none"),
        (ImageSpec(3, 32), 32, "halving 32 pixels does not lead to grid=32"),
        (ImageSpec(3, 48), 8, "halving 48 pixels does not lead to grid=8"),
    ],
)
def test_what_leads_to_no_grid_is_refused(given, grid, words):
    with pytest.raises(UsageError, match=words):
        Places(spec(given), grid=grid)
