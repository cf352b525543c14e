"""Likelihoods under n-gram models: which fault of samples moves which of them."""

import random

import pytest

from gangen.errors import UsageError
from gangen.metrics.figures import Figure
from gangen.splits import StreamSplit
from gangen_text.metrics.kneser_ney import KneserNey
from gangen_text.metrics.ngram_nll import ForwardNLL, ReverseNLL

COUNT = 500


def both(evaluation, **options):
    return ForwardNLL(samples=COUNT, **options)(evaluation) | ReverseNLL(samples=COUNT, **options)(evaluation)


@pytest.fixture
def figures(bench, captions):
    """``figures(fault)``: both metrics of good samples that ``fault`` made worse."""
    train, heldout, good = captions(2 * COUNT, 1), captions(COUNT, 2), captions(COUNT, 3)
    return lambda fault: both(bench(fault(good), train, heldout))


def shuffled(texts):
    chance = random.Random(0)
    return [" ".join(chance.sample(text.split(), len(text.split()))) for text in texts]


def repeated(texts):
    return texts[:50] * (COUNT // 50)


def one_text(texts):
    return texts[:1] * COUNT


def test_good_samples_are_where_real_texts_are(figures):
    found = figures(list)
    assert found.keys() == {"forward_nll", "reverse_nll"}
    assert found["forward_nll"].value == pytest.approx(found["forward_nll"].real, abs=0.05)
    assert found["reverse_nll"].value == pytest.approx(found["reverse_nll"].real, abs=0.05)


def test_shuffled_words_raise_both(figures):
    found = figures(shuffled)
    assert found["forward_nll"].value > found["forward_nll"].real + 2
    assert found["reverse_nll"].value > found["reverse_nll"].real + 1


def test_repeated_texts_raise_the_reverse_one_alone(figures):
    found = figures(repeated)
    assert found["forward_nll"].value == pytest.approx(found["forward_nll"].real, abs=0.1)
    assert found["reverse_nll"].value > found["reverse_nll"].real + 0.5


def test_one_text_only_is_still_worse_and_finite(figures):
    assert 50 > figures(one_text)["reverse_nll"].value > figures(repeated)["reverse_nll"].value + 0.5


def test_words_that_no_text_has_are_finite(bench):
    found = both(bench(["x y z"], ["a b c", "a b"], ["d e f"]))
    assert all(0 < figure.value < 20 for figure in found.values())


def test_figures_are_those_of_models_of_either_side(bench, captions):
    samples, train, heldout = captions(40, 1), captions(60, 2), captions(30, 3)
    evaluation = bench(samples, train, heldout)
    data, spec = evaluation.data, evaluation.data.codec.spec
    rows, real, unseen = evaluation.samples(40), data.train.rows()["tokens"], data.heldout.rows()["tokens"]
    forward, reverse = KneserNey(real, spec, order=2), KneserNey(rows, spec, order=2)
    expected = Figure(pytest.approx(forward.nll(rows)), pytest.approx(forward.nll(unseen)), "real")
    assert ForwardNLL(order=2)(evaluation) == {"forward_nll": expected}
    assert ReverseNLL(order=2, samples=40)(evaluation)["reverse_nll"].value == pytest.approx(reverse.nll(unseen))
    # Of a thousand samples only sixty are looked at, since there are but sixty training texts to compare with.
    everything = ReverseNLL(order=2)
    assert everything(evaluation)["reverse_nll"].real == pytest.approx(forward.nll(unseen))
    assert everything.protocol(evaluation) == {"samples": 60, "held-out rows": 30, "training rows": 60}


def test_equally_many_texts_are_learned_from(bench, captions):
    asked = []
    evaluation = bench(captions(90, 1), captions(60, 2), captions(30, 3))
    samples = evaluation.samples
    evaluation.samples = lambda n: asked.append(n) or samples(n)
    few, all_of_them = (ReverseNLL(samples=n)(evaluation)["reverse_nll"].real for n in (20, 90))
    assert asked == [20, 60]
    assert few > all_of_them


@pytest.mark.parametrize("metric", [ForwardNLL, ReverseNLL])
def test_real_texts_are_read_once(bench, captions, metric):
    evaluation = bench(captions(9, 1), captions(9, 2), captions(9, 3))
    measure = metric(samples=9)
    figures = measure(evaluation)
    read = evaluation.data.train.batch
    evaluation.data.train.batch = None
    assert measure(evaluation) == figures
    evaluation.data.train.batch = read
    other = bench(captions(9, 1), captions(9, 7), captions(9, 8))
    assert measure(other) == metric(samples=9)(other) != figures


def test_a_stream_needs_a_number_of_texts(bench, captions):
    evaluation = bench(captions(30, 1), captions(30, 2), captions(9, 3))
    rows = evaluation.data.train.rows()["tokens"]
    evaluation.data.train = evaluation.training = StreamSplit(lambda epoch: ({"tokens": row} for row in rows))
    with pytest.raises(UsageError, match="all texts of a stream; say how many, as in training: 100000"):
        ForwardNLL().check(evaluation)
    metric = ForwardNLL(training=10)
    metric.check(evaluation)
    ten = KneserNey(rows[:10], evaluation.data.codec.spec)
    assert metric(evaluation)["forward_nll"].value == pytest.approx(ten.nll(evaluation.samples(30)))
    assert metric.protocol(evaluation)["training rows"] == 10
    spec, heldout = evaluation.data.codec.spec, evaluation.data.heldout.rows()["tokens"]
    found = ReverseNLL(samples=10)(evaluation)["reverse_nll"].real
    assert found == pytest.approx(KneserNey(rows[:10], spec).nll(heldout))
