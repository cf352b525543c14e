"""Exact match and BLEU: of the likeliest translations, beside truth and sources, in the right order."""

import sys
from types import SimpleNamespace

import pytest
import torch
from sacrebleu import corpus_bleu

from gangen import MetricContext, Players, UsageError
from gangen_conditional.data.parallel import Parallel
from gangen_conditional.metrics.translations import Bleu, ExactMatch


class Dictionary(torch.nn.Module):
    """Knows the translations of some sources by heart; sampled, without top_k, it says the same for any."""

    def __init__(self, known, other):
        super().__init__()
        self.known, self.other = known, other

    def sample(self, n, condition=None, *, top_k: int = 0):
        if not top_k:
            return self.other.expand(n, -1)
        return torch.stack([self.known.get(tuple(row.tolist()), self.other) for row in condition["input"]])


@pytest.fixture
def data():
    return Parallel(size=1000, max_length=24, heldout=0.1)


def context_of(data, wrong):
    """A game whose generator is wrong about the held-out sources at these places, and says the first truth instead."""
    rows = data.heldout.rows()
    known = {
        tuple(source.tolist()): target
        for place, (source, target) in enumerate(zip(rows["input"], rows["tokens"], strict=True))
        if place not in wrong
    }
    players = Players({"generator": Dictionary(known, rows["tokens"][0])})
    return MetricContext(players, data, device=torch.device("cpu"), seed=3, batch_size=7)


def test_exact_match_counts_the_likeliest_translations_that_are_the_true_ones(data):
    figures = ExactMatch()(context_of(data, wrong=range(1, 21)))
    assert figures["exact_match"].value == pytest.approx(0.8)
    assert figures["exact_match"].real == 1
    assert figures["exact_match_sampled"].value == pytest.approx(0.01)
    assert figures["exact_match_source"] == 0


def test_bleu_is_sacrebleus_beside_that_of_the_sources(data):
    figures = Bleu()(context_of(data, wrong=range(1, 21)))
    rows = data.heldout.rows()
    sources, truths = data.codec.input.decode(rows["input"]), data.codec.decode(rows["tokens"])
    said = [truths[0] if place in range(1, 21) else truth for place, truth in enumerate(truths)]
    assert figures["bleu"].value == pytest.approx(corpus_bleu(said, [truths]).score)
    assert figures["bleu_source"] == pytest.approx(corpus_bleu(sources, [truths]).score)
    assert 60 < figures["bleu"].value < 95 and figures["bleu_source"] < 5


def test_a_few_samples_are_of_the_sources_that_samples_are_made_from(data):
    context = context_of(data, wrong=())
    assert ExactMatch(samples=10)(context)["exact_match"].value == 1
    assert ExactMatch(samples=10).protocol(context)["samples"] == 10
    assert ExactMatch().protocol(context)["samples"] == 100


@pytest.mark.parametrize("metric", [ExactMatch, Bleu])
def test_what_is_no_translation_is_refused_before_training(metric, data):
    plain = SimpleNamespace(codec=SimpleNamespace(spec=data.codec.spec))
    with pytest.raises(UsageError, match="texts that are made from texts, which these data are not"):
        metric().check(SimpleNamespace(data=plain))
    sampler = SimpleNamespace(sample=lambda n, condition: None)
    with pytest.raises(UsageError, match="the sampler has no setting top_k"):
        metric().check(SimpleNamespace(data=data, sampler=sampler))


def test_bleu_without_sacrebleu_says_what_to_install(data, monkeypatch):
    monkeypatch.setitem(sys.modules, "sacrebleu.metrics", None)
    with pytest.raises(UsageError, match=r'needs sacrebleu: pip install "gangen\[demo\]"'):
        Bleu().check(context_of(data, wrong=()))
