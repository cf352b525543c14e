"""The game of translation: rewards see the source, and are partly BLEU against the true translation."""

import pytest
import torch
from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu
from torch import nn

from gangen import Clock, Players, noise
from gangen.losses import NonSaturating
from gangen_conditional.networks.attentive import AttentiveGenerator
from gangen_conditional.networks.words import Words
from gangen_conditional.objectives.translation import Translation
from gangen_conditional.spec import TextFromSpec
from gangen_text import TextSpec

SOURCE = TextSpec(vocab_size=7, max_length=5, start=0, end=1, pad=2)
SPEC = TextFromSpec(vocab_size=9, max_length=7, start=0, end=1, pad=2, input=SOURCE)
TRUTHS = torch.tensor([[3, 4, 5, 6, 7, 1, 2], [8, 7, 1, 2, 2, 2, 2]])
INPUT = torch.tensor([[3, 4, 1, 2, 2], [5, 6, 1, 2, 2]])
BATCH = {"tokens": TRUTHS, "input": INPUT}


class Matching(nn.Module):
    """Sure of a text that begins with the number that its source begins with, and sure that others are made up."""

    def encoder(self, rows):
        return rows[:, 0]

    def judge(self, tokens, memory, rows):
        return torch.where(tokens[:, 0] == memory[rows], 20.0, -20.0)


def game(**options):
    return Translation(SPEC, loss=NonSaturating(), **options)


def players():
    torch.manual_seed(0)
    generator = AttentiveGenerator(SPEC, encoder=Words(SPEC, embedding_dim=4, hidden_dim=4), hidden_dim=8)
    return Players({"generator": generator, "discriminator": Matching()})


def test_the_bleu_of_a_translation_is_that_of_its_own_truth():
    texts = torch.tensor([[3, 4, 5, 6, 8, 1, 2], [3, 4, 5, 6, 8, 1, 2], [8, 7, 1, 2, 2, 2, 2], [1, 2, 2, 2, 2, 2, 2]])
    rows = torch.tensor([0, 1, 1, 0])
    expected = [
        sentence_bleu([truth], said, smoothing_function=SmoothingFunction().method1) if said else 0.0
        for truth, said in [
            ([3, 4, 5, 6, 7], [3, 4, 5, 6, 8]),
            ([8, 7], [3, 4, 5, 6, 8]),
            ([8, 7], [8, 7]),
            ([3, 4, 5, 6, 7], []),
        ]
    ]
    torch.testing.assert_close(game().sentence_bleu(texts, TRUTHS, rows), torch.tensor(expected))


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_rewards_are_verdicts_about_text_and_source_and_a_share_of_bleu(share):
    texts, rows = torch.tensor([[3, 4, 1, 2, 2, 2, 2]] * 2), torch.tensor([0, 1])
    objective = game(bleu=share)
    bleu = objective.sentence_bleu(texts, TRUTHS, rows)
    assert bleu[0] > bleu[1]
    rewards = objective.rewards(players(), texts, BATCH, rows)
    torch.testing.assert_close(rewards, (1 - share) * torch.tensor([1.0, 0.0]) + share * bleu, atol=1e-6, rtol=0)


def test_policy_gradient_makes_what_the_discriminator_believes_of_this_source_likelier():
    both, objective = players(), game(stride=7)
    batch = {name: rows.repeat(32, 1) for name, rows in BATCH.items()}
    optimizer = torch.optim.Adam(both.generator.parameters(), lr=0.03)
    for step in range(60):
        with noise.shared(step):
            loss, _ = objective.policy(both, batch, Clock("adversarial", step, 60))
        optimizer.zero_grad()
        loss.value.backward()
        optimizer.step()
    with noise.shared(99):
        first = both.generator.sample(64, batch)[:, 0]
    assert (first == batch["input"][:, 0]).double().mean() > 0.9
