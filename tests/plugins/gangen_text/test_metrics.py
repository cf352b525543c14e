"""Figures against formulas written out by hand."""

import math
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from gangen.errors import UsageError
from gangen.splits import TensorSplit
from gangen_text.metrics import Distinct, HeldOutNLL, OracleNLL, Unique
from gangen_text.oracle import OracleData
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
        generator=generator,
        samples=lambda n: samples[:n],
        device=torch.device("cpu"),
        batch_size=batch_size,
        settings={},
    )


@pytest.mark.parametrize("batch_size", [1, 2, 500])
def test_nll_is_the_mean_over_true_tokens(batch_size):
    heldout = TensorSplit(tokens=ROWS, label=torch.tensor([0, 1, 0]))
    bench = evaluation(heldout=heldout, generator=Fixed().train(), batch_size=batch_size)
    # Tokens that count: 3 4 2, then 5 2 each one more, then 3 3 3 2.
    assert HeldOutNLL()(bench) == {"nll": pytest.approx((9 + 9 + 11) / 9)}
    assert bench.generator.training


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
    assert HeldOutNLL()(bench)["nll"] == pytest.approx(math.log(50), abs=1e-5)


def test_oracle_nll_is_the_mean_of_samples():
    data = OracleData(vocab_size=50, length=6, train_size=10, heldout_size=10)
    samples = data.train.tensors["tokens"]
    bench = evaluation(samples, heldout=data.heldout, spec=data.codec.spec, oracle=data.oracle)
    nll = data.oracle.nll(samples[:4])
    expected = {
        "nll_oracle": pytest.approx(nll.mean().item()),
        "nll_oracle_median": pytest.approx(nll.sort()[0][1].item()),
        "nll_oracle_real": pytest.approx(data.oracle.nll(data.heldout.tensors["tokens"]).mean().item()),
    }
    assert OracleNLL(samples=4)(bench) == expected


def test_oracle_nll_needs_an_oracle():
    with pytest.raises(UsageError, match="text/nll_oracle needs an oracle: use data text/oracle"):
        OracleNLL().check(evaluation(ROWS))


@pytest.mark.parametrize(("n", "figure"), [(1, 3 / 6), (2, 2 / 3), (3, 1 / 1), (4, 0.0), (9, 0.0)])
def test_distinct_counts_ngrams_of_text(n, figure):
    # 3 4 | 5 | 3 3 3: unigrams 3 4 5, bigrams 34 33 33, one trigram.
    assert Distinct(n=n)(evaluation(ROWS)) == {f"distinct_{n}": pytest.approx(figure)}


def test_distinct_takes_as_many_samples_as_it_is_told():
    assert Distinct(n=1, samples=1)(evaluation(ROWS)) == {"distinct_1": 1.0}


def test_unique_looks_at_texts_up_to_their_end():
    samples = torch.tensor([[3, 4, 2, 0], [3, 4, 2, 5], [3, 4, 5, 2], [3, 4, 5, 5]])
    assert Unique()(evaluation(samples)) == {"unique": 0.75}
    assert Unique(samples=2)(evaluation(samples)) == {"unique": 0.5}


def test_data_without_an_end_counts_every_token():
    spec = TextSpec(vocab_size=6, max_length=4, start=0)
    samples = torch.tensor([[0, 2, 0, 2], [2, 0, 2, 0]])
    assert Distinct(n=2)(evaluation(samples, spec=spec)) == {"distinct_2": pytest.approx(2 / 6)}
    assert Unique()(evaluation(samples, spec=spec)) == {"unique": 1.0}
