"""How likely and how varied fills are: by hand, and against fills that are known to be bad."""

import math
import random
from types import SimpleNamespace

import pytest
import torch

from gangen import Account, UsageError
from gangen_conditional.data.masked import Masked
from gangen_conditional.metrics.fills import FillPerplexity
from gangen_text import Corpus, KneserNey, Texts


@pytest.fixture(scope="module")
def data():
    chance = random.Random(0)
    nouns, verbs = ["king", "river", "house", "child"], ["sees", "finds", "takes", "loses"]
    rows = [
        " ".join(["the", *chance.choices(nouns), *chance.choices(verbs), *chance.choices(["a", "the"])])
        + f" {chance.choice(nouns)} {number}."
        for number in range(600)
    ]
    options = {"tokenizer": "words", "vocab_size": 30, "max_length": 12, "heldout": 0.5}
    return Masked(of=Corpus(Texts(rows, None), [], Account("texts", "texts"), **options), holes=2, longest=2)


def measured(data, change, **options):
    """Figures of the truth, after ``change(tokens, holes)``."""
    context = SimpleNamespace(data=data, seed=0, device=torch.device("cpu"))
    rows = data.heldout.batch(0, range(200), 200, seed=0, device="cpu")
    tokens = rows["tokens"].clone()
    change(tokens, data.codec.spec.input.holes(rows["input"]))
    context.samples = lambda n: tokens[:n]
    metric = FillPerplexity(samples=200, **options)
    metric.check(context)
    return metric(context), metric.protocol(context), rows


def shuffle(tokens, holes):
    """Each hole filled with the words of another."""
    spec_rows = tokens[holes].view(-1, 2)
    tokens[holes] = spec_rows[torch.randperm(len(spec_rows), generator=torch.Generator().manual_seed(0))].flatten()


def repeat(tokens, holes):
    """Each hole filled with the words of the first."""
    fills = tokens[holes].view(-1, 2)
    tokens[holes] = fills[:1].expand_as(fills).flatten()


def test_the_truth_is_beside_itself(data):
    figures, protocol, _ = measured(data, lambda tokens, holes: None)
    for figure in figures.values():
        assert figure.value == pytest.approx(figure.real)
    assert protocol["samples"] + 0 < 200 and protocol["held-out rows"] < len(data.heldout)


def test_words_in_the_wrong_holes_are_less_likely_and_as_varied(data):
    figures, _, _ = measured(data, shuffle)
    assert figures["fill_perplexity"].value > 1.5 * figures["fill_perplexity"].real
    assert figures["fill_distinct"].value > 0.5 * figures["fill_distinct"].real
    assert all(figure.good == "real" for figure in figures.values())


def test_one_fill_for_all_is_not_varied(data):
    figures, _, _ = measured(data, repeat)
    assert figures["fill_distinct"].value < 0.1 * figures["fill_distinct"].real


def test_the_perplexity_is_that_of_the_words_in_holes_and_the_one_behind(data):
    figures, _, rows = measured(data, lambda tokens, holes: None, order=2)
    codec, spec = data.codec, data.codec.spec.input
    everything = data.heldout.rows()["tokens"]

    def plain(row):
        return [token for token in row.tolist() if token != spec.pad]

    def packed(lists):
        return torch.tensor([row + [spec.pad] * (spec.max_length - len(row)) for row in lists])

    taught = [plain(row) for row in everything if sum(plain(row)) % 2 == 0]
    model = KneserNey(packed(taught), codec.spec, order=2)
    logarithms = []
    for tokens, input in zip(rows["tokens"], rows["input"], strict=True):
        if sum(plain(tokens)) % 2 == 0:
            continue
        hidden = [hole for token, hole in zip(tokens, input == spec.hole, strict=True) if token != spec.pad]
        scored = [hole or (at > 0 and bool(hidden[at - 1])) for at, hole in enumerate(hidden)]
        said = model.log_prob(packed([plain(tokens)]))[0]
        logarithms += [said[at].item() for at, wanted in enumerate(scored) if wanted]
    assert figures["fill_perplexity"].value == pytest.approx(math.exp(-sum(logarithms) / len(logarithms)))


def test_data_without_holes_are_refused():
    context = SimpleNamespace(data=SimpleNamespace(codec=SimpleNamespace(spec=None)))
    with pytest.raises(UsageError, match="needs texts with holes, as conditional/masked has"):
        FillPerplexity().check(context)
