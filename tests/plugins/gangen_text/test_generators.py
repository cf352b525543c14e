"""The text generators against their contract: distributions, noise, bookkeeping of ends, gradients."""

import itertools
import math

import pytest
import torch
from torch import nn

from gangen import noise
from gangen.errors import UsageError
from gangen.testing import check_generator
from gangen_text.networks.cnn import CNNDiscriminator
from gangen_text.networks.draws import inverse_cdf, truncated
from gangen_text.networks.hierarchical import HierarchicalGenerator
from gangen_text.networks.lstm import LSTMGenerator
from gangen_text.networks.relational import RelationalMemory
from gangen_text.networks.transformer import TransformerGenerator
from gangen_text.spec import TextSpec

FIXED = TextSpec(vocab_size=3, max_length=3, start=0)
LABELLED = TextSpec(vocab_size=9, max_length=7, start=0, end=1, pad=2, labels=("low", "high"))
LABEL = torch.tensor([0, 1, 0, 1, 1, 0, 0, 1])


def lstm(spec):
    return LSTMGenerator(spec, embedding_dim=6, hidden_dim=8, layers=2, init_std=0.6)


def transformer(spec):
    generator = TransformerGenerator(spec, dim=8, heads=2, layers=2)
    for parameter in generator.parameters():
        nn.init.normal_(parameter, std=0.5)
    return generator


def relational(spec):
    generator = RelationalMemory(spec, embedding_dim=6, dim=8, heads=2, slots=2)
    for parameter in generator.parameters():
        nn.init.normal_(parameter, std=0.7)
    return generator


def hierarchical(spec):
    leak = CNNDiscriminator(spec, embedding_dim=3, filter_widths=(1, 2, 4), filter_counts=(4, 3, 3))
    generator = HierarchicalGenerator(spec, leak=leak, embedding_dim=6, hidden_dim=8, manager_dim=5, goal_dim=3)
    for parameter in generator.parameters():
        nn.init.normal_(parameter, std=0.6)
    return generator


@pytest.fixture(params=[lstm, transformer, relational, hierarchical])
def build(request):
    torch.manual_seed(0)

    def built(spec):
        generator = request.param(spec).double()
        if spec.end is not None:
            generator.output.bias.data[spec.end] = 1.0  # some of a handful of rows end early
        return generator

    return built


def probabilities(generator, **settings):
    """Of every row of FIXED, by ``log_prob``, with the rows themselves."""
    rows = torch.tensor(list(itertools.product(range(3), repeat=3)))
    return rows, generator.log_prob(rows, **settings).sum(1).exp().detach()


def chi_square(counts, expected):
    return ((counts - expected).square() / expected).sum().item()


SMALL = {
    "lstm": {"embedding_dim": 6, "hidden_dim": 8, "layers": 2},
    "transformer": {"dim": 8, "heads": 2, "layers": 2},
    "hierarchical": {"embedding_dim": 6, "hidden_dim": 8, "manager_dim": 5, "goal_dim": 3},
    "relational_memory": {"embedding_dim": 6, "dim": 8, "heads": 2, "slots": 2},
}


@pytest.mark.parametrize("name", SMALL)
def test_generators_keep_their_contract(name, data):
    check_generator(f"text/{name}", data, **SMALL[name])


def test_probabilities_of_all_rows_sum_to_one(build):
    assert math.isclose(probabilities(build(FIXED))[1].sum().item(), 1.0)


def test_distributions_are_those_of_log_prob_in_the_place_of_each_token_but_padding(build):
    generator, tokens = build(LABELLED), torch.tensor([[3, 4, 1, 2, 2, 2, 2], [5, 6, 3, 4, 5, 8, 7]])
    condition, mask = {"label": torch.tensor([0, 1])}, LABELLED.mask(tokens)
    said = generator.log_distributions(tokens, condition)
    assert torch.allclose(said.exp().sum(1), torch.ones(10).double())
    assert said[:, [0, 2]].isneginf().all()
    chosen = said.gather(1, tokens[mask].unsqueeze(1)).squeeze(1)
    assert torch.allclose(chosen, generator.log_prob(tokens, condition)[mask])


def test_log_prob_is_what_steps_of_the_network_say(build):
    generator = build(LABELLED)
    condition = {"label": LABEL}
    tokens = generator.sample(8, condition)
    state = generator.begin(8, condition)
    previous = torch.zeros(8, dtype=torch.int64)
    expected = torch.zeros(8, 7, dtype=torch.float64)
    with torch.no_grad():
        for t in range(7):
            features, state = generator.step(state, generator.embedding(previous))
            scores = features @ generator.output.weight.T + generator.output.bias
            scores[:, [LABELLED.start, LABELLED.pad]] = -torch.inf
            normalised = scores - scores.exp().sum(1, keepdim=True).log()
            expected[:, t] = normalised[torch.arange(8), tokens[:, t]]
            previous = tokens[:, t]
    mask = LABELLED.mask(tokens)
    log_prob = generator.log_prob(tokens, condition)
    torch.testing.assert_close(log_prob[mask], expected[mask])
    assert not mask.all()
    assert (log_prob[~mask] == 0).all()


def test_gradients_of_log_prob_are_those_of_a_plain_log_softmax(build):
    generator = build(LABELLED)
    condition = {"label": LABEL}
    tokens = generator.sample(8, condition)
    weights = torch.randn(8, 7, dtype=torch.float64)
    (generator.log_prob(tokens, condition) * weights).sum().backward()
    gradients = [parameter.grad.clone() for parameter in generator.parameters()]
    generator.zero_grad()

    before = torch.cat([torch.zeros(8, 1, dtype=torch.int64), tokens[:, :-1]], dim=1)
    logits = generator.logits(generator.read(generator.embedding(before), condition))
    plain = logits.log_softmax(-1).gather(-1, tokens.unsqueeze(-1)).squeeze(-1)
    torch.where(LABELLED.mask(tokens), plain * weights, 0.0).sum().backward()
    for gradient, parameter in zip(gradients, generator.parameters(), strict=True):
        torch.testing.assert_close(gradient, parameter.grad)


@pytest.mark.parametrize("settings", [{}, {"temperature": 0.7}, {"temperature": 1.5}])
def test_samples_are_distributed_as_log_prob_says(settings, build):
    generator = build(FIXED)
    _, probability = probabilities(generator, **settings)
    with noise.shared(1):
        samples = generator.sample(20_000, **settings)
    counts = torch.bincount((samples * torch.tensor([9, 3, 1])).sum(1), minlength=27).double()
    assert chi_square(counts, probability * 20_000) < 55  # 26 degrees of freedom: 1 in 1000


def test_samples_at_a_temperature_have_sharpened_first_tokens(build):
    generator = build(FIXED)
    first = generator.log_prob(torch.tensor([[0, 0, 0], [1, 0, 0], [2, 0, 0]]))[:, 0].detach()
    with noise.shared(2):
        counts = torch.bincount(generator.sample(10_000, temperature=0.5)[:, 0], minlength=3)
    assert chi_square(counts, 10_000 * (first / 0.5).softmax(0)) < 14


@pytest.mark.parametrize("temperature", [1.0, 0.8])
def test_the_likeliest_of_some_texts_is_distributed_as_its_rank_says(temperature, build):
    generator = build(FIXED)
    own = probabilities(generator)[1]
    drawn = probabilities(generator, temperature=temperature)[1]
    order = own.argsort()
    below = torch.cat([torch.zeros(1), drawn[order].cumsum(0)])
    expected = torch.empty(27)
    expected[order] = (below[1:] ** 3 - below[:-1] ** 3).float()  # all of 3 are as likely or less, and not all less
    with noise.shared(3):
        samples = generator.sample(20_000, temperature=temperature, best_of=3)
    counts = torch.bincount((samples * torch.tensor([9, 3, 1])).sum(1), minlength=27)
    often = expected * 20_000 >= 5
    assert chi_square(counts[often], expected[often] * 20_000) < 55


def test_the_likeliest_of_more_texts_is_no_less_likely(build):
    generator, condition = build(LABELLED).train(), {"label": LABEL}
    likelihoods = []
    for count in (1, 2, 8):
        with noise.by_row(range(8)):
            samples = generator.sample(8, condition, best_of=count)
        likelihoods.append(generator.log_prob(samples, condition).sum(1))
    assert (likelihoods[0] <= likelihoods[1] + 1e-9).all() and (likelihoods[1] <= likelihoods[2] + 1e-9).all()
    assert (likelihoods[0] < likelihoods[2]).any() and generator.training
    with noise.by_row(range(3)):
        assert torch.equal(generator.sample(3, {"label": LABEL[:3]}, best_of=8), samples[:3])


def test_top_k_one_is_greedy(build):
    generator = build(LABELLED)
    condition = {"label": LABEL}
    samples = generator.sample(8, condition, top_k=1)
    best = generator.log_prob(samples, condition)
    for t, token in itertools.product(range(7), range(3, 9)):
        other = samples.clone()
        other[:, t] = token
        here = LABELLED.mask(samples)[:, t]
        assert (generator.log_prob(other, condition)[here, t] <= best[here, t] + 1e-12).all()


def test_samples_are_text_then_one_end_then_padding(build):
    samples = build(LABELLED).sample(500, {"label": LABEL.repeat(63)[:500]})
    assert samples.shape == (500, 7) and samples.dtype == torch.int64
    mask = LABELLED.mask(samples)
    assert (samples[~mask] == LABELLED.pad).all()
    assert not ((samples == LABELLED.pad) | (samples == LABELLED.start))[mask].any()
    assert ((samples == LABELLED.end).sum(1) <= 1).all()
    assert {1, 7} <= set(mask.sum(1).tolist())


def test_a_prefix_is_kept_and_continued(build):
    generator = build(LABELLED)
    prefix = torch.tensor([[5, 3, 8], [4, LABELLED.end, LABELLED.pad]] * 4)
    samples = generator.sample(8, {"label": LABEL, "prefix": prefix})
    assert torch.equal(samples[:, :3], prefix)
    assert (samples[1::2, 3:] == LABELLED.pad).all()
    assert (samples[::2, 3] != LABELLED.pad).all()


def test_continuations_of_a_prefix_are_distributed_as_log_prob_says(build):
    generator = build(FIXED)
    rows, probability = probabilities(generator)
    wanted = (rows[:, 0] == 2).nonzero().flatten()
    with noise.shared(3):
        samples = generator.sample(9_000, {"prefix": torch.full((9_000, 1), 2)})
    counts = torch.bincount(samples[:, 1] * 3 + samples[:, 2], minlength=9)
    assert chi_square(counts, 9_000 * probability[wanted] / probability[wanted].sum()) < 27


def test_a_prefix_longer_than_rows_is_refused(build):
    with pytest.raises(UsageError, match="the prefix has 4 tokens, but rows have 3"):
        build(FIXED).sample(1, {"prefix": torch.zeros(1, 4, dtype=torch.int64)})


@pytest.mark.parametrize("temperature", [0.0, -1.0, 1e-300, 1e300, math.inf, math.nan])
def test_a_temperature_out_of_range_is_refused(build, temperature):
    with pytest.raises(UsageError, match=r"temperature must be from 0\.000001 to 1,000,000, got"):
        build(FIXED).sample(1, temperature=temperature)


@pytest.mark.parametrize("temperature", [1e-6, 1e6])
def test_temperatures_at_the_ends_of_the_range_make_text(build, temperature):
    samples = build(LABELLED).float().sample(64, {"label": LABEL.repeat(8)}, temperature=temperature)
    mask = LABELLED.mask(samples)
    assert not ((samples == LABELLED.pad) | (samples == LABELLED.start))[mask].any()


def test_rollouts_keep_prefixes_and_leave_ended_rows_alone(build):
    generator = build(LABELLED)
    condition = {"label": LABEL}
    tokens = generator.sample(8, condition)
    repeated = tokens.repeat_interleave(3, dim=0)
    lengths = []
    for t, rolled in generator.rollout(tokens, condition, count=3):
        lengths.append(t)
        assert rolled.shape == (24, 7)
        assert torch.equal(rolled[:, :t], repeated[:, :t])
        ended = (repeated[:, :t] == LABELLED.end).any(1)
        assert torch.equal(rolled[ended], repeated[ended])
        mask = LABELLED.mask(rolled)
        assert (rolled[~mask] == LABELLED.pad).all() and (rolled[mask] != LABELLED.pad).all()
    assert lengths == [1, 2, 3, 4, 5, 6]


def test_rollouts_are_distributed_as_log_prob_says(build):
    generator = build(FIXED)
    rows, probability = probabilities(generator)
    tokens = torch.tensor([[2, 0, 1], [1, 1, 0]])
    with noise.shared(4):
        rollouts = dict(generator.rollout(tokens, count=6_000))
    for t, rolled in rollouts.items():
        for row, ways in zip(tokens, rolled.split(6_000), strict=True):
            matches = (rows[:, :t] == row[:t]).all(1)
            expected = probability[matches] / probability[matches].sum()
            counts = torch.tensor([(ways == wanted).all(1).sum() for wanted in rows[matches]])
            assert chi_square(counts, 6_000 * expected) < 27


def test_rollouts_at_a_stride_are_some_of_the_prefixes(build):
    generator = build(LABELLED)
    tokens = torch.full((8, 7), 4)
    rolled = dict(generator.rollout(tokens, {"label": LABEL}, count=2, stride=3))
    assert list(rolled) == [3, 6]
    assert (rolled[6][:, :6] == 4).all()


def test_relaxed_rows_are_distributions_that_end_in_padding(build):
    generator = build(LABELLED)
    rows = generator.relaxed(8, {"label": LABEL}, temperature=0.7)
    assert rows.shape == (8, 7, 9)
    torch.testing.assert_close(rows.sum(-1), torch.ones(8, 7, dtype=torch.float64))
    hard = rows.argmax(-1)
    mask = LABELLED.mask(hard)
    assert not mask.all()
    assert (rows[~mask][:, LABELLED.pad] == 1).all()
    assert (rows[mask][:, [LABELLED.start, LABELLED.pad]] == 0).all()


def test_relaxed_rows_have_gradients_for_every_parameter(build):
    generator = build(LABELLED)
    generator.relaxed(8, {"label": LABEL}).square().sum().backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in generator.parameters())


def test_relaxed_rows_approach_samples_as_the_temperature_falls(build):
    generator = build(FIXED)
    _, probability = probabilities(generator)
    with noise.shared(5), torch.no_grad():
        rows = generator.relaxed(10_000, temperature=1e-4)
    assert (rows.amax(-1) > 0.999).double().mean() > 0.99
    counts = torch.bincount((rows.argmax(-1) * torch.tensor([9, 3, 1])).sum(1), minlength=27)
    assert chi_square(counts, probability * 10_000) < 55


def test_straight_through_rows_are_hard_with_the_gradient_of_soft_ones(build):
    generator = build(FIXED)
    weights = torch.randn(4, 3, 3, dtype=torch.float64)
    results = []
    for straight_through in (False, True):
        with noise.shared(6):
            rows = generator.relaxed(4, straight_through=straight_through)
        generator.zero_grad()
        (rows[:, 0] * weights[:, 0]).sum().backward()
        results.append((rows.detach(), generator.output.bias.grad.clone()))
    (soft, soft_gradient), (hard, hard_gradient) = results
    assert torch.equal(hard[:, 0].round(), nn.functional.one_hot(soft[:, 0].argmax(-1), 3).double())
    torch.testing.assert_close(hard_gradient, soft_gradient)


@pytest.mark.parametrize("draw", ["sample", "relaxed", "rollout"])
def test_two_halves_of_a_batch_draw_what_the_whole_draws(build, draw):
    generator = build(LABELLED)
    tokens = generator.sample(8, {"label": LABEL})

    def drawn(part, parts):
        rows = slice(part * 8 // parts, (part + 1) * 8 // parts)
        condition = {"label": LABEL[rows]}
        with noise.shared(7, part, parts), torch.no_grad():
            if draw == "rollout":
                ways = generator.rollout(tokens[rows], condition, count=2)
                return torch.stack([rolled for _, rolled in ways], dim=1)
            return getattr(generator, draw)(8 // parts, condition)

    torch.testing.assert_close(drawn(0, 1), torch.cat([drawn(0, 2), drawn(1, 2)]))


def test_the_noise_drawn_does_not_depend_on_what_is_drawn(build):
    generator = build(LABELLED)
    after = []
    for bias in (-50.0, 50.0):  # never ends; ends at once
        generator.output.bias.data[LABELLED.end] = bias
        with noise.shared(8):
            tokens = generator.sample(8, {"label": LABEL})
            list(generator.rollout(tokens, {"label": LABEL}, count=2))
            after.append(noise.uniform(4))
    assert torch.equal(*after)


def test_a_missing_label_is_refused(build):
    with pytest.raises(UsageError, match="a condition needs a label, one of low, high"):
        build(LABELLED).sample(2)


def test_sampling_has_no_dropout():
    generator = TransformerGenerator(LABELLED, dim=8, heads=2, dropout=0.5)
    condition = {"label": LABEL}
    with noise.shared(9):
        training = generator.train().sample(8, condition)
    with noise.shared(9):
        evaluating = generator.eval().sample(8, condition)
    assert torch.equal(training, evaluating)


def test_tied_embeddings_share_one_matrix():
    generator = LSTMGenerator(FIXED, embedding_dim=8, hidden_dim=8, tie_embeddings=True)
    assert generator.output.weight is generator.embedding.weight
    with pytest.raises(UsageError, match="embedding_dim equal to hidden_dim"):
        LSTMGenerator(FIXED, embedding_dim=8, hidden_dim=4, tie_embeddings=True)


def test_tied_embeddings_are_read_multiplied_by_the_root_of_their_size():
    torch.manual_seed(0)
    tied = LSTMGenerator(LABELLED, embedding_dim=9, hidden_dim=9, tie_embeddings=True)
    plain = LSTMGenerator(LABELLED, embedding_dim=9, hidden_dim=9)
    state = tied.state_dict()
    plain.load_state_dict(state | {"embedding.weight": 3 * state["embedding.weight"]})
    condition = {"label": LABEL}
    found = []
    for net in (tied, plain):
        with noise.shared(4):
            rows = net.sample(8, condition)
        with noise.shared(5):
            found.append((rows, net.log_prob(rows, condition), net.relaxed(8, condition)))
    torch.testing.assert_close(*found)


@pytest.mark.parametrize("network", [TransformerGenerator, RelationalMemory])
def test_heads_must_divide_the_width(network):
    with pytest.raises(UsageError, match="multiple of heads"):
        network(FIXED, dim=8, heads=3)


def test_a_relational_memory_attends_to_itself_and_the_token_and_keeps_what_its_gates_say():
    torch.manual_seed(0)
    net = RelationalMemory(FIXED, embedding_dim=3, dim=4, heads=2, slots=2).double()
    token = torch.randn(1, 3, dtype=torch.float64)
    found, state = net.step(net.begin(1, None), token)

    memory = torch.eye(2, 4, dtype=torch.float64)
    seen = torch.cat([memory, net.input(token)])
    heads = []
    for half in (slice(0, 2), slice(2, 4)):
        query = (memory @ net.query.weight.T)[:, half]
        key, value = (seen @ weight.T for weight in net.key_value.weight.split(4))
        heads.append((query @ key[:, half].T / math.sqrt(2)).softmax(1) @ value[:, half])
    candidate = net.attended_norm(memory + torch.cat(heads, dim=1))
    candidate = net.norm(candidate + net.feed_forward(candidate))
    add, keep = (net.input_gates(token) + memory.tanh() @ net.memory_gates.weight.T).sigmoid().split(4, dim=1)
    torch.testing.assert_close(state.memory[0], add * candidate.tanh() + keep * memory)
    assert torch.equal(found[0], state.memory[0].flatten())


def test_draws_follow_the_cumulative_probability():
    logits = torch.tensor([0.2, 0.0, 0.3, 0.5, 0.0]).log().expand(6, 5).clone()
    uniforms = torch.tensor([[0.0], [0.19], [0.21], [0.49], [0.51], [1 - 2**-24]])
    assert inverse_cdf(logits, uniforms).flatten().tolist() == [0, 0, 2, 2, 3, 3]


@pytest.mark.parametrize("vocabulary", [1, 2, 7, 100, 50_257])
def test_draws_from_large_vocabularies_keep_to_tokens_with_mass(vocabulary):
    logits = torch.randn(4, vocabulary)
    logits[:, vocabulary // 2 + 1 :] = -torch.inf
    edges = torch.tensor([0.0, 1e-8, 0.5, 1 - 2**-24]).expand(4, 4)
    running = logits.double().softmax(-1).cumsum(-1)
    drawn = inverse_cdf(logits, edges)
    assert (drawn <= vocabulary // 2).all()
    reached = torch.where(drawn > 0, running.gather(1, (drawn - 1).clamp(min=0)), 0.0)
    torch.testing.assert_close(reached.maximum(edges.double()), edges.double(), rtol=0, atol=1e-5)
    assert (running.gather(1, drawn) >= edges - 1e-5).all()


def test_top_k_and_nucleus_and_min_p():
    logits = torch.tensor([[0.1, 0.4, 0.3, 0.2]]).log()
    settings = (2, 1.0), (0, 0.65), (0, 0.75), (1, 0.1), (0, 1.0, 0.7), (0, 0.65, 0.2), (3, 1.0, 0.2)
    kept = [truncated(logits, *setting).isfinite()[0].tolist() for setting in settings]
    assert kept == [
        [False, True, True, False],
        [False, True, True, False],
        [False, True, True, True],
        [False, True, False, False],
        [False, True, True, False],
        [False, True, True, False],
        [False, True, True, True],
    ]
    assert truncated(logits, 0, 1.0, 0.0) is logits


@pytest.mark.parametrize(("top_k", "top_p"), [(3, 1.0), (0, 0.6), (5, 0.9), (1, 1.0)])
def test_of_tokens_that_are_as_likely_the_first_are_kept(top_k, top_p):
    torch.manual_seed(0)
    logits = torch.randn(50, 12).round()
    logits[:, 4] = -torch.inf
    for row, kept in zip(logits, truncated(logits.clone(), top_k, top_p), strict=True):
        order = sorted(range(12), key=lambda token: (-row[token], token))[: top_k or 12]
        shares, before = row[order].softmax(0), 0.0
        for token, share in zip(order, shares.tolist(), strict=True):
            inside = before < top_p - 1e-6 and share > 0
            assert kept[token] == (row[token] if inside else -torch.inf)
            before += share
        assert kept.isfinite().sum() <= len(order)


def test_what_is_barred_is_never_written(build):
    generator = build(FIXED)
    generator.barred = lambda state, before: nn.functional.one_hot(before, 3).bool()  # no token twice in a row
    rows = [generator.sample(200), generator.relaxed(200).argmax(-1)]
    rows += [rolled for _, rolled in generator.rollout(rows[0], count=2)]
    for tokens in rows:
        assert (tokens[:, 0] != FIXED.start).all() and (tokens[:, 1:] != tokens[:, :-1]).all()


def test_half_precision_autocast_is_near_full_precision(build):
    generator = build(LABELLED).float()
    condition = {"label": LABEL}
    with torch.autocast("cpu", torch.bfloat16):
        tokens = generator.sample(8, condition)
        list(generator.rollout(tokens, condition, count=2))
        rows = generator.relaxed(8, condition)
        log_prob = generator.log_prob(tokens, condition)
    (rows.square().sum() - log_prob.sum()).backward()
    torch.testing.assert_close(log_prob, generator.log_prob(tokens, condition), rtol=0.05, atol=0.05)
