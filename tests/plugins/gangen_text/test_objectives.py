"""The text games: rewards that line up with tokens, a policy gradient that is one, losses over the right tokens."""

import copy
import itertools
import math

import pytest
import torch
from torch import nn

from gangen import noise
from gangen.contracts import Clock
from gangen.errors import UsageError
from gangen.losses import NonSaturating, RelativisticAverage, RelativisticPaired
from gangen.networks import Players
from gangen.optimizers import Learning, adam
from gangen.penalties import R1, GradientPenalty
from gangen.training.players import Player, learning
from gangen_text.networks.cnn import CNNDiscriminator
from gangen_text.networks.lstm import LSTMDiscriminator, LSTMGenerator
from gangen_text.networks.transformer import TransformerDiscriminator
from gangen_text.objectives.gumbel import Gumbel
from gangen_text.objectives.seqgan import SeqGAN
from gangen_text.objectives.turns import moments
from gangen_text.spec import TextSpec

FIXED = TextSpec(vocab_size=4, max_length=5, start=0)
ENDING = TextSpec(vocab_size=7, max_length=6, start=0, end=1, pad=2, labels=("low", "high"))
CLOCK = Clock("adversarial", 3, 10)


class Judge(nn.Module):
    """A discriminator whose logit is any function of whole texts."""

    def __init__(self, verdict):
        super().__init__()
        self.verdict = verdict
        self.weight = nn.Parameter(torch.zeros(()))

    def forward(self, tokens, condition=None):
        return self.verdict(tokens).double() + self.weight


def game(spec, discriminator, **options):
    torch.manual_seed(0)
    generator = LSTMGenerator(spec, embedding_dim=6, hidden_dim=8, init_std=0.7).double()
    nets = {"generator": generator, "discriminator": discriminator.double()}
    return Players(nets)


def everybody(nets):
    return {name: Player(name, net, Learning(adam)) for name, net in nets.items()}


def test_a_reward_that_is_constant_per_text_reaches_every_token_of_that_text():
    players = game(FIXED, Judge(lambda tokens: tokens[:, 0]))
    objective = SeqGAN(FIXED, loss=NonSaturating(), rollouts=3, reward="logit")
    tokens = torch.tensor([[1, 0, 2, 3, 1], [3, 3, 0, 0, 2], [0, 1, 1, 2, 3]])
    values = objective.values(players, tokens, {})
    assert torch.equal(values, tokens[:, :1].double().expand(3, 5))


def test_a_reward_for_one_position_is_certain_once_that_position_is_chosen_and_expected_before():
    place = 2
    players = game(FIXED, Judge(lambda tokens: tokens[:, place] == 1))
    objective = SeqGAN(FIXED, loss=NonSaturating(), rollouts=4000, reward="logit")
    tokens = torch.tensor([[0, 3, 1, 2, 2], [2, 2, 3, 1, 1]])
    with noise.shared(1):
        values = objective.values(players, tokens, {})
    assert torch.equal(values[:, place:], torch.tensor([[1.0] * 3, [0.0] * 3], dtype=torch.float64))
    # The value of the token before is the generator's own probability of earning the reward next.
    next_is_one = torch.cat([tokens[:, :place], torch.ones(2, 1, dtype=torch.long), tokens[:, place + 1 :]], dim=1)
    expected = players.generator.log_prob(next_is_one)[:, place].exp()
    assert torch.allclose(values[:, place - 1], expected, atol=0.03)


def test_with_a_stride_tokens_share_the_value_of_the_next_prefix_that_is_rolled_out():
    players = game(FIXED, Judge(lambda tokens: tokens[:, 1] + 10 * tokens[:, 4]))
    objective = SeqGAN(FIXED, loss=NonSaturating(), rollouts=3, reward="logit", stride=2)
    tokens = torch.tensor([[1, 0, 2, 3, 1], [3, 3, 0, 0, 2]])
    values = objective.values(players, tokens, {})
    assert torch.equal(values[:, 0], values[:, 1]) and torch.equal(values[:, 2], values[:, 3])
    assert values[:, 4].tolist() == [10.0, 23.0]
    assert torch.allclose((3 * values[:, 1]) % 1, torch.zeros(2, dtype=torch.float64), atol=1e-9)


def test_with_a_stride_of_the_length_every_token_has_the_reward_of_its_text():
    players = game(FIXED, Judge(lambda tokens: tokens[:, 4]))
    tokens = torch.tensor([[1, 0, 2, 3, 1], [3, 3, 0, 0, 2]])
    values = SeqGAN(FIXED, loss=NonSaturating(), reward="logit", stride=5).values(players, tokens, {})
    assert values.tolist() == [[1.0] * 5, [2.0] * 5]


def test_policy_gradient_is_the_gradient_of_the_expected_reward():
    spec = TextSpec(vocab_size=3, max_length=2, start=0)
    reward = torch.tensor([[0.1, 0.9, 0.3], [0.5, 0.2, 0.8], [0.7, 0.6, 0.05]], dtype=torch.float64)
    players = game(spec, Judge(lambda tokens: torch.logit(reward[tokens[:, 0], tokens[:, 1]])))
    objective = SeqGAN(spec, loss=NonSaturating(), rollouts=2, baseline="none", whiten=False)
    parameters = list(players.generator.parameters())

    every_text = torch.tensor(list(itertools.product(range(3), repeat=2)))
    probability = players.generator.log_prob(every_text).sum(1).exp()
    expected = torch.autograd.grad(-(probability * reward.flatten()).sum() / spec.max_length, parameters)

    with noise.shared(7):
        loss, _ = objective.policy(players, {"tokens": torch.zeros(40_000, 2, dtype=torch.long)}, CLOCK)
    found = torch.autograd.grad(loss.value, parameters)
    flat_found, flat_expected = (torch.cat([gradient.flatten() for gradient in it]) for it in (found, expected))
    assert (flat_found - flat_expected).norm() < 0.05 * flat_expected.norm()


@pytest.mark.parametrize("baseline", ["none", "position", "prefix"])
def test_whitened_advantages_have_mean_zero_and_deviation_one_over_true_tokens(baseline):
    objective = SeqGAN(ENDING, loss=NonSaturating(), baseline=baseline)
    torch.manual_seed(1)
    values, mask = torch.rand(9, 6, dtype=torch.float64), torch.rand(9, 6) < 0.7
    mask[:, 0] = True
    advantages = objective.advantages(values, mask)[mask]
    assert advantages.mean().item() == pytest.approx(0, abs=1e-12)
    assert advantages.std(correction=0).item() == pytest.approx(1, abs=1e-12)


def test_baselines_are_what_they_say():
    values = torch.tensor([[0.2, 0.6, 0.9], [0.4, 0.1, 0.3]], dtype=torch.float64)
    mask = torch.tensor([[True, True, True], [True, True, False]])
    position = SeqGAN(FIXED, loss=NonSaturating(), baseline="position", whiten=False).advantages(values, mask)
    assert torch.allclose(position[mask], torch.tensor([-0.1, 0.25, 0.0, 0.1, -0.25], dtype=torch.float64))
    prefix = SeqGAN(FIXED, loss=NonSaturating(), baseline="prefix", whiten=False).advantages(values, mask)
    assert torch.allclose(prefix[mask], torch.tensor([-0.1, 0.4, 0.3, 0.1, -0.3], dtype=torch.float64))


def test_moments_per_column_count_true_entries_only():
    values = torch.tensor([[1.0, 5.0], [3.0, 100.0]])
    mask = torch.tensor([[True, True], [True, False]])
    mean, deviation = moments(values, mask, dim=0)
    assert mean.tolist() == [2.0, 5.0]
    assert deviation.tolist() == [1.0, 0.0]


def test_rewards_are_judged_in_evaluation_mode_and_dropout_comes_back():
    players = game(FIXED, CNNDiscriminator(FIXED, filter_widths=(2,), filter_counts=(4,), dropout=0.9))
    objective = SeqGAN(FIXED, loss=NonSaturating(), rollouts=1)
    tokens = torch.tensor([[1, 2, 3, 0, 1]])
    last = [objective.values(players, tokens, {})[0, -1].item() for _ in range(2)]
    assert last[0] == last[1]
    assert players.discriminator.training


def test_rollouts_are_judged_with_the_label_of_their_text():
    players = game(ENDING, CNNDiscriminator(ENDING, filter_widths=(2,), filter_counts=(4,)))
    asked = []
    players.discriminator.register_forward_pre_hook(lambda net, arguments: asked.append(arguments[1]["label"].tolist()))
    SeqGAN(ENDING, loss=NonSaturating(), rollouts=2).values(
        players, torch.tensor([[3, 4, 5, 6, 3, 1], [4, 4, 1, 2, 2, 2]]), {"label": torch.tensor([1, 0])}
    )
    assert asked == [[1, 1, 0, 0] * 5 + [1, 0]]


def test_the_average_rolls_out_where_asked():
    players = game(FIXED, Judge(lambda tokens: tokens[:, 2]))
    average = copy.deepcopy(players.generator)
    with torch.no_grad():  # an average that always writes token 3
        for parameter in average.parameters():
            parameter.zero_()
        average.output.bias[3] = 1000.0
    players = Players(players, {"generator": average})
    objective = SeqGAN(FIXED, loss=NonSaturating(), rollouts=4, reward="logit", rollout_with="average")
    values = objective.values(players, torch.zeros(2, 5, dtype=torch.long), {})
    assert values.tolist() == [[3.0, 3.0, 0.0, 0.0, 0.0]] * 2


def test_imitation_is_the_mean_negative_log_likelihood_per_true_token():
    players = game(ENDING, CNNDiscriminator(ENDING))
    tokens = torch.tensor([[3, 4, 1, 2, 2, 2], [5, 6, 3, 4, 5, 1]])
    condition = {"label": torch.tensor([0, 1])}
    loss, _ = SeqGAN(ENDING, loss=NonSaturating()).imitate(players, {"tokens": tokens, **condition}, CLOCK)
    log_prob = players.generator.log_prob(tokens, condition)
    assert loss.value.item() == pytest.approx(-(log_prob[0, :3].sum() + log_prob[1].sum()).item() / 9)


@pytest.mark.parametrize("loss", [NonSaturating(), RelativisticAverage()])
def test_relaxed_fakes_carry_the_discriminators_gradient_to_the_generator(loss):
    players = game(ENDING, CNNDiscriminator(ENDING, filter_widths=(2, 3), filter_counts=(4, 4)))
    batch = {"tokens": torch.tensor([[3, 4, 1, 2, 2, 2], [5, 6, 3, 4, 5, 1]]), "label": torch.tensor([0, 1])}
    objective = Gumbel(ENDING, loss=loss, temperature=0.5)
    with learning(everybody(players), ["generator"]):
        objective.relax(players, batch, CLOCK)[0].backward()
    assert all(
        parameter.grad is not None and parameter.grad.abs().sum() > 0 for parameter in players.generator.parameters()
    )
    assert all(parameter.grad is None for parameter in players.discriminator.parameters())


def test_on_texts_with_labels_relativistic_pairs_are_of_one_category():
    players = game(ENDING, CNNDiscriminator(ENDING, dropout=0.0))
    tokens, label = torch.tensor([[3, 4, 1, 2, 2, 2], [5, 6, 3, 4, 5, 1], [4, 1, 2, 2, 2, 2]]), torch.tensor([0, 1, 0])
    objective = Gumbel(ENDING, loss=RelativisticPaired())
    with noise.shared(3):
        loss, _ = objective.discriminate(players, {"tokens": tokens, "label": label}, CLOCK)
    with noise.shared(3), torch.no_grad():
        fakes = players.generator.relaxed(3, {"label": label})
        of_categories = []
        for category in (0, 1):
            real, fake = (rows[label == category] for rows in (tokens, fakes))
            condition = {"label": torch.full((len(real),), category)}
            margins = players.discriminator(real, condition) - players.discriminator(fake, condition)
            of_categories.append(-margins.sigmoid().log().sum())
    assert loss.item() == pytest.approx(sum(of_categories).item() / 3)


def test_the_relaxations_temperature_follows_its_schedule():
    players = game(ENDING, CNNDiscriminator(ENDING))
    batch = {"tokens": torch.zeros(64, 6, dtype=torch.long), "label": torch.zeros(64, dtype=torch.long)}
    objective = Gumbel(ENDING, loss=NonSaturating(), temperature={"start": 5.0, "end": 0.01, "shape": "exponential"})
    peaks = []
    for step in (0, 99):
        with noise.shared(3), torch.no_grad():
            peaks.append(objective.fakes(players, batch, Clock("adversarial", step, 100))[:, 0].amax(-1).mean().item())
    assert peaks[0] < 0.6 < 0.98 < peaks[1]


@pytest.mark.parametrize("network", [CNNDiscriminator, LSTMDiscriminator, TransformerDiscriminator])
def test_penalties_differentiate_by_one_hot_rows_and_soft_ones(network):
    players = game(ENDING, network(ENDING, dropout=0.0))
    batch = {"tokens": torch.tensor([[3, 4, 1, 2, 2, 2], [5, 6, 3, 4, 5, 1]]), "label": torch.tensor([0, 1])}
    penalties = {"penalties": [R1(weight=2.0)], "lazy_penalties": [R1(weight=6.0), GradientPenalty()]}
    objective = Gumbel(ENDING, loss=NonSaturating(), **penalties)
    with torch.random.fork_rng():
        torch.set_default_dtype(torch.float64)
        try:
            _, stats = objective.discriminate(players, batch, CLOCK)
            loss, lazy = objective.penalize(players, batch, CLOCK)
        finally:
            torch.set_default_dtype(torch.float32)
    rows = nn.functional.one_hot(batch["tokens"], 7).double().requires_grad_()
    (slopes,) = torch.autograd.grad(players.discriminator(rows, batch).sum(), rows)
    assert stats["R1"].item() == pytest.approx(2.0 * slopes.square().sum().item() / (2 * 2))
    assert lazy["R1"].item() == pytest.approx(3 * stats["R1"].item())
    loss.backward()
    assert players.discriminator.embedding.weight.grad.abs().sum() > 0
    objective.check(players, ["discriminate", "penalize"])
    with pytest.raises(UsageError, match="give the objective lazy_penalties"):
        Gumbel(ENDING, loss=NonSaturating()).check(players, ["penalize"])


def test_l2_is_that_of_the_discriminators_output_layer():
    players = game(FIXED, CNNDiscriminator(FIXED, filter_widths=(2,), filter_counts=(4,), dropout=0.0))
    batch, losses = {"tokens": torch.tensor([[1, 0, 2, 3, 1], [3, 3, 0, 0, 2]])}, []
    for l2 in (0.0, 0.2):
        with noise.shared(1):
            losses.append(SeqGAN(FIXED, loss=NonSaturating(), l2=l2).discriminate(players, batch, CLOCK)[0].item())
    output = players.discriminator.output
    squares = output.weight.square().sum() + output.bias.square().sum()
    assert losses[1] - losses[0] == pytest.approx(0.1 * squares.item())


def test_the_discriminators_turn_leaves_the_generator_alone():
    players = game(ENDING, CNNDiscriminator(ENDING))
    batch = {"tokens": torch.tensor([[3, 4, 1, 2, 2, 2]] * 4), "label": torch.tensor([0, 1, 0, 1])}
    for objective in (SeqGAN(ENDING, loss=NonSaturating()), Gumbel(ENDING, loss=NonSaturating())):
        with learning(everybody(players), ["discriminator"]):
            loss, stats = objective.discriminate(players, batch, CLOCK)
            loss.backward()
        assert all(parameter.grad is None for parameter in players.generator.parameters())
        assert 0 <= stats["accuracy"].item() <= 1
        assert math.isfinite(loss.item())
