"""The synthetic task: an oracle whose likelihood is known."""

import pytest
import torch
from safetensors.torch import save_file

from gangen.errors import DataError
from gangen_text.data.oracle import Oracle, OracleData, random_parameters

SMALL = {"vocab_size": 50, "length": 6, "train_size": 30, "heldout_size": 10}


def recurrence(parameters, tokens):
    """The mean NLL per token by the equations of the original: x W + h U + b, one sigmoid or tanh per gate."""
    p = {name: tensor.double() for name, tensor in parameters.items()}
    h = c = torch.zeros(len(tokens), 32, dtype=torch.float64)
    before, total = torch.zeros(len(tokens), dtype=torch.int64), 0.0
    for t in range(tokens.shape[1]):
        x = p["embedding.weight"][before]
        gates = x @ p["lstm.weight_ih_l0"].T + h @ p["lstm.weight_hh_l0"].T + p["lstm.bias_ih_l0"]
        i, f, g, o = gates.split(32, dim=1)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        h = o.sigmoid() * c.tanh()
        scores = h @ p["lm_head.weight"].T + p["lm_head.bias"]
        before = tokens[:, t]
        total = total + scores.logsumexp(1) - scores[torch.arange(len(tokens)), before]
    return total / tokens.shape[1]


def test_likelihood_is_that_of_the_recurrence():
    parameters = random_parameters(50, seed=3)
    tokens = torch.randint(0, 50, (7, 6), generator=torch.Generator().manual_seed(0))
    assert Oracle(parameters, 6).nll(tokens).double().allclose(recurrence(parameters, tokens), atol=1e-5)


def test_parameters_are_standard_normal():
    parameters = random_parameters(5000, seed=0)
    assert parameters.pop("lstm.bias_hh_l0").eq(0).all()
    drawn = torch.cat([tensor.flatten() for tensor in parameters.values()])
    assert len(drawn) == 5000 * 65 + 128 * 65
    assert abs(drawn.mean()) < 0.01 and abs(drawn.std() - 1) < 0.01


def test_data_is_a_function_of_the_seed():
    one, same, other = OracleData(**SMALL), OracleData(**SMALL), OracleData(**SMALL, seed=1)
    assert one.train.rows()["tokens"].equal(same.train.rows()["tokens"])
    assert not one.train.rows()["tokens"].equal(other.train.rows()["tokens"])
    assert one.train.rows()["tokens"].shape == (30, 6) and one.heldout.rows()["tokens"].shape == (10, 6)


def test_samples_are_drawn_from_the_distribution_that_is_scored():
    oracle = Oracle(random_parameters(4, seed=1), 2)
    every = torch.cartesian_prod(torch.arange(4), torch.arange(4))
    probabilities = (-2 * oracle.nll(every)).exp()
    assert abs(probabilities.sum() - 1) < 1e-5
    drawn = oracle.sample(10_000, seed=0)
    counts = torch.bincount(drawn[:, 0] * 4 + drawn[:, 1], minlength=16) / 10_000
    assert (counts - probabilities).abs().max() < 0.02


def test_rows_are_numbers_without_an_end():
    data = OracleData(**SMALL)
    spec = data.codec.spec
    assert (spec.vocab_size, spec.max_length, spec.start, spec.end, spec.pad) == (50, 6, 0, None, None)
    rows = data.heldout.rows()["tokens"]
    assert data.codec.decode(rows) == [" ".join(map(str, row)) for row in rows.tolist()]


def test_an_oracle_can_be_read(tmp_path):
    path = tmp_path / "oracle.safetensors"
    save_file(random_parameters(50, seed=0), path)
    read, drawn = OracleData(path=path, **SMALL), OracleData(**SMALL)
    assert read.train.rows()["tokens"].equal(drawn.train.rows()["tokens"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda p: p.pop("lm_head.bias"), "holds no oracle LSTM"),
        (lambda p: p.pop("embedding.weight"), "'embedding.weight' is missing"),
        (lambda p: p.update({"lm_head.bias": torch.zeros(3)}), "holds no oracle LSTM"),
    ],
)
def test_a_file_that_holds_no_oracle_is_refused(change, message, tmp_path):
    parameters = random_parameters(50, seed=0)
    change(parameters)
    save_file(parameters, tmp_path / "oracle.safetensors")
    with pytest.raises(DataError, match=message):
        OracleData(path=tmp_path / "oracle.safetensors", **SMALL)


@pytest.mark.parametrize("content", [None, b"no tensors"])
def test_a_file_that_cannot_be_read_is_named(content, tmp_path):
    path = tmp_path / "oracle.safetensors"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=r"cannot read the oracle .*oracle\.safetensors"):
        OracleData(path=path, **SMALL)


def test_known_facts_of_the_published_oracle(real_data):
    path = real_data("seqgan_oracle/oracle_lstm.safetensors")
    data = OracleData(path=path, train_size=400, heldout_size=100)
    nll = data.oracle.nll(data.train.rows()["tokens"])
    assert abs(nll.mean() - 5.745) < 3 * nll.std() / 400**0.5 + 0.005
    uniform = torch.randint(0, 5000, (400, 20), generator=torch.Generator().manual_seed(0))
    assert abs(data.oracle.nll(uniform).mean() - 11.44) < 0.1
