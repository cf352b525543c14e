"""SentiGAN: classes of labels and fakes, the penalty of a text of a label, a loss by probabilities."""

import math

import pytest
import torch
from torch import nn

from gangen.contracts import Clock
from gangen.errors import UsageError
from gangen.networks import Players
from gangen_text.networks.cnn import CNNDiscriminator
from gangen_text.networks.lstm import LSTMGenerator
from gangen_text.objectives.sentigan import SentiGAN
from gangen_text.spec import TextSpec

SPEC = TextSpec(vocab_size=7, max_length=4, start=0, end=1, pad=2, labels=("low", "high"))
CLOCK = Clock("adversarial", 3, 10)
BATCH = {"tokens": torch.tensor([[3, 4, 1, 2], [5, 6, 3, 1]]), "label": torch.tensor([1, 0])}
FAKE = torch.tensor([[6, 1, 2, 2], [4, 4, 4, 1]])


class Classes(nn.Module):
    """Logits of two labels by the first token of a text."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(1)
        self.table = nn.Parameter(torch.randn(7, 2))

    def of_labels(self, tokens):
        return self.table[tokens[:, 0]]


def game(discriminator):
    torch.manual_seed(0)
    generator = LSTMGenerator(SPEC, embedding_dim=6, hidden_dim=8, init_std=0.7).double()
    return Players({"generator": generator, "discriminator": discriminator.double()})


def probability(table, token, which):
    """Of a label, or of a fake (2), by the definition."""
    exponentials = [math.exp(logit) for logit in [*table[token].tolist(), 0.0]]
    return exponentials[which] / sum(exponentials)


def test_the_discriminators_loss_is_the_cross_entropy_of_labels_and_fakes():
    players = game(Classes())
    table = players.discriminator.table
    loss, stats = SentiGAN(SPEC).tell_apart(players, BATCH, BATCH["tokens"], FAKE, CLOCK)
    of_true = [probability(table, token, which) for token, which in [(3, 1), (5, 0), (6, 2), (4, 2)]]
    assert loss.item() == pytest.approx(-sum(map(math.log, of_true)) / 2)
    best = [max(range(3), key=lambda it, token=token: probability(table, token, it)) for token in (3, 5, 6, 4)]
    assert stats["accuracy"].item() == sum(a == b for a, b in zip(best, [1, 0, 2, 2], strict=True)) / 4


def test_the_penalty_of_a_text_is_the_doubt_that_it_is_real_and_of_its_label():
    players = game(Classes())
    penalties = SentiGAN(SPEC).rewards(players, torch.cat([FAKE, FAKE]), BATCH, torch.tensor([0, 0, 1, 1]))
    expected = [1 - probability(players.discriminator.table, token, which) for token, which in [(6, 1), (4, 1), (6, 0)]]
    assert penalties[:3].tolist() == pytest.approx(expected)


def test_the_generators_loss_is_the_mean_penalty_by_probability():
    players = game(Classes())
    players.generator.sample = lambda n, condition: FAKE
    loss, stats = SentiGAN(SPEC, stride=4).policy(players, BATCH, CLOCK)  # the penalty of all tokens is the text's
    probabilities = players.generator.log_prob(FAKE, BATCH).exp()
    penalties = [1 - probability(players.discriminator.table, *it) for it in [(6, 1), (4, 0)]]
    expected = penalties[0] * probabilities[0, :2].sum() + penalties[1] * probabilities[1].sum()
    assert loss.value.item() == pytest.approx(expected.item() / 6)
    assert stats["penalty"].item() == pytest.approx(sum(penalties) / 2)
    loss.value.backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in players.generator.parameters())


def test_logits_by_label_are_those_of_each_label_alone():
    discriminator = CNNDiscriminator(SPEC, filter_widths=(1, 2), filter_counts=(3, 3)).eval()
    each = [discriminator(FAKE, {"label": torch.full((2,), label)}) for label in (0, 1)]
    torch.testing.assert_close(discriminator.of_labels(FAKE), torch.stack(each, dim=1))


def test_data_without_labels_are_refused():
    with pytest.raises(UsageError, match="writes texts by label, and the data have none"):
        SentiGAN(TextSpec(vocab_size=7, max_length=4, start=0))
