"""The attentive decoder, and the one that remembers: one distribution in all they can, over texts from something."""

import itertools
import math

import pytest
import torch
from torch import nn

from gangen import UsageError, noise
from gangen_conditional.networks.attentive import AttentiveGenerator
from gangen_conditional.networks.captioner import CaptionGenerator
from gangen_conditional.networks.memory import Memory
from gangen_conditional.spec import TextFromSpec
from gangen_text import TextSpec

SOURCE = TextSpec(vocab_size=7, max_length=5, start=0, end=1, pad=2)
SPEC = TextFromSpec(vocab_size=9, max_length=6, start=0, end=1, pad=2, input=SOURCE)
FIXED = TextFromSpec(vocab_size=3, max_length=3, start=0, input=SOURCE)
INPUT = torch.tensor([[3, 4, 1, 2, 2], [5, 6, 3, 4, 1], [6, 1, 2, 2, 2], [4, 4, 5, 1, 2]]).repeat(2, 1)
CONDITION = {"input": INPUT}


class Embedded(nn.Module):
    """A state for each token of the source."""

    dim = alone_dim = 6

    def __init__(self, spec):
        super().__init__()
        self.spec = spec.input
        self.embedding = nn.Embedding(spec.input.vocab_size, self.dim)

    def forward(self, rows):
        states = self.embedding(rows)
        return Memory(states, self.spec.mask(rows), states)


@pytest.fixture(params=[AttentiveGenerator, CaptionGenerator])
def build(request):
    def build(spec=SPEC, network=request.param, **options):
        torch.manual_seed(0)
        generator = network(spec, encoder=Embedded(spec), embedding_dim=5, hidden_dim=8, layers=2, **options)
        for parameter in generator.parameters():
            nn.init.normal_(parameter, std=0.6)
        return generator.double()

    return build


def test_a_text_is_read_in_one_go_as_step_by_step(build):
    generator = build()
    embedded = torch.randn(8, 6, 5, dtype=torch.float64)
    state, features = generator.begin(8, CONDITION), []
    for t in range(6):
        feature, state = generator.step(state, embedded[:, t])
        features.append(feature)
    torch.testing.assert_close(generator.read(embedded, CONDITION), torch.stack(features, dim=1))


def test_probabilities_of_all_texts_sum_to_one_and_samples_are_distributed_so(build):
    generator = build(FIXED)
    rows = torch.tensor(list(itertools.product(range(3), repeat=3)))
    probability = generator.log_prob(rows, {"input": INPUT[:1].expand(27, -1)}).sum(1).exp().detach()
    assert math.isclose(probability.sum().item(), 1.0)
    with noise.shared(1):
        samples = generator.sample(20_000, {"input": INPUT[:1].expand(20_000, -1)})
    counts = torch.bincount((samples * torch.tensor([9, 3, 1])).sum(1), minlength=27)
    expected = probability * 20_000
    assert ((counts - expected).square() / expected).sum() < 55  # 26 degrees of freedom: 1 in 1000


def test_attention_is_the_softmax_of_bilinear_scores_over_the_tokens_of_the_source(build):
    generator = build(network=AttentiveGenerator)
    memory = generator.encoder(INPUT)
    features = torch.randn(8, 1, 8, dtype=torch.float64)
    attended = generator.attend(features, memory)
    for row, length in enumerate([3, 5, 2, 4]):
        states = memory.states[row, :length]
        weights = (states @ generator.query.weight @ features[row, 0]).softmax(0)
        expected = generator.mix(torch.cat([weights @ states, features[row, 0]])).tanh()
        torch.testing.assert_close(attended[row, 0], expected)


def test_padding_of_the_source_says_nothing(build):
    generator = build()
    tokens = generator.sample(8, CONDITION)
    filled = torch.where(SOURCE.mask(INPUT), INPUT, 6)
    torch.testing.assert_close(generator.log_prob(tokens, {"input": filled}), generator.log_prob(tokens, CONDITION))


def test_rollouts_keep_prefixes_and_go_on_from_the_row_that_they_belong_to(build):
    generator = build()
    # The likeliest text of each row: where rollouts draw nearly that, each way has its own row's end.
    generator.output.weight.data *= 1000
    tokens = generator.sample(8, CONDITION, top_k=1)
    assert len(tokens[:4].unique(dim=0)) > 1
    for t, rolled in generator.rollout(tokens, CONDITION, count=3):
        assert torch.equal(rolled, tokens.repeat_interleave(3, dim=0)), t


@pytest.mark.parametrize("draw", ["sample", "relaxed", "rollout"])
def test_two_halves_of_a_batch_draw_what_the_whole_draws(draw, build):
    generator = build()
    tokens = generator.sample(8, CONDITION)

    def drawn(part, parts):
        rows = slice(part * 8 // parts, (part + 1) * 8 // parts)
        condition = {"input": INPUT[rows]}
        with noise.shared(7, part, parts), torch.no_grad():
            if draw == "rollout":
                ways = generator.rollout(tokens[rows], condition, count=2)
                return torch.stack([rolled for _, rolled in ways], dim=1)
            return getattr(generator, draw)(8 // parts, condition)

    torch.testing.assert_close(drawn(0, 1), torch.cat([drawn(0, 2), drawn(1, 2)]))


def test_relaxed_texts_end_in_padding_and_have_gradients_for_every_parameter(build):
    generator = build()
    rows = generator.relaxed(8, CONDITION, temperature=0.7)
    mask = SPEC.mask(rows.argmax(-1))
    assert not mask.all()
    assert (rows[~mask][:, SPEC.pad] == 1).all()
    rows.square().sum().backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in generator.parameters())


def test_dropout_is_of_likelihoods_in_training_alone(build):
    generator = build(dropout=0.5)
    tokens = generator.sample(8, CONDITION)
    whole = generator.eval().log_prob(tokens, CONDITION)
    with noise.shared(3):
        dropped = generator.train().log_prob(tokens, CONDITION)
    halves = []
    for part in range(2):
        with noise.shared(3, part, 2):
            rows = slice(4 * part, 4 * part + 4)
            halves.append(generator.log_prob(tokens[rows], {"input": INPUT[rows]}))
    assert not torch.allclose(whole, dropped)
    torch.testing.assert_close(torch.cat(halves), dropped)


def test_without_an_input_there_is_nothing_to_write(build):
    for condition in (None, {}):
        with pytest.raises(UsageError, match="makes texts from something: its condition needs an input"):
            build().sample(2, condition)


def test_half_precision_autocast_is_near_full_precision(build):
    generator = build().float()
    with torch.autocast("cpu", torch.bfloat16):
        tokens = generator.sample(8, CONDITION)
        list(generator.rollout(tokens, CONDITION, count=2))
        rows = generator.relaxed(8, CONDITION)
        log_prob = generator.log_prob(tokens, CONDITION)
    (rows.square().sum() - log_prob.sum()).backward()
    torch.testing.assert_close(log_prob, generator.log_prob(tokens, CONDITION), rtol=0.05, atol=0.1)
