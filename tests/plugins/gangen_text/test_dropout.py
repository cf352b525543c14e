import pytest
import torch

from gangen import noise
from gangen_text.networks.dropout import dropout
from gangen_text.networks.lstm import LSTMGenerator
from gangen_text.networks.relational import RelationalMemory
from gangen_text.spec import TextSpec

SPEC = TextSpec(vocab_size=12, max_length=5, start=0)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_a_share_is_zero_and_the_rest_makes_up_for_it(dtype):
    torch.manual_seed(0)
    rows = torch.full((100, 1000), 2.0, dtype=dtype)
    dropped = dropout(rows, 0.4, training=True)
    assert dropped.dtype == dtype
    assert (dropped == 0).double().mean().item() == pytest.approx(0.4, abs=0.01)
    torch.testing.assert_close(
        dropped[dropped != 0].unique().double(), torch.tensor([2 / 0.6]).double(), rtol=4e-3, atol=0
    )
    assert dropout(rows, 0.4, training=False) is rows


@pytest.mark.parametrize("network", [LSTMGenerator, RelationalMemory])
def test_what_a_generator_drops_belongs_to_the_global_batch(network):
    torch.manual_seed(0)
    generator = network(SPEC, dropout=0.5).double()
    tokens = torch.randint(1, 12, (4, 5))

    def likelihoods(part, parts):
        with noise.shared(1, part, parts):
            return generator.log_prob(tokens[part * 4 // parts : (part + 1) * 4 // parts])

    whole = likelihoods(0, 1)
    torch.testing.assert_close(torch.cat([likelihoods(0, 2), likelihoods(1, 2)]), whole)
    assert not torch.allclose(whole, generator.eval().log_prob(tokens))
