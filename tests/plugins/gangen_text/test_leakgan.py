"""LeakGAN: goals and rewards against their definitions, who learns from what, what a saved model samples with."""

import copy
import itertools
import math
from dataclasses import replace

import pytest
import torch

from gangen import UsageError, noise, testing
from gangen.contracts import Clock
from gangen.networks import Players
from gangen_text.networks.cnn import CNNDiscriminator
from gangen_text.networks.hierarchical import HierarchicalGenerator
from gangen_text.networks.lstm import LSTMDiscriminator, LSTMGenerator
from gangen_text.objectives.cot import CoT
from gangen_text.objectives.gumbel import Gumbel
from gangen_text.objectives.leakgan import LeakGAN, intrinsic_rewards, reached_goals, rescaled
from gangen_text.objectives.seqgan import SeqGAN
from gangen_text.spec import TextSpec

FIXED = TextSpec(vocab_size=3, max_length=3, start=0)
ENDING = TextSpec(vocab_size=7, max_length=6, start=0, end=1, pad=2)
TEXTS = torch.tensor([[3, 4, 6, 5, 1, 2], [5, 1, 2, 2, 2, 2], [6, 6, 3, 4, 5, 3]])
CLOCK = Clock("adversarial", 3, 10)
CNN = {"use": "text/cnn", "embedding_dim": 4, "filter_widths": [1, 3], "filter_counts": [4, 4]}
MANAGER, WORKER = ("manager", "goal."), ("worker", "projection", "output")


def cnn(spec):
    return CNNDiscriminator(spec, embedding_dim=3, filter_widths=(1, 2), filter_counts=(3, 3), dropout=0.0)


def game(spec, horizon=2):
    torch.manual_seed(0)
    generator = HierarchicalGenerator(
        spec, leak=cnn(spec), embedding_dim=4, hidden_dim=5, manager_dim=4, goal_dim=3, horizon=horizon
    )
    for parameter in generator.parameters():
        torch.nn.init.normal_(parameter, std=0.7)
    discriminator = cnn(spec)
    for parameter in discriminator.parameters():
        torch.nn.init.normal_(parameter, std=0.7)
    players = Players({"generator": generator.double(), "discriminator": discriminator.double()})
    generator.take_leak(discriminator)
    return players


def cosine(a, b):
    return (a @ b / (a.norm() * b.norm())).item() if a.any() else 0.0


def gradients(loss, network, names):
    chosen = [parameter for name, parameter in network.named_parameters() if name.startswith(names)]
    found = torch.autograd.grad(loss, chosen, retain_graph=True, allow_unused=True)
    return torch.cat(
        [torch.zeros(it.numel()) if g is None else g.flatten() for it, g in zip(chosen, found, strict=True)]
    )


def test_a_goal_is_reached_as_far_as_the_text_goes_its_way_within_the_horizon_or_to_its_end():
    torch.manual_seed(1)
    seen, goals = torch.randn(3, 7, 4).double(), torch.randn(3, 6, 4).double()
    found, lengths = reached_goals(seen, goals, ENDING.mask(TEXTS), 4), (5, 2, 6)
    for row, length in enumerate(lengths):
        expected = [cosine(seen[row, min(t + 4, length)] - seen[row, t], goals[row, t]) for t in range(length)]
        assert found[row, :length].tolist() == pytest.approx(expected)


@pytest.mark.parametrize("horizon", [1, 3, 9])
def test_a_token_earns_the_mean_cosine_of_the_ways_since_the_last_goals_with_these(horizon):
    torch.manual_seed(2)
    seen, goals = torch.randn(2, 6, 4).double(), torch.randn(2, 5, 4).double()
    found = intrinsic_rewards(seen, goals, horizon)
    for row, t in itertools.product(range(2), range(1, 6)):  # after t tokens
        ways = [cosine(seen[row, t] - seen[row, t - i], goals[row, t - i]) for i in range(1, min(horizon, t) + 1)]
        assert found[row, t - 1].item() == pytest.approx(sum(ways) / len(ways))


def test_rewards_are_rescaled_by_their_rank_in_the_batch_alone():
    values = torch.tensor([[0.1, 3.0], [0.7, 3.0], [0.7, 1.0], [0.9, 2.0]]).double()
    ranks = [[4, 1.5], [2.5, 1.5], [2.5, 4], [1, 3]]
    expected = [[1 / (1 + math.exp(-6 * (0.5 - rank / 4))) for rank in row] for row in ranks]
    for scale in (1, 1e-6):
        assert torch.allclose(rescaled(scale * values, 6.0), torch.tensor(expected).double())


def test_logits_are_action_embeddings_times_the_projected_sum_of_the_last_goals():
    generator = game(FIXED, horizon=2)["generator"]
    tokens = torch.tensor([[2, 1, 0]])
    goals, weight = generator.goals(generator.seen(tokens)[:, :-1])[0], generator.output.weight.view(3, 3, 6)
    assert torch.allclose(goals.norm(dim=1), torch.ones(3).double())
    state, _ = generator.worker(generator.worker_embedding(torch.tensor([[0, 2, 1]])))
    logits = []
    for t in range(3):
        projected = generator.projection.weight @ goals[max(0, t - 1) : t + 1].sum(0)
        actions = weight[:, :, :5] @ state[0, t] + weight[:, :, 5]  # a vector for each token of the vocabulary
        logits.append(actions @ projected + generator.output.bias)
    expected = torch.stack(logits).log_softmax(1).gather(1, tokens.t()).t()
    assert torch.allclose(generator.log_prob(tokens), expected)


@pytest.mark.parametrize("turn", ["imitate", "policy"])
def test_manager_and_worker_learn_each_from_a_loss_of_its_own(turn):
    players = game(ENDING)
    generator, batch, objective = players["generator"], {"tokens": TEXTS}, LeakGAN(ENDING, rollouts=2)
    with noise.shared(1):
        loss, _ = getattr(objective, turn)(players, batch, CLOCK)
    with noise.shared(1):
        tokens = TEXTS if turn == "imitate" else generator.sample(3, batch)
        values = objective.values(players, tokens, batch) if turn == "policy" else None
    seen, mask = generator.seen(tokens), ENDING.mask(tokens)
    goals = generator.goals(seen[:, :-1])
    reached, earned = reached_goals(seen, goals, mask, 2), intrinsic_rewards(seen, goals.detach(), 2)
    quality = torch.ones_like(reached)
    if turn == "policy":
        for row, t in mask.nonzero().tolist():
            quality[row, t] = rescaled(values, 16.0)[row, min(t + 2, mask[row].sum().item()) - 1]
    of_manager = -(quality * reached)[mask].mean()
    of_worker = -((earned if turn == "policy" else 1) * generator.log_prob(tokens, batch))[mask].mean()
    for part, own in ((MANAGER, of_manager), (WORKER, of_worker)):
        found = gradients(loss.value, generator, part)
        assert found.abs().sum() > 0
        assert torch.allclose(found, gradients(own, generator, part))
    everything = {name for name, _ in generator.named_parameters()}
    assert all(name.startswith((*MANAGER, *WORKER)) for name in everything)


def test_policy_gradients_are_those_by_enumeration():
    players = game(FIXED)
    generator, objective = players["generator"], LeakGAN(FIXED, stride=3, delta=4.0)
    texts = torch.tensor(list(itertools.product(range(3), repeat=3)))
    log_prob = generator.follow(texts, generator.goals(generator.seen(texts)[:, :-1]).detach())
    probability = log_prob.sum(1).exp().detach()
    seen = generator.seen(texts)
    goals = generator.goals(seen[:, :-1])
    # The gradient of the reward that a token is expected to earn after what stands before it.
    of_worker = -(probability @ (intrinsic_rewards(seen, goals.detach(), 2) * log_prob).sum(1)) / 3
    real = players["discriminator"](texts).sigmoid().detach()
    share_above = (((real > real[:, None]) + 0.5 * (real == real[:, None])) * probability).sum(1)
    quality = 1 / (1 + (-4.0 * (0.5 - share_above)).exp())
    of_manager = -((probability * quality) @ reached_goals(seen, goals, FIXED.mask(texts), 2).sum(1)) / 3
    with noise.shared(7):
        loss, _ = objective.policy(players, {"tokens": torch.zeros(20_000, 3, dtype=torch.long)}, CLOCK)
    for part, own in ((MANAGER, of_manager), (WORKER, of_worker)):
        found, expected = (gradients(it, generator, part) for it in (loss.value, own))
        assert (found - expected).norm() < 0.05 * expected.norm()


def test_texts_are_drawn_and_learned_from_at_the_temperature_of_the_game():
    players = game(FIXED)
    objective = LeakGAN(FIXED, stride=3, temperature={"start": 0.05})
    with noise.shared(3):
        loss, _ = objective.policy(players, {"tokens": torch.zeros(64, 3, dtype=torch.long)}, CLOCK)
    with noise.shared(3):
        tokens = players["generator"].sample(64, temperature=0.05)
    seen = players["generator"].seen(tokens)
    goals = players["generator"].goals(seen[:, :-1]).detach()
    log_prob = players["generator"].log_prob(tokens, temperature=0.05)
    own = -(intrinsic_rewards(seen, goals, 2) * log_prob).mean()
    assert torch.allclose(*(gradients(it, players["generator"], WORKER) for it in (loss.value, own)))


def test_the_manager_reads_what_the_discriminator_sees_since_the_generators_last_turn():
    players = game(ENDING)
    tokens, objective = TEXTS, LeakGAN(ENDING, rollouts=1)
    with torch.no_grad():
        for parameter in players["discriminator"].parameters():
            parameter.add_(0.5)
    before = players["generator"].seen(tokens)
    objective.imitate(players, {"tokens": tokens}, CLOCK)
    after = players["generator"].seen(tokens)
    assert torch.allclose(after[:, -1], players["discriminator"].features(tokens)) and not torch.allclose(before, after)


def test_beginnings_are_seen_filled_with_padding_so_that_an_ended_text_is_seen_as_its_row():
    players = game(ENDING)
    seen, features = players["generator"].seen(TEXTS), players["discriminator"].features
    for row, length in enumerate((5, 2, 6)):
        assert torch.allclose(seen[row, length:], features(TEXTS[[row]]))
        filled = TEXTS[[row]].repeat(length, 1).tril(-1) + torch.full((length, 6), ENDING.pad).triu()
        assert torch.allclose(seen[row, :length], features(filled))


def test_an_average_that_rolls_out_reads_what_the_generator_reads():
    networks = dict(game(ENDING))
    average = copy.deepcopy(networks["generator"])
    for parameter in networks["discriminator"].parameters():
        parameter.data.add_(0.5)
    players = Players(networks, {"generator": average})
    LeakGAN(ENDING, rollouts=1, rollout_with="average").policy(players, {"tokens": TEXTS}, CLOCK)
    assert torch.equal(average.seen(TEXTS), networks["generator"].seen(TEXTS))
    assert torch.allclose(average.seen(TEXTS)[:, -1], networks["discriminator"].features(TEXTS))


def test_texts_are_ranked_among_all_of_their_batch_or_not_at_all():
    players, objective = game(ENDING), LeakGAN(ENDING, rollouts=1)
    with pytest.raises(UsageError, match="a batch of all processes needs 2; raise batch_size"):
        objective.policy(players, {"tokens": TEXTS[:1]}, CLOCK)
    for turn in (objective.imitate, objective.policy):  # before pretraining, not after it
        with pytest.raises(UsageError, match=r"are to be in one part; set trainer\.accumulate=1"):
            turn(players, {"tokens": TEXTS}, replace(CLOCK, accumulate=2))


@pytest.mark.parametrize("other", [SeqGAN, Gumbel, CoT])
def test_a_game_that_hands_no_features_over_is_refused(other):
    with pytest.raises(
        UsageError, match=r"'generator' has a Manager .*, and this game hands none over.*; play text/leak"
    ):
        other(ENDING).check(game(ENDING), {"imitate"})


def test_players_that_do_not_go_together_are_refused():
    players, turns = dict(game(ENDING)), {"imitate", "policy"}
    LeakGAN(ENDING).check(Players(players), turns)
    other = CNNDiscriminator(ENDING, embedding_dim=3, filter_widths=(1, 2), filter_counts=(3, 4))
    for unlike in (other, LSTMDiscriminator(ENDING)):
        with pytest.raises(UsageError, match=r"another kind of discriminator than plays here; give players\.generator"):
            LeakGAN(ENDING).check(Players(players | {"discriminator": unlike}), turns)
    with pytest.raises(UsageError, match=r"is to have a Manager .*; take generator text/hierarchical"):
        LeakGAN(ENDING).check(Players(players | {"generator": LSTMGenerator(ENDING)}), turns)
    with pytest.raises(UsageError, match="a LSTMDiscriminator as leak has none of texts that are not finished"):
        HierarchicalGenerator(ENDING, leak=LSTMDiscriminator(ENDING))


def test_the_game_keeps_its_contract_and_its_model_samples_without_the_discriminator(labelled_csv):
    recipe = {
        "data": {
            "use": "text/lines",
            "path": str(labelled_csv),
            "label_column": "label",
            "tokenizer": "words",
            "max_length": 8,
        },
        "players": {
            "generator": {"use": "text/hierarchical", "leak": CNN, "goal_dim": 3, "ema": 0.9},
            "discriminator": {**CNN, "dropout": 0.0},
        },
        "objective": {"use": "text/leakgan", "rollouts": 2},
        "phases": {"play": {"steps": 2, "turns": {"imitate": 1, "discriminate": 1, "policy": 1}}},
        "trainer": {"batch_size": 8},
        "metrics": ["text/nll"],
    }
    testing.check_objective(recipe, micro_batches=False)
    testing.check_sampler(recipe)
    model = testing.play(recipe)
    assert set(model.networks) == {"generator"}
    assert model.sample("kitchen", n=3, seed=1)[:2] == model.sample("kitchen", n=2, seed=1)
