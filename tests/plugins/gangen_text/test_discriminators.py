"""The text discriminators: hard and relaxed text, labels, padding, and the fast ways to the same numbers."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from gangen import noise
from gangen.errors import UsageError
from gangen.testing import check_discriminator
from gangen_text.networks.cnn import CNNDiscriminator
from gangen_text.networks.filters import FilterBank
from gangen_text.networks.lstm import LSTMDiscriminator
from gangen_text.networks.transformer import TransformerDiscriminator
from gangen_text.spec import TextSpec

SPEC = TextSpec(vocab_size=9, max_length=6, start=0, end=1, pad=2, labels=("low", "high"))
UNLABELLED = TextSpec(vocab_size=9, max_length=6, start=0)
TOKENS = torch.tensor([[5, 3, 8, 1, 2, 2], [4, 4, 4, 6, 7, 1], [1, 2, 2, 2, 2, 2], [3, 5, 3, 5, 3, 5]])
CONDITION = {"label": torch.tensor([0, 1, 1, 0])}


def cnn(spec):
    return CNNDiscriminator(spec, embedding_dim=5, filter_widths=(1, 2, 4, 8), filter_counts=(3, 4, 2, 3))


def transformer(spec):
    return TransformerDiscriminator(spec, dim=8, heads=2)


def lstm(spec):
    return LSTMDiscriminator(spec, embedding_dim=5, hidden_dim=6)


@pytest.fixture(params=[cnn, transformer, lstm])
def build(request):
    torch.manual_seed(0)
    return lambda spec: request.param(spec).double().eval()


SMALL = {
    "cnn": {"embedding_dim": 5, "filter_widths": [1, 2, 4, 8], "filter_counts": [3, 4, 2, 3]},
    "lstm": {"embedding_dim": 5, "hidden_dim": 6},
    "transformer": {"dim": 8, "heads": 2},
}


@pytest.mark.parametrize("name", SMALL)
def test_discriminators_keep_their_contract(name, data):
    check_discriminator(f"text/{name}", data, **SMALL[name])


def one_hot(tokens):
    return F.one_hot(tokens, 9).double()


@pytest.mark.parametrize("end", [{}, {"end": 1, "pad": 2}])
@pytest.mark.parametrize("representations", [1, 3])
def test_what_is_seen_of_a_text_that_is_read_token_by_token_are_the_features_of_its_beginnings(representations, end):
    torch.manual_seed(0)
    spec = TextSpec(vocab_size=9, max_length=6, start=0, **end)
    shape = {"embedding_dim": 5, "filter_widths": (2, 4, 1, 8), "filter_counts": (3, 4, 2, 3)}
    discriminator = CNNDiscriminator(spec, **shape, representations=representations).double().train()
    state = discriminator.begin(4)
    assert torch.equal(*discriminator.seen(state)[:2])
    order = torch.tensor([2, 0, 0, 3])
    for length in range(1, 7):
        state = discriminator.advance(state, discriminator.embedding(TOKENS[:, length - 1]))
        beginnings = F.pad(TOKENS[:, :length], (0, 6 - length), value=2) if end else TOKENS[:, :length]
        expected = discriminator.eval().features(beginnings)
        torch.testing.assert_close(discriminator.train().seen(state), expected)
        torch.testing.assert_close(discriminator.seen(state.select(order)), expected[order])


@pytest.mark.parametrize("length", [1, 3, 6])
def test_tokens_and_their_one_hot_rows_have_equal_logits(build, length):
    discriminator = build(SPEC)
    tokens = TOKENS[:, :length]
    logits = discriminator(tokens, CONDITION)
    assert logits.shape == (4,)
    torch.testing.assert_close(discriminator(one_hot(tokens), CONDITION), logits)


def test_logits_without_gradient_are_the_same(build):
    discriminator = build(SPEC)
    expected = discriminator(TOKENS, CONDITION)
    with torch.no_grad():
        torch.testing.assert_close(discriminator(TOKENS, CONDITION), expected)
        many = discriminator(TOKENS.repeat(600, 1), {"label": CONDITION["label"].repeat(600)})
    torch.testing.assert_close(many, expected.repeat(600))


def test_gradients_for_tokens_are_those_for_one_hot_rows(build):
    discriminator = build(SPEC)
    gradients = []
    for text in (TOKENS, one_hot(TOKENS)):
        discriminator.zero_grad()
        (discriminator(text, CONDITION) * torch.tensor([1.0, -2.0, 0.5, 3.0])).sum().backward()
        gradients.append([parameter.grad.clone() for parameter in discriminator.parameters()])
    for of_tokens, of_rows in zip(*gradients, strict=True):
        torch.testing.assert_close(of_tokens, of_rows)


def test_relaxed_rows_receive_gradients_that_can_be_differentiated_again(build):
    discriminator = build(SPEC)
    rows = torch.rand(4, 6, 9, dtype=torch.float64).softmax(-1).requires_grad_()
    (gradient,) = torch.autograd.grad(discriminator(rows, CONDITION).sum(), rows, create_graph=True)
    gradient.square().sum().backward()
    assert discriminator.embedding.weight.grad.abs().sum() > 0


def test_labels_act_by_projection(build):
    discriminator = build(SPEC)
    low, high = (discriminator(TOKENS, {"label": torch.full((4,), label)}) for label in (0, 1))
    assert (low - high).abs().min() > 0
    discriminator.projection.weight.data[1] = discriminator.projection.weight.data[0]
    low, high = (discriminator(TOKENS, {"label": torch.full((4,), label)}) for label in (0, 1))
    assert torch.equal(low, high)


def test_a_missing_label_is_refused(build):
    with pytest.raises(UsageError, match="a condition needs a label, one of low, high"):
        build(SPEC)(TOKENS, {"tokens": TOKENS})


def test_unlabelled_data_needs_no_condition(build):
    assert build(UNLABELLED)(TOKENS).shape == (4,)


@pytest.mark.parametrize("build", [transformer, lstm])
def test_what_reads_tokens_in_order_does_not_look_behind_the_end(build):
    discriminator = build(SPEC).eval()
    other = TOKENS.clone()
    other[0, 4:] = 7
    torch.testing.assert_close(discriminator(other, CONDITION), discriminator(TOKENS, CONDITION))


def test_filters_are_convolutions_over_time():
    torch.manual_seed(0)
    bank = FilterBank(5, (1, 3), (4, 2)).double()
    embedded = torch.randn(7, 6, 5, dtype=torch.float64)
    expected = []
    for linear, width in zip(bank, (1, 3), strict=True):
        kernel = linear.weight.view(-1, width, 5).transpose(1, 2)
        expected.append(F.conv1d(embedded.transpose(1, 2), kernel, linear.bias).amax(-1))
    torch.testing.assert_close(bank(embedded), torch.cat(expected, dim=1))


def test_the_window_that_wins_is_found_in_half_precision_too():
    bank, rows = FilterBank(1, (1,), (1,)), torch.zeros(1, 298, 1)
    rows[0, 257] = 9.0
    with torch.autocast("cpu", torch.bfloat16):
        found = bank(rows.requires_grad_())
    found.sum().backward()
    assert rows.grad.flatten().nonzero().tolist() in ([[257]], [[0]])
    assert found.item() == pytest.approx(max(0.0, 9 * bank[0].weight.item()) + bank[0].bias.item(), rel=0.02, abs=0.02)


def test_filters_of_tokens_are_filters_of_their_embeddings_at_full_size():
    torch.manual_seed(0)
    bank = FilterBank(16, (1, 2, 5, 20, 30), (20, 30, 40, 20, 10))
    embedding = nn.Parameter(torch.randn(300, 16))
    tokens = torch.randint(300, (150, 20))
    plain = bank(embedding[tokens])
    torch.testing.assert_close(bank.of_tokens(tokens, embedding), plain, rtol=1e-5, atol=1e-5)
    with torch.no_grad():
        torch.testing.assert_close(bank.of_tokens(tokens, embedding), plain, rtol=1e-5, atol=1e-5)


def test_half_precision_autocast_is_near_full_precision(build):
    discriminator = build(SPEC).float()
    with torch.autocast("cpu", torch.bfloat16):
        logits = discriminator(TOKENS, CONDITION)
    logits.sum().backward()
    torch.testing.assert_close(logits.float(), discriminator(TOKENS, CONDITION), rtol=0.05, atol=0.05)


@pytest.mark.parametrize("build", [cnn, lstm])
def test_dropout_belongs_to_the_global_batch(build):
    torch.manual_seed(0)
    discriminator = build(SPEC).double().train()

    def logits(part, parts):
        rows = slice(part * 4 // parts, (part + 1) * 4 // parts)
        with noise.shared(1, part, parts):
            return discriminator(TOKENS[rows], {"label": CONDITION["label"][rows]})

    whole = logits(0, 1)
    torch.testing.assert_close(torch.cat([logits(0, 2), logits(1, 2)]), whole)
    assert not torch.allclose(whole, discriminator.eval()(TOKENS, CONDITION))


def test_as_many_counts_as_widths():
    with pytest.raises(UsageError, match="one number for each of 2 widths, got 1"):
        CNNDiscriminator(SPEC, filter_widths=(1, 2), filter_counts=(3,))


def test_representations_are_networks_of_one_embedding_each():
    torch.manual_seed(0)
    options = {"embedding_dim": 2, "filter_widths": (1, 3), "filter_counts": (4, 3)}
    many = CNNDiscriminator(SPEC, representations=3, **options).double().eval()
    logits = many(TOKENS, CONDITION)
    assert logits.shape == (4, 3)
    for which in range(3):
        one = CNNDiscriminator(SPEC, **options).double().eval()
        state = many.state_dict()
        state["embedding.weight"] = state["embedding.weight"][:, 2 * which : 2 * which + 2]
        one.load_state_dict(state)
        torch.testing.assert_close(one(TOKENS, CONDITION), logits[:, which])
    torch.testing.assert_close(many(one_hot(TOKENS), CONDITION), logits)
    with torch.no_grad():
        torch.testing.assert_close(many(TOKENS.repeat(600, 1), {"label": CONDITION["label"].repeat(600)})[:4], logits)
    # Where one logit is wanted, it is the mean: that of the mean features.
    torch.testing.assert_close(many.head(many.features(TOKENS), CONDITION["label"]), logits.mean(1))


def test_the_largest_responses_of_small_windows_have_the_gradients_of_all():
    torch.manual_seed(0)
    bank = FilterBank(1, (2, 3), (4, 5)).double()
    embedded = torch.randn(150, 9, 1, dtype=torch.float64, requires_grad=True)
    plain = []
    for linear, width in zip(bank, bank.widths, strict=True):
        kernel = linear.weight.view(-1, width, 1).transpose(1, 2)
        plain.append(F.conv1d(embedded.transpose(1, 2), kernel, linear.bias).amax(-1))
    plain = torch.cat(plain, dim=1)
    found = bank(embedded)
    torch.testing.assert_close(found, plain)
    sources = [embedded, *bank.parameters()]
    for some in zip(*(torch.autograd.grad(it.square().sum(), sources) for it in (found, plain)), strict=True):
        torch.testing.assert_close(*some)
    assert torch.autograd.gradgradcheck(lambda rows: bank(rows).square(), embedded[:2].detach().requires_grad_())


def test_an_own_gate_is_the_highway_layer_as_published():
    torch.manual_seed(0)
    discriminator = CNNDiscriminator(UNLABELLED, filter_widths=(1, 2), filter_counts=(3, 3), own_gate=True).eval()
    assert (discriminator.gate.bias == -2).all()
    x = discriminator.filters.of_tokens(TOKENS, discriminator.embedding.weight).relu()
    gate = (x @ discriminator.gate.weight.T + discriminator.gate.bias).sigmoid()
    mixed = gate * discriminator.highway(x).relu() + (1 - gate) * x
    torch.testing.assert_close(discriminator.features(TOKENS), mixed)


@pytest.mark.parametrize("text", [TOKENS, one_hot(TOKENS).float()])
@pytest.mark.parametrize("representations", [1, 3])
def test_spectral_norm_bounds_every_layer(representations, text):
    torch.manual_seed(0)
    options = {"embedding_dim": 1, "filter_widths": (1, 3), "filter_counts": (4, 3), "own_gate": True}
    discriminator = CNNDiscriminator(SPEC, representations=representations, spectral_norm=True, **options)
    for _ in range(60):
        discriminator(text, CONDITION)
    layers = [layer for layer in discriminator.modules() if isinstance(layer, nn.Linear)]
    assert len(layers) == 5
    for layer in layers:
        assert torch.linalg.matrix_norm(layer.weight, 2).item() == pytest.approx(1, abs=0.05)
