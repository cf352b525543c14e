"""Samples with a known fault move the metric that should notice, and good ones move none."""

import random

import pytest

from gangen_text.metrics.bleu import Bleu, SelfBleu
from gangen_text.metrics.copying import Copied
from gangen_text.metrics.lengths import Lengths

COUNT = 300


def shuffled(texts, train):
    chance = random.Random(0)
    return [" ".join(chance.sample(text.split(), len(text.split()))) for text in texts]


def duplicated(texts, train):
    return texts[: COUNT // 5] * 5


def truncated(texts, train):
    return [" ".join(text.split()[:3]) for text in texts]


def copied(texts, train):
    return train[: COUNT // 2] + texts[COUNT // 2 :]


def spliced(texts, train):
    """Training texts with another first word: no copy of a whole text is left."""
    return [" ".join(["the", *text.split()[1:]]) for text in train[:COUNT]]


def good(texts, train):
    return texts


@pytest.fixture
def figures(bench, captions):
    """``figures(fault)``: what all metrics say of good samples made worse by ``fault``."""
    train, heldout, texts = captions(2 * COUNT, 1), captions(COUNT, 2), captions(COUNT, 3)

    def measure(fault):
        evaluation = bench(fault(texts, train), train, heldout)
        metrics = (Bleu(samples=COUNT), SelfBleu(samples=COUNT), Copied(samples=COUNT), Lengths(samples=COUNT))
        return {name: value for metric in metrics for name, value in metric(evaluation).items()}

    return measure


NOTICED = [
    (shuffled, "bleu_2", -0.3),
    (shuffled, "bleu_5", -0.3),
    (shuffled, "self_bleu_3", -0.2),
    (shuffled, "copied_run", -0.2),
    (duplicated, "self_bleu_5", 0.15),
    (truncated, "length_distance", 3.0),
    (truncated, "copied_run", 0.15),
    (copied, "copied", 0.4),
    (spliced, "copied_run", 0.1),
]


@pytest.mark.parametrize(("fault", "name", "change"), NOTICED)
def test_a_fault_moves_the_metric_that_should_notice(figures, fault, name, change):
    found = figures(fault)
    moved = found[name].value - found[name].real
    assert moved * change > 0 and abs(moved) > abs(change), f"{name} moved by {moved:.3f}"


def test_good_samples_are_where_real_ones_are(figures):
    found = figures(good)
    for name in {name for _, name, _ in NOTICED} - {"length_distance"}:
        assert found[name].value == pytest.approx(found[name].real, abs=0.05)
    assert found["length_distance"].value < 0.5


def test_bleu_alone_does_not_see_duplicates(figures):
    found = figures(duplicated)
    assert found["bleu_5"].value == pytest.approx(found["bleu_5"].real, abs=0.1)
