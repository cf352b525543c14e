"""Figures against formulas written out by hand."""

import math
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from gangen import Players
from gangen.errors import UsageError
from gangen.metrics.figures import Figure
from gangen.splits import TensorSplit
from gangen_text.data.oracle import OracleData
from gangen_text.metrics.likelihood import HeldOutNLL, OracleNLL
from gangen_text.metrics.variety import Distinct, Entropy, Unique
from gangen_text.spec import TextSpec

SPEC = TextSpec(vocab_size=6, max_length=4, start=1, end=2, pad=0, labels=("a", "b"))
ROWS = torch.tensor([[3, 4, 2, 0], [5, 2, 0, 0], [3, 3, 3, 2]])


class Fixed(nn.Module):
    """log p = -(token + label) for tokens that count; sees only its own arguments, and must be in eval mode."""

    def log_prob(self, tokens, condition=None):
        assert not self.training and not torch.is_grad_enabled()
        return -(tokens + condition["label"][:, None]).float() * SPEC.mask(tokens)


def evaluation(samples=None, heldout=None, generator=None, spec=SPEC, oracle=None, batch_size=2):
    data = SimpleNamespace(codec=SimpleNamespace(spec=spec), heldout=heldout)
    if oracle is not None:
        data.oracle = oracle
    return SimpleNamespace(
        data=data,
        players=Players({"generator": generator} if generator else {}),
        samples=lambda n: samples[:n],
        device=torch.device("cpu"),
        batch_size=batch_size,
        seed=0,
        settings={},
        sampler=SimpleNamespace(plain={"candidates": 1}),
    )


@pytest.mark.parametrize("batch_size", [1, 2, 500])
def test_nll_is_the_mean_over_true_tokens(batch_size):
    heldout = TensorSplit(tokens=ROWS, label=torch.tensor([0, 1, 0]))
    bench = evaluation(heldout=heldout, generator=Fixed().train(), batch_size=batch_size)
    # Tokens that count: 3 4 2, then 5 2 each one more, then 3 3 3 2.
    assert HeldOutNLL()(bench) == {"nll": Figure(pytest.approx((9 + 9 + 11) / 9), good="low")}
    assert bench.players.generator.training


def test_nll_is_known_under_a_temperature_alone_whatever_a_discriminator_chooses():
    data = OracleData(vocab_size=50, length=6, train_size=10, heldout_size=10)
    bench = evaluation(heldout=data.heldout, generator=data.oracle.net, spec=data.codec.spec)
    plain = HeldOutNLL()(bench)
    bench.settings = {"candidates": 1, "temperature": 1.0}
    assert HeldOutNLL()(bench) == plain
    bench.settings = {"candidates": 1, "top_p": 0.5}
    with pytest.raises(UsageError, match="knows no likelihood of held-out texts under top_p; take it out"):
        HeldOutNLL()(bench)


def test_nll_needs_a_likelihood():
    bench = evaluation(heldout=TensorSplit(tokens=ROWS), generator=nn.Linear(1, 1))
    with pytest.raises(UsageError, match="Linear has no log_prob"):
        HeldOutNLL().check(bench)


def test_nll_of_a_uniform_guess_is_the_logarithm_of_the_vocabulary():
    data = OracleData(vocab_size=50, length=6, train_size=10, heldout_size=10)
    net = data.oracle.net
    net.output.weight.data.zero_()
    net.output.bias.data.zero_()
    bench = evaluation(heldout=data.heldout, generator=net, spec=data.codec.spec)
    assert HeldOutNLL()(bench)["nll"].value == pytest.approx(math.log(50), abs=1e-5)


def test_oracle_nll_is_the_mean_of_samples():
    data = OracleData(vocab_size=50, length=6, train_size=10, heldout_size=10)
    samples = data.train.rows()["tokens"]
    bench = evaluation(samples, heldout=data.heldout, spec=data.codec.spec, oracle=data.oracle)
    nll, real = data.oracle.nll(samples[:4]), data.oracle.nll(data.heldout.rows()["tokens"])
    means, medians = ([pytest.approx(value.item()) for value in (f(nll), f(real))] for f in (torch.mean, torch.median))
    expected = {"nll_oracle": Figure(*means, "real"), "nll_oracle_median": Figure(*medians, "real")}
    assert OracleNLL(samples=4)(bench) == expected


def test_oracle_nll_needs_an_oracle():
    with pytest.raises(UsageError, match="text/nll_oracle needs an oracle: use data text/oracle"):
        OracleNLL().check(evaluation(ROWS))


HELDOUT = torch.tensor([[3, 4, 3, 2], [4, 3, 2, 0], [4, 3, 2, 5]])


def varied(samples, heldout=HELDOUT, spec=SPEC):
    return evaluation(samples, heldout=TensorSplit(tokens=heldout), spec=spec)


@pytest.mark.parametrize(
    ("n", "figure", "real"), [(1, 3 / 6, 2 / 7), (2, 2 / 3, 2 / 4), (3, 1 / 1, 1 / 1), (4, 0.0, 0.0), (9, 0.0, 0.0)]
)
def test_distinct_counts_ngrams_of_text(n, figure, real):
    # 3 4 | 5 | 3 3 3: unigrams 3 4 5, bigrams 34 33 33, one trigram. 3 4 3 | 4 3 | 4 3: bigrams 34 43 43 43.
    found = Distinct(n=n)(varied(ROWS))
    assert found == {f"distinct_{n}": Figure(pytest.approx(figure), pytest.approx(real), "real")}


def entropy(*counts):
    return sum(-count / sum(counts) * math.log(count / sum(counts)) for count in counts)


@pytest.mark.parametrize(
    ("n", "figure", "real"),
    [(1, entropy(4, 1, 1), entropy(3, 4)), (2, entropy(1, 2), entropy(1, 3)), (3, 0.0, 0.0), (9, 0.0, 0.0)],
)
def test_entropy_is_that_of_ngrams_of_text(n, figure, real):
    found = Entropy(n=n)(varied(ROWS))
    assert found == {f"entropy_{n}": Figure(pytest.approx(figure), pytest.approx(real), "real")}


def test_unique_looks_at_texts_up_to_their_end():
    samples = torch.tensor([[3, 4, 2, 0], [3, 4, 2, 5], [3, 4, 5, 2], [3, 4, 5, 5]])
    heldout = torch.cat([HELDOUT, samples[2:3]])
    assert Unique()(varied(samples, heldout)) == {"unique": Figure(0.75, 0.75, "high")}
    assert Unique(samples=2)(varied(samples, HELDOUT[1:])) == {"unique": Figure(0.5, 0.5, "high")}


@pytest.mark.parametrize("metric", [Distinct, Entropy, Unique])
def test_both_sides_have_equally_many_texts(metric):
    samples, heldout = torch.randint(3, 6, (2, 7, 4), generator=torch.Generator().manual_seed(0))
    one = metric(samples=1)
    assert one(varied(samples, heldout)) == metric()(varied(samples[:1], heldout[split_order(7)[:1]]))
    few = metric()(varied(samples, heldout[:3]))
    assert few == metric(samples=3)(varied(samples[:3], heldout[:3]))
    assert one.protocol(varied(samples)) == {"samples": 1, "held-out rows": 1}
    assert metric().protocol(varied(samples)) == {"samples": 3, "held-out rows": 3}


def split_order(n):
    """The order in which held-out rows are looked at."""
    return TensorSplit(row=torch.arange(n)).batch(0, range(n), n, seed=0, device="cpu")["row"]


def test_held_out_texts_are_read_once():
    bench, metric = varied(ROWS), Distinct()
    figures = metric(bench)
    bench.data.heldout.batch = None
    assert metric(bench) == figures
    assert metric(varied(ROWS, ROWS))["distinct_2"].real == figures["distinct_2"].value


def test_data_without_an_end_counts_every_token():
    spec = TextSpec(vocab_size=6, max_length=4, start=0)
    samples = torch.tensor([[0, 2, 0, 2], [2, 0, 2, 0]])
    bench = varied(samples, samples[:2], spec)
    assert Distinct(n=2)(bench)["distinct_2"].value == pytest.approx(2 / 6)
    assert Entropy(n=2)(bench)["entropy_2"].value == pytest.approx(math.log(2))
    assert Unique()(bench)["unique"].value == 1.0
