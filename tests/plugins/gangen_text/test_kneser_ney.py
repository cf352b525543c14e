"""The n-gram model against the formula written out over dictionaries, and against counts by hand."""

import random
from collections import Counter
from fractions import Fraction
from math import log

import pytest
import torch

from gangen.errors import UsageError
from gangen_text.metrics.kneser_ney import KneserNey
from gangen_text.spec import TextSpec

PAD, START, END, A, B, C = range(6)
SPEC = TextSpec(vocab_size=6, max_length=6, start=START, end=END, pad=PAD)
FIXED = TextSpec(vocab_size=6, max_length=6, start=0)


class Slow:
    """The same model as it stands in Chen and Goodman (1999): n-grams as tuples, probabilities as fractions."""

    def __init__(self, texts, vocab_size, order):
        self.vocab_size, self.order = vocab_size, order
        whole = [(None,) * (order - 1) + tuple(text) for text in texts]
        highest = Counter(text[at : at + order] for text in whole for at in range(len(text) - order + 1))
        self.counts = {order: highest}
        for n in range(order - 1, 0, -1):
            # How many different tokens stand before an n-gram: each is one n-gram of the next order.
            self.counts[n] = Counter(gram[1:] for gram in self.counts[n + 1])

    def probability(self, word, context, n=None):
        n = self.order if n is None else n
        if n == 0:
            return Fraction(1, self.vocab_size)
        counts, context = self.counts[n], tuple(context)[len(context) - n + 1 :]
        lower = self.probability(word, context, n - 1)
        following = {gram[-1]: count for gram, count in counts.items() if gram[:-1] == context}
        if not following:
            return lower
        ones, twos = (sum(count == k for count in counts.values()) for k in (1, 2))
        discount, total = Fraction(ones + 1, ones + 2 * twos + 2), sum(following.values())
        seen = max(following.get(word, 0) - discount, 0) / total
        return seen + discount * len(following) / total * lower

    def log_probs(self, text):
        whole = (None,) * (self.order - 1) + tuple(text)
        return [log(self.probability(word, whole[at : at + self.order - 1])) for at, word in enumerate(text)]


def texts_of(rows, spec):
    return [row[within].tolist() for row, within in zip(rows, spec.mask(rows), strict=True)]


def random_rows(spec, n, seed, words=(A, B, C)):
    """Rows of the given words, some of which fill the row; what is behind an end is arbitrary."""
    chance = random.Random(seed)
    first = 0 if spec.end is None else END
    return torch.tensor([chance.choices([first, *words], k=spec.max_length) for _ in range(n)])


@pytest.mark.parametrize("spec", [SPEC, FIXED], ids=["with an end", "of one length"])
@pytest.mark.parametrize("order", [1, 2, 3, 4])
@pytest.mark.parametrize("n", [1, 12, 60])
def test_every_token_has_the_probability_of_the_formula(spec, order, n):
    train, scored = random_rows(spec, n, seed=n, words=(A, B)), random_rows(spec, 20, seed=0)
    slow = Slow(texts_of(train, spec), spec.vocab_size, order)
    found = KneserNey(train, spec, order=order).log_prob(scored)
    for row, text in zip(found.tolist(), texts_of(scored, spec), strict=True):
        assert row[: len(text)] == pytest.approx(slow.log_probs(text))
        assert row[len(text) :] == [0.0] * (spec.max_length - len(text))


@pytest.mark.parametrize("order", [1, 2, 3, 5])
@pytest.mark.parametrize("context", [[], [A], [A, B], [A, B, A], [C, C], [A, C], [C, A, B], [PAD, START]])
def test_probabilities_of_the_vocabulary_add_up_to_one(order, context):
    # C is never seen, neither is anything after it; START and PAD are tokens that were never seen like any other.
    model = KneserNey(random_rows(SPEC, 12, seed=1, words=(A, B)), SPEC, order=order)
    rows = torch.tensor([[*context, word] for word in range(SPEC.vocab_size)])
    probabilities = model.log_prob(rows)[:, -1].exp()
    assert probabilities.sum().item() == pytest.approx(1)
    assert probabilities.min() > 0


def test_bigrams_by_hand():
    # Texts "A B" and "A C". Bigrams: ^A twice, AB BE AC CE once, so D is (4 + 1) / (4 + 2 + 2) = 5/8.
    # Before A and B and C is one token each, before the end two: D is (3 + 1) / (3 + 2 + 2) = 4/7, of 5 bigrams.
    model = KneserNey(torch.tensor([[A, B, END], [A, C, END]]), SPEC, order=2)
    rest = 4 / 7 * 4 / 5 / 6
    one, end = (1 - 4 / 7) / 5 + rest, (2 - 4 / 7) / 5 + rest
    expected = [
        (2 - 5 / 8) / 2 + 5 / 8 / 2 * one,  # A at the beginning
        (1 - 5 / 8) / 2 + 5 / 8 * one,  # B after A, which has two followers
        5 / 8 * one,  # A after B, whose only follower was the end
        5 / 8 * 2 / 2 * end,  # the end after A
    ]
    found = model.log_prob(torch.tensor([[A, B, A, END, PAD, PAD]])).exp()
    assert found[0, :4].tolist() == pytest.approx(expected)


def test_after_an_unseen_context_the_shorter_one_counts():
    train = torch.tensor([[A, B, END], [A, C, END], [B, B, END]])
    found = [KneserNey(train, SPEC, order=order).log_prob(torch.tensor([[C, A, B]])) for order in (2, 3)]
    # No text begins with C, and no A comes after C. The discounts of bigrams differ with the order: their counts do.
    slow = Slow(texts_of(train, SPEC), 6, 3)
    assert found[1][0, 2].item() == pytest.approx(log(slow.probability(B, (A,), 2)))
    assert found[0][0, 2].item() != pytest.approx(found[1][0, 2].item())


def test_a_beginning_is_no_token():
    # The start token of data of one length may be a token of its texts, too.
    model = KneserNey(torch.tensor([[A, B], [A, C]]), FIXED, order=2)
    found = model.log_prob(torch.tensor([[A, B], [FIXED.start, A]])).exp()
    assert found[0, 0] > 0.6
    assert found[1, 1] < 0.3


def test_nll_is_per_token_and_the_end_is_one():
    model = KneserNey(random_rows(SPEC, 12, seed=1), SPEC)
    rows = torch.tensor([[A, B, END, PAD], [END, A, A, A], [A, A, A, A]])
    found = model.log_prob(rows)
    assert found[0, 2] < 0 and found[1, 0] < 0
    total = found[0, :3].sum() + found[1, 0] + found[2].sum()
    assert model.nll(rows) == pytest.approx(-total.item() / 8)


def test_repeated_texts_leave_something_to_others():
    # No n-gram has a count of 1 or 2, in no order: the estimate of the papers would be 0 / 0.
    rows = torch.tensor([[A, B, C], [B, C, A], [C, A, B], [B, A, C], [A, C, B], [C, B, A]])
    model = KneserNey(torch.cat([rows] * 10), FIXED, order=1)
    found = model.log_prob(torch.tensor([[A, PAD]])).exp()
    assert found[0].tolist() == pytest.approx([(60 - 1 / 2) / 180 + 1 / 2 * 3 / 180 / 6, 1 / 2 * 3 / 180 / 6])


def test_what_is_behind_an_end_changes_nothing():
    rows = random_rows(SPEC, 30, seed=2)
    clean = rows.masked_fill(~SPEC.mask(rows), PAD)
    assert torch.equal(KneserNey(rows, SPEC).log_prob(rows), KneserNey(clean, SPEC).log_prob(clean))


def test_without_texts_there_is_no_model():
    with pytest.raises(UsageError, match="at least one text to learn from"):
        KneserNey(torch.empty(0, 6, dtype=torch.int64), SPEC)
