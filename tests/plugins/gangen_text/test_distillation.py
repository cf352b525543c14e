"""Games of distillation: estimators by enumeration of a tiny vocabulary, losses by hand, what is refused, resume."""

import copy
import itertools

import pytest
import torch
from accelerate import Accelerator
from rich.console import Console
from torch import nn
from torch.nn.functional import logsigmoid

from gangen import Clock, Players, noise
from gangen.components.registry import Registry
from gangen.errors import RecipeError
from gangen.losses import RelativisticPaired
from gangen.recipe.load import load_recipe
from gangen.run_directory import RunDirectory
from gangen.training import checkpoint
from gangen.training.assemble import assemble
from gangen_text.networks.lstm import LSTMGenerator
from gangen_text.objectives.adversarial_distillation import AdversarialDistillation
from gangen_text.objectives.estimators import clipped_gain, group_advantages, kl_estimate
from gangen_text.objectives.imitation_rl import ImitationRL
from gangen_text.objectives.self_play import SelfPlay
from gangen_text.objectives.sequence_kd import SequenceKD
from gangen_text.spec import TextSpec

CLOCK = Clock("adversarial", 3, 10)
SPEC = TextSpec(vocab_size=3, max_length=2, start=0)
TEXTS = torch.tensor(list(itertools.product(range(3), repeat=2)))
VALUES = torch.tensor([0.3, -1.0, 0.5, 2.0, 0.0, -0.7, 1.1, 0.2, -0.4], dtype=torch.float64)


@pytest.fixture
def laws():
    """Parameters of a law on four tokens, and two logarithms of laws by name."""
    torch.manual_seed(0)
    logits, other = torch.randn(4, dtype=torch.float64, requires_grad=True), torch.randn(4, dtype=torch.float64)
    return logits, logits.log_softmax(0), other.log_softmax(0)


def gradient(value, *parameters):
    return torch.cat([it.flatten() for it in torch.autograd.grad(value, parameters, retain_graph=True)])


def test_estimates_have_the_mean_and_the_gradients_that_are_said(laws):
    logits, p, q = laws
    law = p.exp().detach()
    forward, backward = (p.exp() * (p - q)).sum(), (q.exp() * (q - p)).sum()
    for form in ("k1", "k3"):
        torch.testing.assert_close((law * kl_estimate(p, q, form)).sum(), forward)
    assert (kl_estimate(p, q, "k3") >= 0).all()
    near = (p.detach() + 0.01 * (q - p.detach())).log_softmax(0)
    torch.testing.assert_close((law * kl_estimate(p, near, "k2")).sum(), (law * (p - near)).sum(), atol=0, rtol=0.02)
    expected = {"k1": 0 * logits, "k2": gradient(forward, logits), "k3": gradient(backward, logits)}
    for form, right in expected.items():
        torch.testing.assert_close(gradient((law * kl_estimate(p, q, form)).sum(), logits), right)


@pytest.mark.parametrize("size", [2, 3])
def test_advantages_within_groups_have_the_gradient_of_the_mean_reward(size, laws):
    logits, p, _ = laws
    rewards = torch.tensor([1.0, -2.0, 0.5, 3.0], dtype=torch.float64)
    groups = torch.tensor(list(itertools.product(range(4), repeat=size)))
    law = p.detach()[groups].sum(1).exp()
    gain = clipped_gain(p[groups], p.detach()[groups], group_advantages(rewards[groups], scaled=False), 0.2)
    found = gradient((law[:, None] * gain).sum() / size, logits)
    # Less the mean of a group that it is part of itself, an advantage is smaller by one part of the group.
    torch.testing.assert_close(found, (size - 1) / size * gradient((p.exp() * rewards).sum(), logits))


def test_advantages_may_be_scaled_and_belong_to_their_group():
    advantages = group_advantages(torch.tensor([[1.0, 3.0], [10.0, 10.0], [0.0, 200.0]]))
    torch.testing.assert_close(advantages, torch.tensor([[-1, 1], [0, 0], [-1, 1]]) / 2**0.5, atol=1e-3, rtol=0)


def test_gains_are_clipped_where_they_would_go_further():
    before = torch.zeros(4)
    log_prob = torch.tensor([1.5, 1.5, 0.5, 0.5]).log().requires_grad_()
    gain = clipped_gain(log_prob, before, torch.tensor([1.0, -1.0, 1.0, -1.0]), 0.2)
    torch.testing.assert_close(gain, torch.tensor([1.2, -1.5, 0.5, -0.8]))
    torch.testing.assert_close(torch.autograd.grad(gain.sum(), log_prob)[0], torch.tensor([0.0, -1.5, 0.5, 0.0]))


def network(seed=0):
    torch.manual_seed(seed)
    return LSTMGenerator(SPEC, embedding_dim=6, hidden_dim=8, init_std=0.7).double()


class Table(nn.Module):
    """A discriminator that knows what each text is worth."""

    def forward(self, tokens, condition=None):
        return VALUES[tokens[:, 0] * 3 + tokens[:, 1]]


def of(game, batch, turn, others=None, clock=CLOCK):
    with noise.shared(1):
        return getattr(game, turn)(others, batch, clock)


def test_the_policy_follows_the_mean_reward_and_stays_near_its_reference():
    players = Players({"generator": network(), "reference": network(1), "discriminator": Table()})
    game = AdversarialDistillation(SPEC, loss=RelativisticPaired(), group=50, scaled=False, kl=0.7, kl_form="k2")
    loss, figures = of(game, {"tokens": torch.zeros(800, 2, dtype=torch.long)}, "policy", players)
    generator = players.generator
    p = generator.log_prob(TEXTS)
    law = p.sum(1).exp().detach()
    expected = -(law * VALUES * p.sum(1)).sum() / 2 * 49 / 50
    divergence = (law[:, None] * kl_estimate(p, players.reference.log_prob(TEXTS).detach(), "k2")).sum() / 2
    right = gradient(expected + 0.7 * divergence, *generator.parameters())
    found = gradient(loss.value, *generator.parameters())
    assert (found - right).norm() < 0.05 * right.norm()
    assert figures["reward"].item() == pytest.approx((law * VALUES).sum().item(), abs=0.02)
    assert figures["kl"].item() == pytest.approx(divergence.item(), rel=0.05)


def test_played_again_in_a_step_the_same_answers_are_learned_from_with_clipped_ratios():
    players = Players({"generator": network(), "discriminator": Table()})
    game = AdversarialDistillation(SPEC, loss=RelativisticPaired(), group=4, kl=0)
    batch = {"tokens": torch.zeros(16, 2, dtype=torch.long)}
    _, first = of(game, batch, "policy", players)
    assert first["clipped"] == 0
    answers, before = game._answers[0]
    with torch.no_grad():
        for parameter in players.generator.parameters():
            parameter.add_(0.5)
    loss, second = of(game, batch, "policy", players, Clock("adversarial", 3, 10, repeat=1))
    assert second["clipped"] > 0 and second["reward"] == first["reward"]
    log_prob = players.generator.log_prob(answers.rows["tokens"])
    torch.testing.assert_close(loss.value, -clipped_gain(log_prob, before, answers.advantages[:, None], 0.2).mean())


def test_imitation_rewards_what_passes_for_real_and_mixes_real_texts_in():
    players = Players({"generator": network(), "discriminator": Table()})
    game = ImitationRL(SPEC, loss=RelativisticPaired(), demonstrations=0.4, reward=0.9, kl=0)
    batch = {"tokens": TEXTS[torch.arange(2000) % 9]}
    loss, figures = of(game, batch, "policy", players)
    with noise.shared(1):
        own = players.generator.sample(2000)
        shown = noise.uniform(2000, dtype=torch.float64) < 0.4
    passed = (Table()(own) - Table()(batch["tokens"])).sigmoid()
    rewards = torch.where(shown, 0.9, passed)
    advantages = (rewards - rewards.mean()) / rewards.std(correction=0)
    log_prob = players.generator.log_prob(torch.where(shown[:, None], batch["tokens"], own))
    expected = -(advantages[:, None] * log_prob).mean()
    found, right = (gradient(it, *players.generator.parameters()) for it in (loss.value, expected))
    torch.testing.assert_close(found, right)
    assert 0.35 < shown.double().mean() < 0.45
    assert figures["reward"].item() == pytest.approx(passed.mean().item())


def test_self_play_has_the_loss_of_preferring_real_texts():
    players = Players({"generator": network(), "reference": network(1)})
    real = torch.tensor([[1, 2], [0, 1], [2, 2]])
    loss, figures = of(SelfPlay(SPEC, beta=0.3), {"tokens": real}, "policy", players)
    with noise.shared(1):
        own = players.reference.sample(3)
    ratio = {
        name: sum(sign * players[net].log_prob(texts).sum(1) for net, sign in (("generator", 1), ("reference", -1)))
        for name, texts in (("real", real), ("own", own))
    }
    expected = -logsigmoid(0.3 * (ratio["real"] - ratio["own"])).mean()
    torch.testing.assert_close(loss, expected)
    found, right = (gradient(it, *players.generator.parameters()) for it in (loss, expected))
    torch.testing.assert_close(found, right)
    assert figures["accuracy"].item() == (ratio["real"] > ratio["own"]).float().mean().item()


def test_sequence_kd_imitates_in_every_turn_of_the_generator():
    players = Players({"generator": network()})
    batch, game = {"tokens": torch.tensor([[1, 2], [0, 1]])}, SequenceKD(SPEC)
    expected = -players.generator.log_prob(batch["tokens"]).mean()
    assert all(of(game, batch, turn, players)[0].value == expected for turn in ("imitate", "policy"))
    assert of(game, batch, "discriminate", players) == (None, {}) and game.discriminate.updates == ()


RECIPE = """
run: run
data: {use: text/prompts, size: 60, max_length: 10, max_prompt_length: 12}
players:
  generator: {use: text/causal_lm, architecture: llama, hidden_size: 16, num_attention_heads: 2}
  discriminator: {init: generator, kind: discriminators, use: text/sequence_classifier, architecture: llama,
                  hidden_size: 16, num_attention_heads: 2}
  reference: {kind: generators, copy_of: generator}
objective: OBJECTIVE
phases:
  warmup: {steps: 1, turns: {imitate: 1, discriminate: 1}}
  adversarial: {steps: 3, turns: {discriminate: 1, policy: 2}}
trainer: {batch_size: 8, threads: 1}
every: {sample: 0, checkpoint: 0}
"""
GAMES = ["text/adversarial_distillation", "text/imitation_rl", "text/self_play", "text/sequence_kd", "text/ddo"]
REGISTRY = Registry.discover()


def trainer_of(folder, objective, *changes):
    (folder / "game.yaml").write_text(RECIPE.replace("OBJECTIVE", objective))
    recipe = load_recipe(folder / "game.yaml", [f"run={folder}", *changes], REGISTRY)
    return assemble(recipe, REGISTRY, Accelerator(cpu=True), RunDirectory(recipe.run), Console(quiet=True))


@pytest.mark.parametrize("objective", GAMES)
def test_games_play_one_recipe_and_go_on_to_the_bit(objective, tmp_path):
    whole, resumed = (trainer_of(tmp_path, objective) for _ in range(2))
    before = copy.deepcopy(whole.players["generator"].net.state_dict())
    for step in range(4):
        if step == 2:
            half = checkpoint.save(whole, tmp_path / "half", keep=1)
        whole.play_step(whole.phases[whole.state.phase])
    checkpoint.restore(resumed, half)
    for _ in range(2):
        resumed.play_step(resumed.phases[resumed.state.phase])
    for name, player in whole.players.items():
        other = resumed.players[name].net.state_dict()
        assert all(torch.equal(it, other[key]) for key, it in player.net.state_dict().items()), name
    assert any(not torch.equal(it, before[key]) for key, it in whole.players["generator"].net.state_dict().items())


LEARNING = "players.reference={kind: generators, init: generator}"


@pytest.mark.parametrize("objective", ["text/adversarial_distillation", "text/imitation_rl", "text/self_play"])
def test_a_reference_that_learns_is_refused(objective, tmp_path):
    with pytest.raises(RecipeError, match=r"players.reference=\{kind: generators, copy_of: generator\}"):
        trainer_of(tmp_path, objective, LEARNING)
