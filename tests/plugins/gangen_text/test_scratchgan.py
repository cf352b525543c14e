"""ScratchGAN: dense rewards of a discriminator that reads along, their discounted sums, a baseline that moves."""

import itertools
from dataclasses import replace

import pytest
import torch
from torch import nn

from gangen import cli, noise
from gangen.contracts import Clock
from gangen.losses import NonSaturating
from gangen.networks import Players
from gangen_text.networks.lstm import LSTMDiscriminator, LSTMGenerator
from gangen_text.objectives.scratchgan import ScratchGAN
from gangen_text.objectives.seqgan import SeqGAN
from gangen_text.spec import TextSpec

ENDING = TextSpec(vocab_size=7, max_length=6, start=0, end=1, pad=2, labels=("low", "high"))
CLOCK = Clock("adversarial", 3, 10)
BATCH = {"tokens": torch.tensor([[3, 4, 1, 2, 2, 2], [5, 6, 3, 4, 5, 1]]), "label": torch.tensor([0, 1])}


class Reader(nn.Module):
    """A discriminator whose logits of prefixes are any function of tokens."""

    def __init__(self, verdict):
        super().__init__()
        self.verdict = verdict

    def prefixes(self, tokens, condition=None):
        return self.verdict(tokens).double()


def game(spec, discriminator):
    torch.manual_seed(0)
    generator = LSTMGenerator(spec, embedding_dim=6, hidden_dim=8, init_std=0.7).double()
    return Players({"generator": generator, "discriminator": discriminator.double()})


def test_values_are_discounted_sums_of_what_follows():
    rewards = torch.tensor([[1.0, 2.0, 4.0], [3.0, 0.0, 0.0]])
    values = ScratchGAN(ENDING, discount=0.5).returns(rewards)
    assert values.tolist() == [[3.0, 4.0, 4.0], [3.0, 0.0, 0.0]]


def test_the_policy_gradient_is_that_of_the_expected_discounted_reward():
    spec = TextSpec(vocab_size=3, max_length=2, start=0)
    first, second = torch.tensor([0.1, 0.9, 0.3]), torch.tensor([[0.5, 0.2, 0.8], [0.7, 0.6, 0.05], [0.3, 0.9, 0.4]])

    def verdict(tokens):
        return torch.stack([first[tokens[:, 0]], second[tokens[:, 0], tokens[:, 1]]], dim=1).logit()

    players = game(spec, Reader(verdict))
    parameters = list(players.generator.parameters())
    every_text = torch.tensor(list(itertools.product(range(3), repeat=2)))
    log_prob = players.generator.log_prob(every_text)
    rewards = 2 * verdict(every_text).sigmoid() - 1
    # Without a discount of later rewards the objective is J = E[r_1 + r_2].
    expected = torch.autograd.grad(-(log_prob.sum(1).exp() * rewards.sum(1)).sum() / 2, parameters)
    with noise.shared(7):
        batch = {"tokens": torch.zeros(40_000, 2, dtype=torch.long)}
        loss, stats = ScratchGAN(spec, discount=1.0).policy(players, batch, CLOCK)
    found = torch.autograd.grad(loss.value, parameters)
    flat_found, flat_expected = (torch.cat([gradient.flatten() for gradient in it]) for it in (found, expected))
    assert (flat_found - flat_expected).norm() < 0.05 * flat_expected.norm()
    assert stats["reward"].item() == pytest.approx((log_prob.sum(1).exp() * rewards.mean(1)).sum().item(), abs=0.01)


def test_the_discriminators_loss_is_the_cross_entropy_of_true_prefixes():
    players = game(ENDING, LSTMDiscriminator(ENDING, embedding_dim=4, hidden_dim=5, dropout=0.0))
    fake = torch.tensor([[6, 1, 2, 2, 2, 2], [4, 4, 4, 1, 2, 2]])
    loss, stats = ScratchGAN(ENDING).tell_apart(players, BATCH, BATCH["tokens"], fake, CLOCK)
    real, made = (players.discriminator.prefixes(rows, BATCH).sigmoid() for rows in (BATCH["tokens"], fake))
    real, made = torch.cat([real[0, :3], real[1]]), torch.cat([made[0, :2], made[1, :4]])
    # Each prefix counts alike: else one that both sides have would be taken for one of the side with shorter texts.
    assert loss.value.item() == pytest.approx(-2 * torch.cat([real.log(), (1 - made).log()]).mean().item())
    right = (real > 0.5).double().mean() + (made < 0.5).double().mean()
    assert stats["accuracy"].item() == pytest.approx(right.item() / 2)


def test_the_baseline_is_a_moving_average_of_the_mean_value():
    spec = TextSpec(vocab_size=3, max_length=2, start=0)
    players = game(spec, Reader(lambda tokens: torch.tensor([[0.75, 0.25]]).logit().expand(len(tokens), 2)))
    objective = ScratchGAN(spec, discount=0.5, decay=0.9)
    batch = {"tokens": torch.zeros(4, 2, dtype=torch.long)}  # values: 0.5 - 0.25 and -0.5, in the mean -0.125
    for earlier in range(3):
        objective.policy(players, batch, CLOCK)
        assert objective.baseline.item() == pytest.approx(-0.125 * (1 - 0.9**earlier))


def test_micro_batches_of_one_play_have_one_baseline():
    spec = TextSpec(vocab_size=3, max_length=2, start=0)
    players = game(spec, Reader(lambda tokens: tokens.double() - 1))
    texts = torch.tensor([[0, 1], [2, 2], [1, 0], [2, 1]])
    players.generator.sample = lambda n, condition: condition["tokens"]
    objectives = [ScratchGAN(spec, decay=0.5) for _ in range(2)]
    for _ in range(2):
        whole, _ = objectives[0].policy(players, {"tokens": texts}, CLOCK)
        parts = [
            objectives[1].policy(players, {"tokens": half}, replace(CLOCK, micro=micro))[0]
            for micro, half in enumerate(texts.split(2))
        ]
        mean = sum(part.total for part in parts) / sum(part.weight for part in parts)
        assert mean.item() == pytest.approx(whole.value.item())
    assert objectives[0].baseline.item() != 0


def test_what_is_behind_the_end_has_no_reward():
    ended = torch.tensor([[3, 1, 2, 2, 2, 2]] * 2)
    players = game(ENDING, Reader(lambda tokens: torch.full(tokens.shape, 50.0)))  # certain: each token earns 1
    players.generator.sample = lambda n, condition: ended
    objective = ScratchGAN(ENDING, discount=1.0, decay=0.0)
    for _ in range(2):
        objective.policy(players, BATCH, CLOCK)
    assert objective.baseline.item() == pytest.approx(1.5)  # (2 + 1) / 2


def test_the_last_prefix_is_the_text():
    torch.manual_seed(0)
    discriminator = LSTMDiscriminator(ENDING).eval()
    prefixes = discriminator.prefixes(BATCH["tokens"], BATCH)
    torch.testing.assert_close(discriminator(BATCH["tokens"], BATCH), prefixes[[0, 1], [2, 5]])
    other = BATCH["tokens"].clone()
    other[:, 2:] = 5
    torch.testing.assert_close(discriminator.prefixes(other, BATCH)[:, :2], prefixes[:, :2])


def test_the_same_discriminator_plays_other_games():
    players = game(ENDING, LSTMDiscriminator(ENDING, dropout=0.0))
    values = SeqGAN(ENDING, loss=NonSaturating(), rollouts=2).values(players, BATCH["tokens"], BATCH)
    assert values.shape == (2, 6)


def test_a_discriminator_of_whole_texts_is_refused_before_training(labelled_csv, tmp_path, capsys):
    recipe = tmp_path / "game.yaml"
    recipe.write_text(f"""
run: {tmp_path / "run"}
data: {{use: text/lines, path: {labelled_csv}, tokenizer: words, max_length: 8}}
players:
  generator: {{use: text/lstm, optimizer: {{lr: 0.01}}}}
  discriminator: {{use: text/cnn, optimizer: {{lr: 0.01}}}}
objective: text/scratchgan
phases: {{adversarial: {{steps: 1, turns: {{discriminate: 1, policy: 1}}}}}}
""")
    assert cli.main(["check", str(recipe)]) != 0
    assert "lacks prefixes()" in capsys.readouterr().err
