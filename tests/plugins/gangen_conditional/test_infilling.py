"""Infilling: a generator that keeps what is given, verdicts that see no future, and a policy gradient that is one."""

import itertools
import math

import pytest
import torch
from torch import nn

from gangen import Clock, Mean, Players, UsageError, noise
from gangen_conditional.networks.infilling import InfillingDiscriminator, InfillingGenerator
from gangen_conditional.networks.words import Words
from gangen_conditional.objectives.infilling import Infilling
from gangen_conditional.spec import HolesSpec, TextFromSpec
from gangen_text import TextSpec

PAD, START, END, UNKNOWN, A, B, C, HOLE = range(8)
HOLES = HolesSpec(8, 7, START, END, PAD, hole=HOLE, longest=2, unknown=UNKNOWN)
SPEC = TextFromSpec(vocab_size=7, max_length=7, start=START, end=END, pad=PAD, input=HOLES)
ONE = torch.tensor([A, HOLE, HOLE, B, END, PAD, PAD])
INPUT = torch.stack([ONE, torch.tensor([HOLE, HOLE, A, HOLE, HOLE, B, END])]).repeat(4, 1)
CLOCK = Clock("adversarial", 0, 10)
# All fills of a hole of up to two words, of three.
FILLS = [(word, PAD) for word in (A, B, C)] + list(itertools.product((A, B, C), repeat=2))


def network(kind, **options):
    encoder = Words(SPEC, embedding_dim=3, hidden_dim=4)
    return kind(SPEC, encoder=encoder, embedding_dim=5, hidden_dim=6, **options)


def game(**options):
    torch.manual_seed(0)
    nets = {"generator": network(InfillingGenerator), "discriminator": network(InfillingDiscriminator)}
    for net in nets.values():
        for parameter in net.double().parameters():
            nn.init.normal_(parameter, std=0.6)
    return Players(nets), Infilling(SPEC, **options)


def filled(count=1):
    """Every way to fill the hole of ONE, int64 ``[12 * count, 7]``, with its input."""
    tokens = ONE.repeat(len(FILLS) * count, 1)
    tokens[:, 1:3] = torch.tensor(FILLS * count)
    return tokens, {"input": ONE.expand(len(tokens), -1)}


def test_probabilities_of_all_fills_sum_to_one_and_samples_are_distributed_so():
    players, _ = game()
    tokens, condition = filled()
    probability = players.generator.log_prob(tokens, condition).sum(1).exp().detach()
    assert math.isclose(probability.sum().item(), 1.0)
    with noise.shared(1):
        samples = players.generator.sample(20_000, {"input": ONE.expand(20_000, -1)})
    counts = (samples.unsqueeze(1) == tokens).all(2).sum(0)
    assert counts.sum() == 20_000
    expected = probability * 20_000
    assert ((counts - expected).square() / expected).sum() < 31.3  # 11 degrees of freedom: 1 in 1000


def test_at_a_temperature_log_prob_is_that_of_what_is_sampled():
    players, _ = game()
    tokens, condition = filled()
    probability = players.generator.log_prob(tokens, condition, temperature=0.5).sum(1).exp().detach()
    with noise.shared(2):
        samples = players.generator.sample(20_000, {"input": ONE.expand(20_000, -1)}, temperature=0.5)
    expected = probability * 20_000
    counts = (samples.unsqueeze(1) == tokens).all(2).sum(0)
    assert ((counts - expected).square() / expected.clamp(min=1)).sum() < 31.3


@pytest.mark.parametrize("draw", ["sample", "rollout", "relaxed"])
def test_what_is_given_is_kept_and_holes_have_a_word_and_no_special_token(draw):
    players, _ = game()
    condition = {"input": INPUT.repeat(20, 1)}
    if draw == "relaxed":
        rows = [players.generator.relaxed(len(condition["input"]), condition).argmax(-1)]
    else:
        rows = [players.generator.sample(len(condition["input"]), condition)]
    if draw == "rollout":
        rows = [rolled for _, rolled in players.generator.rollout(rows[0], condition, count=2)]
        condition = {"input": condition["input"].repeat_interleave(2, dim=0)}
    holes = HOLES.holes(condition["input"])
    for tokens in rows:
        assert torch.equal(tokens[~holes], condition["input"][~holes])
        first, second = tokens[holes].view(-1, 2).unbind(1)
        assert set(first.tolist()) == {A, B, C} and set(second.tolist()) == {PAD, A, B, C}


def test_only_what_was_chosen_has_a_log_probability():
    players, _ = game()
    tokens = players.generator.sample(8, {"input": INPUT})
    log_prob = players.generator.log_prob(tokens, {"input": INPUT})
    chosen = HOLES.chosen(tokens, INPUT)
    assert (log_prob[chosen] < 0).all() and (log_prob[~chosen] == 0).all()


def test_a_fill_depends_on_what_follows_the_hole():
    players, _ = game()
    tokens, condition = filled()
    after = [row.clone() for row in (tokens, condition["input"])]
    for row in after:
        row[:, 3] = C
    before = players.generator.log_prob(tokens, condition)[:, 1]
    assert not torch.allclose(before, players.generator.log_prob(after[0], {"input": after[1]})[:, 1])


def test_a_verdict_is_a_function_of_the_token_those_before_it_and_the_input():
    players, _ = game()
    tokens, condition = filled()
    logits = players.discriminator(tokens, condition)
    assert logits.shape == tokens.shape
    other = tokens.clone()
    other[:, 2] = torch.where(tokens[:, 2] == A, B, A)
    changed = players.discriminator(other, condition)
    assert torch.equal(logits[:, :2], changed[:, :2])
    assert not torch.isclose(logits[:, 2:5], changed[:, 2:5]).any()
    shifted = {"input": condition["input"].clone()}
    shifted["input"][:, 3] = HOLE
    assert not torch.isclose(logits[:, 1], players.discriminator(tokens, shifted)[:, 1]).any()


def test_a_verdict_begins_undecided_and_reads_as_the_generator_does():
    players, objective = game()
    discriminator = network(InfillingDiscriminator).double()
    tokens, condition = filled()
    assert (discriminator(tokens, condition) == 0).all()
    batch = {"tokens": tokens, **condition}
    objective.hand_over(Players({"generator": players.generator, "discriminator": discriminator}), batch, CLOCK)
    read = discriminator.reader.features(tokens, condition)
    torch.testing.assert_close(read, players.generator.features(tokens, condition))
    discriminator.verdict.weight.data.copy_(torch.eye(6))
    scores = players.generator.logits(read).gather(2, tokens.unsqueeze(2)).squeeze(2)
    scores = scores - players.generator.output.bias[tokens]
    chosen = HOLES.chosen(tokens, condition["input"])
    torch.testing.assert_close(discriminator(tokens, condition)[chosen], scores[chosen])


def test_a_discriminator_of_another_size_cannot_begin_as_the_generator():
    players, objective = game()
    other = InfillingDiscriminator(SPEC, encoder=Words(SPEC, embedding_dim=3, hidden_dim=4), embedding_dim=4)
    with pytest.raises(UsageError, match="give it the options that the generator has"):
        objective.hand_over(Players({"generator": players.generator, "discriminator": other}), {}, CLOCK)


def test_imitation_is_the_mean_negative_log_likelihood_of_what_was_hidden():
    players, objective = game()
    tokens, condition = filled()
    loss, _ = objective.imitate(players, {"tokens": tokens, **condition}, CLOCK)
    assert loss.value.item() == pytest.approx(-players.generator.log_prob(tokens, condition).sum().item() / 24)


def test_the_discriminators_loss_is_cross_entropy_of_filled_tokens_alone():
    players, objective = game()
    tokens, condition = filled()
    with noise.shared(3):
        fake = players.generator.sample(12, condition)
    with noise.shared(3):
        loss, stats = objective.discriminate(players, {"tokens": tokens, **condition}, CLOCK)
    sides = []
    for rows, real in ((tokens, True), (fake, False)):
        chosen = HOLES.chosen(rows, condition["input"])
        said = players.discriminator(rows, condition)[chosen].sigmoid()
        sides.append(-(said if real else 1 - said).log().mean().item())
    assert loss.item() == pytest.approx(sum(sides))
    assert 0 <= stats["accuracy"].item() <= 1


def test_returns_are_discounted_sums_less_those_of_the_other_fills():
    _, objective = game(discount=0.5, fills=2)
    rewards = torch.tensor([[0.0, 1.0, 2.0, 0.0, 4.0], [0.0, 3.0, 0.0, 0.0, 0.0]], dtype=torch.float64)
    returns = [[1.25, 2.5, 3.0, 2.0, 4.0], [1.5, 3.0, 0.0, 0.0, 0.0]]
    expected = [[a - b for a, b in zip(*pair, strict=True)] for pair in (returns, returns[::-1])]
    assert torch.allclose(objective.advantages(rewards), torch.tensor(expected, dtype=torch.float64))


@pytest.mark.parametrize("reward", ["logit", "log_probability"])
def test_the_policy_gradient_is_that_of_the_expected_sum_of_rewards(reward):
    players, objective = game(reward=reward, discount=1.0, fills=2)
    parameters = list(players.generator.parameters())
    every, condition = filled()
    with torch.no_grad():
        logits = players.discriminator(every, condition)
        rewards = logits if reward == "logit" else logits.sigmoid().log()
        rewards = (rewards * HOLES.chosen(every, condition["input"])).sum(1)
    probability = players.generator.log_prob(every, condition).sum(1).exp()
    expected = torch.autograd.grad(-(probability * rewards).sum(), parameters)
    with noise.shared(7):
        loss, stats = objective.policy(
            players, {"tokens": ONE.repeat(10_000, 1), "input": ONE.repeat(10_000, 1)}, CLOCK
        )
    found = torch.autograd.grad(loss.value, parameters)
    one, other = (torch.cat([gradient.flatten() for gradient in it]) for it in (found, expected))
    assert (
        torch.nn.functional.cosine_similarity(one, other, dim=0) > 0.99
    )  # their lengths differ: advantages are scaled
    assert 0 < stats["words"].item() < 1


def test_data_without_holes_are_refused():
    plain = TextFromSpec(
        vocab_size=7, max_length=7, start=START, end=END, pad=PAD, input=TextSpec(7, 7, START, END, PAD)
    )
    for kind in (InfillingGenerator, InfillingDiscriminator):
        with pytest.raises(UsageError, match="these data have none: use conditional/masked"):
            kind(plain, encoder=Words(plain, embedding_dim=3, hidden_dim=4))
    with pytest.raises(UsageError, match="use conditional/masked"):
        Infilling(plain)


def test_half_precision_autocast_is_near_full_precision():
    players, objective = game()
    for net in players.values():
        net.float()
    tokens, condition = filled()
    batch = {"tokens": tokens, **condition}
    for turn in (objective.imitate, objective.discriminate, objective.policy):
        losses = []
        for half in (False, True):
            with torch.autocast("cpu", torch.bfloat16, enabled=half), noise.shared(4):
                loss, _ = turn(players, batch, CLOCK)
                losses.append(loss.value if isinstance(loss, Mean) else loss)
        losses[1].backward()
        torch.testing.assert_close(*losses, rtol=0.05, atol=0.1)
