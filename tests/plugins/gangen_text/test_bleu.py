"""BLEU and Self-BLEU against nltk and figures worked out by hand."""

import gzip
import math
import random
from statistics import fmean

import pytest
from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu

from gangen.errors import UsageError
from gangen_text.metrics.bleu import Bleu, References, SelfBleu, self_bleu
from gangen_text.metrics.words import words

ORDERS = range(1, 6)


def by_nltk(references, hypothesis):
    method1 = SmoothingFunction().method1
    return [sentence_bleu(references, hypothesis, (1 / n,) * n, smoothing_function=method1) for n in ORDERS]


def exactly(values):
    return pytest.approx(values, abs=1e-12, rel=0)


def random_texts(chance, count):
    """Texts of 0 to 9 words of a vocabulary so small that n-grams repeat within and between them; some are copies."""
    texts = [chance.choices("abcde"[: chance.randint(1, 5)], k=chance.randint(0, 9)) for _ in range(count)]
    return texts + chance.choices(texts, k=count // 4)


@pytest.mark.parametrize("seed", range(40))
def test_bleu_is_that_of_nltk(seed):
    chance = random.Random(seed)
    references = random_texts(chance, chance.randint(1, 12))
    hypotheses = [*random_texts(chance, 8), references[0], [], ["a"], ["x", "y"], ["a", "x", "a"]]
    ours = References(references)
    for hypothesis in hypotheses:
        assert ours.bleu(hypothesis) == exactly(by_nltk(references, hypothesis))
    columns = zip(*(by_nltk(references, hypothesis) for hypothesis in hypotheses), strict=True)
    assert ours.mean(hypotheses) == exactly([fmean(column) for column in columns])


@pytest.mark.parametrize("seed", range(40))
def test_self_bleu_is_that_of_nltk_with_each_text_left_out(seed):
    chance = random.Random(seed)
    texts = random_texts(chance, chance.randint(2, 12))
    rows = [by_nltk(texts[:number] + texts[number + 1 :], text) for number, text in enumerate(texts)]
    assert self_bleu(texts) == exactly([fmean(column) for column in zip(*rows, strict=True)])


def test_bleu_by_hand():
    # Two words of two known, one pair of one known, no triple: 0.1 of one; a third too short.
    scores = References([["a", "b", "c"]], longest=3).bleu(["a", "b"])
    penalty = math.exp(1 - 3 / 2)
    assert scores == exactly([penalty, penalty, penalty * 0.1 ** (1 / 3)])
    # The reference has "a" twice at most, so two of four count.
    assert References([["a", "b", "a", "c"], ["a", "b"]], longest=1).bleu(["a"] * 4) == exactly([0.5])


def test_of_two_closest_references_the_shorter_counts():
    assert References([["a"] * 2, ["a"] * 6], longest=1).bleu(["a"] * 4) == exactly([1.0])
    assert References([["a"] * 3, ["a"] * 5, ["a"] * 5], longest=1).bleu(["a"] * 4) == exactly([1.0])


def test_nothing_to_compare_is_refused():
    with pytest.raises(UsageError, match="at least one reference"):
        References([])
    with pytest.raises(UsageError, match="at least one text"):
        References([["a"]]).mean([])
    with pytest.raises(UsageError, match="at least two, not 1"):
        self_bleu([["a"]])


def test_bleu_of_samples_beside_that_of_training_texts(bench, captions):
    samples, train, heldout = captions(30, 1), captions(40, 2), captions(50, 3)
    figures = Bleu(samples=40)(bench(samples, train, heldout))
    references = [words(text) for text in heldout]
    for texts, side in ((samples, "value"), (train, "real")):
        rows = [by_nltk(references, words(text)) for text in texts]
        for n in range(2, 6):
            assert getattr(figures[f"bleu_{n}"], side) == exactly(fmean(row[n - 1] for row in rows))
    assert len(figures) == 4


def test_self_bleu_takes_as_many_samples_as_texts_are_held_out(bench, captions):
    samples, heldout = captions(30, 1), captions(20, 3)
    figures = SelfBleu()(bench(samples, heldout, heldout))
    for texts, side in ((samples[:20], "value"), (heldout, "real")):
        expected = self_bleu([words(text) for text in texts])
        assert [getattr(figures[f"self_bleu_{n}"], side) for n in range(2, 6)] == exactly(expected[1:])
    assert len(figures) == 4


def test_real_texts_are_read_once_for_each_data(bench, captions):
    evaluation = bench(captions(9, 1), captions(9, 2), captions(9, 3))
    other = bench(captions(9, 1), captions(9, 4), captions(9, 5))
    for metric in (Bleu(), SelfBleu()):
        figures = metric(evaluation)
        splits = evaluation.data.train, evaluation.data.heldout
        evaluation.data.train = None
        assert metric(evaluation) == figures
        evaluation.data.train, evaluation.data.heldout = splits
        assert metric(other) == type(metric)()(other) != figures


def test_fewer_references_give_a_lower_bleu(bench, captions):
    evaluation = bench(captions(30, 1), captions(40, 2), captions(200, 3))
    few, many = Bleu(references=10)(evaluation), Bleu()(evaluation)
    assert all(few[name].value < many[name].value for name in many)


def test_tokens_may_stand_for_words(bench):
    # This tokenizer tells capitals apart and keeps "don't" whole; words as metrics see them do not.
    evaluation = bench(["Don't sit"], ["they don't sit"], ["they don't sit"])
    by_words = References([["they", "don", "'", "t", "sit"]]).bleu(["don", "'", "t", "sit"])
    by_tokens = References([["they", "don't", "sit"]]).bleu(["Don't", "sit"])
    assert Bleu()(evaluation)["bleu_2"].value == exactly(by_words[1])
    assert Bleu(unit="tokens")(evaluation)["bleu_2"].value == exactly(by_tokens[1])


def test_empty_samples_count_as_zero(bench):
    evaluation = bench(["", "a dog sits on the bench"], ["a dog sits"], ["a dog sits on the bench", "a cat"])
    assert Bleu()(evaluation)["bleu_5"].value == exactly(0.5)
    assert SelfBleu()(evaluation)["self_bleu_2"].value == 0.0


def test_self_bleu_needs_two_held_out_texts(bench):
    with pytest.raises(UsageError, match="text/self_bleu needs more than one held-out text"):
        SelfBleu().check(bench(["a", "b"], ["a"], ["b"]))


def test_known_figures_of_captions(real_data):
    def read(name):
        with gzip.open(real_data(f"coco_captions/{name}.txt.gz"), "rt", encoding="utf-8") as lines:
            return [words(line) for line in lines]

    scores = References(read("texygen_test")).mean(read("texygen_train")[:1000])
    assert scores[1:] == pytest.approx([0.737, 0.516, 0.333, 0.212], abs=0.01)


def test_how_bleu_was_measured_is_told(bench, captions):
    evaluation = bench(captions(30, 0), captions(40, 1), captions(20, 2))
    words = r"matches of <unk>|\w+|[^\w\s], in lower case"
    method = "method 1 of Chen and Cherry (2014)"
    about = {"references": "the held-out rows", "unit": words, "smoothing": method}
    assert Bleu().protocol(evaluation) == {"samples": 1000, "held-out rows": 20} | about
    assert Bleu(references=5).protocol(evaluation)["held-out rows"] == 5
    found = SelfBleu(unit="tokens").protocol(evaluation)
    assert found["samples"] == 20
    assert found["unit"] == "tokens of the data's tokenizer"
