"""RankGAN: scores against their definition, who is compared with whom, rewards that go by it."""

import math

import pytest
import torch
from torch import nn

from gangen.contracts import Clock
from gangen.errors import UsageError
from gangen.networks import Players
from gangen_text.networks.cnn import CNNDiscriminator
from gangen_text.networks.lstm import LSTMGenerator
from gangen_text.objectives.rankgan import RankGAN
from gangen_text.spec import TextSpec

SPEC = TextSpec(vocab_size=9, max_length=6, start=0)
CLOCK = Clock("adversarial", 3, 10)


class Ranker(nn.Module):
    """Features of a text are the embedding of its first token."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(1)
        self.embedding = nn.Embedding(9, 3)

    def features(self, tokens):
        return self.embedding(tokens[:, 0])


def game(discriminator):
    torch.manual_seed(0)
    generator = LSTMGenerator(SPEC, embedding_dim=6, hidden_dim=8, init_std=0.7).double()
    return Players({"generator": generator, "discriminator": discriminator.double()})


def rows(*first):
    return torch.tensor([[token] + [3] * 5 for token in first])


def score(gamma, ranker, text, references, comparisons):
    """The definition, text by text; ``comparisons`` says what stands beside ``text`` for each reference."""

    def relevance(a, b):
        a, b = (ranker.embedding.weight[it] for it in (a, b))
        return math.exp(gamma * (a @ b / (a.norm() * b.norm())).item())

    shares = [
        relevance(text, u) / (relevance(text, u) + sum(relevance(c, u) for c in comparisons(u))) for u in references
    ]
    return sum(shares) / len(shares)


def test_the_rankers_loss_is_that_of_the_scores_as_defined():
    ranker = Ranker()
    players, real, fake = game(ranker), [1, 2, 3], [5, 6, 7]
    loss, stats = RankGAN(SPEC, gamma=2.0).tell_apart(players, {}, rows(*real), rows(*fake), CLOCK)
    of_real = [score(2.0, ranker, s, [u for u in real if u != s], lambda u: fake) for s in real]
    of_fake = [score(2.0, ranker, s, real, lambda u: [c for c in real if c != u]) for s in fake]
    expected = -sum(map(math.log, of_real)) / 3 - sum(math.log(1 - it) for it in of_fake) / 3
    assert loss.item() == pytest.approx(expected)
    assert stats["real"].item() == pytest.approx(sum(map(math.log, of_real)) / 3)
    assert stats["accuracy"].item() == pytest.approx(sum(a > b for a, b in zip(of_real, of_fake, strict=True)) / 3)


def test_the_reward_of_a_text_is_the_logarithm_of_its_score_beside_real_texts():
    ranker, real = Ranker(), [1, 2, 3]
    texts, batch = rows(5, 6, 7, 1), {"tokens": rows(*real)}
    rewards = RankGAN(SPEC, gamma=3.0).rewards(game(ranker), texts, batch, torch.zeros(4).long())
    expected = [
        math.log(score(3.0, ranker, s, real, lambda u: [c for c in real if c != u])) for s in texts[:, 0].tolist()
    ]
    assert rewards.tolist() == pytest.approx(expected)


def test_the_ranker_learns_to_rank_and_the_generator_from_its_ranks():
    players = game(CNNDiscriminator(SPEC, filter_widths=(1, 2), filter_counts=(8, 8), dropout=0.0))
    objective = RankGAN(SPEC, rollouts=1)
    real = torch.randint(1, 4, (16, 6))  # of three tokens, where the generator has nine
    optimizer = torch.optim.Adam(players.discriminator.parameters(), 0.01)
    losses = []
    for _ in range(30):
        loss, stats = objective.discriminate(players, {"tokens": real}, CLOCK)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] and stats["accuracy"] > 0.9
    objective.policy(players, {"tokens": real}, CLOCK)[0].value.backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in players.generator.parameters())


def test_there_must_be_others_to_compare_with():
    with pytest.raises(UsageError, match="a micro-batch of all processes needs 2; raise batch_size"):
        RankGAN(SPEC).tell_apart(game(Ranker()), {}, rows(1), rows(2), CLOCK)
