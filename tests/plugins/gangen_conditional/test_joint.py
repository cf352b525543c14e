"""A discriminator that sees a text and what it was made from: tokens or relaxed rows, pictures or texts."""

import pytest
import torch
import torch.nn.functional as F

from gangen.errors import UsageError
from gangen_conditional.networks.attentive import AttentiveGenerator
from gangen_conditional.networks.joint import JointDiscriminator
from gangen_conditional.networks.places import Places
from gangen_conditional.networks.words import Words
from gangen_conditional.spec import TextFromSpec
from gangen_image import ImageSpec
from gangen_text import TextSpec

TEXT = {"vocab_size": 8, "max_length": 5, "start": 0, "end": 1, "pad": 2}


@pytest.fixture(params=["picture", "text"])
def game(request):
    """A discriminator, texts and inputs."""
    torch.manual_seed(0)
    tokens = torch.randint(8, (6, 5))
    if request.param == "picture":
        spec = TextFromSpec(**TEXT, input=ImageSpec(3, 16))
        encoder, inputs = Places(spec, dim=8, width=4, grid=4), torch.randint(256, (6, 3, 16, 16)).to(torch.uint8)
    else:
        spec = TextFromSpec(**TEXT, input=TextSpec(**TEXT))
        encoder, inputs = Words(spec, embedding_dim=4, hidden_dim=4), torch.randint(8, (6, 5))
    return JointDiscriminator(spec, encoder=encoder, filter_widths=(1, 3), filter_counts=(8, 8)), tokens, inputs


def test_relaxed_rows_that_are_one_hot_are_tokens(game):
    net, tokens, inputs = game
    said = net(tokens, {"input": inputs})
    assert said.shape == (6,)
    assert torch.allclose(net(F.one_hot(tokens, 8).float(), {"input": inputs}), said, atol=1e-6)


def test_both_sides_count_and_no_other_row(game):
    net, tokens, inputs = game
    said = net(tokens, {"input": inputs})
    assert (net(tokens.roll(1, 0), {"input": inputs}) - said).abs().min() > 1e-6
    assert (net(tokens, {"input": inputs.roll(1, 0)}) - said).abs().min() > 1e-6
    assert torch.allclose(net(tokens[:2], {"input": inputs[:2]}), said[:2], atol=1e-6)


def test_many_texts_of_one_input_are_judged_with_one_look_at_it(game):
    net, tokens, inputs = game
    rows = torch.tensor([3, 3, 0, 5, 3, 1])
    with torch.no_grad():
        alone = net(tokens, {"input": inputs[rows]})
        assert torch.allclose(net.judge(tokens, net.encoder(inputs), rows), alone, atol=1e-6)


def test_relaxed_rows_have_a_gradient_that_can_be_differentiated(game):
    net, tokens, inputs = game
    rows = F.one_hot(tokens, 8).float().requires_grad_()
    (slope,) = torch.autograd.grad(net(rows, {"input": inputs}).sum(), rows, create_graph=True)
    slope.square().sum().backward()
    assert net.query.weight.grad.abs().sum() > 0 and net.embedding.weight.grad.abs().sum() > 0


def test_what_cannot_be_judged_is_refused(game):
    net, tokens, _ = game
    for condition in (None, {"label": tokens[:, 0]}):
        with pytest.raises(UsageError, match="its condition needs an input"):
            net(tokens, condition)
    spec = TextFromSpec(**TEXT, input=TextSpec(**TEXT))
    with pytest.raises(UsageError, match="one number for each of 2 widths, got 1"):
        JointDiscriminator(spec, encoder=net.encoder, filter_widths=(1, 3), filter_counts=(8,))


def test_it_begins_with_the_eyes_of_the_generator():
    torch.manual_seed(0)
    spec = TextFromSpec(**TEXT, input=ImageSpec(3, 16))

    def eyes(dim=8):
        return Places(spec, dim=dim, width=4)

    generator = AttentiveGenerator(spec, encoder=eyes(), hidden_dim=8)
    net, other = JointDiscriminator(spec, encoder=eyes()), JointDiscriminator(spec, encoder=eyes(12))
    net.begin_as(generator)
    assert torch.equal(net.encoder.places, generator.encoder.places)
    assert torch.equal(net.embedding.weight, generator.embedding.weight)
    with pytest.raises(UsageError, match="give it the encoder and the embedding_dim that the generator has"):
        other.begin_as(generator)
