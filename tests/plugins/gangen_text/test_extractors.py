"""What text metrics see with: which differences move features, what they are functions of, what is refused."""

from types import SimpleNamespace

import pytest
import torch

from gangen.errors import UsageError
from gangen.metrics.distances import frechet_distance, gaussian
from gangen.splits import TensorSplit
from gangen_image.data.points import Points
from gangen_text.data.oracle import OracleData
from gangen_text.extractors.encoder import Encoder
from gangen_text.extractors.hashed_ngrams import HashedNgrams
from gangen_text.extractors.pretrained import Transformers
from gangen_text.extractors.topics import Topics

CPU = torch.device("cpu")


@pytest.fixture
def oracle():
    return OracleData(vocab_size=50, length=8, train_size=100, heldout_size=50)


def small(**options):
    return Encoder(**{"filters": 8, "hidden_dim": 16, "steps": 3} | options)


def rows_of(data, texts):
    return data.codec.pack(data.codec.tokenize(texts))


def fitted(extractor, data):
    extractor.check(data)
    extractor.fit(data, CPU)
    return extractor


def reversed_words(data, rows):
    texts = data.codec.decode(rows)
    return rows_of(data, [" ".join(reversed(text.split())) for text in texts])


def apart(extractor, rows, others):
    return frechet_distance(*(gaussian(extractor.features(each)) for each in (rows, others)))


def test_the_encoder_sees_order_content_repetition_and_labels(data):
    extractor = fitted(small(steps=60), data)
    heldout, label = data.heldout.rows()["tokens"], data.heldout.rows()["label"]
    floor = apart(extractor, heldout, data.train.rows()["tokens"])
    assert apart(extractor, heldout, reversed_words(data, heldout)) > 5 * floor
    assert apart(extractor, heldout, heldout[:5].repeat(40, 1)) > 2 * floor
    assert apart(extractor, heldout, heldout[label == 0]) > 2 * floor
    assert (extractor.logits(heldout).argmax(1) == label).float().mean() > 0.9


def test_a_shuffle_moves_counts_of_pairs_and_not_of_single_tokens(data):
    # A whole text backwards, but for its end.
    rows = torch.tensor([[5, 6, 7, 8, data.codec.spec.end], [8, 7, 6, 5, data.codec.spec.end]])
    singles, pairs = fitted(HashedNgrams(n=1), data), fitted(HashedNgrams(n=2), data)
    assert torch.equal(*singles.features(rows))
    assert not torch.allclose(*pairs.features(rows), atol=0.1)
    assert singles.blind_to == "the order of words"
    assert pairs.blind_to is None


def test_topics_are_the_leading_singular_vectors_of_weighted_counts(data):
    spec, rows = data.codec.spec, data.train.rows()["tokens"]
    counts = torch.zeros(len(rows), spec.vocab_size, dtype=torch.float64)
    for row, tokens in zip(counts, rows.tolist(), strict=True):
        for token in tokens[: tokens.index(spec.end)]:
            row[token] += 1
    idf = ((1 + len(rows)) / (1 + (counts > 0).sum(0))).log()
    weighted = torch.nn.functional.normalize(torch.where(counts > 0, 1 + counts.log(), 0) * idf, dim=1)
    # More directions than there are words: nothing is lost.
    found = fitted(Topics(dimensions=100), data).features(rows).double()
    assert torch.allclose(found @ found.T, weighted @ weighted.T, atol=1e-5)
    # The first five hold, but for a hundredth, as much as any five can.
    few = fitted(Topics(dimensions=5), data)
    held = (weighted @ few._directions.double()).square().sum()
    assert few.features(rows).shape == (len(rows), 5)
    assert held > 0.99 * torch.linalg.svdvals(weighted)[:5].square().sum()


def test_topics_are_what_texts_are_about_and_not_how(data):
    extractor = fitted(Topics(), data)
    heldout = data.heldout.rows()["tokens"]
    assert torch.equal(extractor.features(heldout), extractor.features(reversed_words(data, heldout)))
    floor = apart(extractor, heldout, data.train.rows()["tokens"])
    outside = torch.tensor(["street" in text or "field" in text for text in data.codec.decode(heldout)])
    assert apart(extractor, heldout, heldout[outside]) > 3 * floor
    again, other = fitted(Topics(), data), fitted(Topics(seed=1), data)
    assert extractor.digest == again.digest != other.digest
    empty = torch.full((1, data.codec.spec.max_length), data.codec.spec.end)
    assert not extractor.features(empty).any()
    with pytest.raises(UsageError, match="looks at the tokens of texts"):
        Topics().check(Points(size=10, heldout_size=10))


def test_inner_products_of_hashed_counts_are_nearly_those_of_counts(oracle):
    rows = torch.tensor([[1, 2, 1, 3, 9, 9, 4, 5], [1, 2, 6, 3, 9, 9, 9, 5]])

    def counts(row):
        runs = [tuple(row[start : start + size]) for size in (1, 2) for start in range(len(row) - size + 1)]
        return {run: runs.count(run) for run in runs}

    def product(one, other):
        return sum(count * other.get(run, 0) for run, count in one.items())

    one, other = (counts(row) for row in rows.tolist())
    expected = product(one, other) / (product(one, one) * product(other, other)) ** 0.5
    found = fitted(HashedNgrams(n=2, dimensions=100_000), oracle).features(rows)
    assert (found[0] @ found[1]).item() == pytest.approx(expected, abs=1e-5)
    assert found.norm(dim=1).tolist() == pytest.approx([1, 1])


def splitmix(number):
    """Its finalizer as published, as a signed number."""
    number = (number ^ number >> 30) * 0xBF58476D1CE4E5B9 % 2**64
    number = (number ^ number >> 27) * 0x94D049BB133111EB % 2**64
    number ^= number >> 31
    return number - 2**64 if number >= 2**63 else number


def test_hashed_runs_have_the_same_places_everywhere_and_both_signs(oracle):
    extractor = fitted(HashedNgrams(n=1, dimensions=10), oracle)
    found = extractor.features(torch.arange(50).view(50, 1))
    assert found.abs().argmax(1).tolist() == [(splitmix(token + 1) >> 1) % 10 for token in range(50)]
    assert set(found.sum(1).tolist()) == {-1.0, 1.0}
    assert found.abs().sum(0).min() > 0


def test_the_seed_alone_decides_what_the_encoder_learns(data):
    digests, features = [], []
    for seed, noise in ((3, 0), (3, 1), (4, 0)):
        torch.manual_seed(noise)
        before = torch.get_rng_state()
        extractor = fitted(small(seed=seed), data)
        assert torch.equal(torch.get_rng_state(), before)
        digests.append(extractor.digest)
        features.append(extractor.features(data.heldout.rows()["tokens"]))
    assert digests[0] == digests[1] != digests[2]
    assert torch.equal(features[0], features[1])
    assert not torch.allclose(features[0], features[2])


def test_a_run_in_float64_has_the_same_encoder(data):
    expected = fitted(small(), data).digest
    torch.set_default_dtype(torch.float64)
    try:
        assert fitted(small(), data).digest == expected
    finally:
        torch.set_default_dtype(torch.float32)


def test_fitting_again_to_the_same_data_does_nothing_and_to_others_begins_anew(data, oracle):
    extractor = small()
    with torch.no_grad():  # whoever evaluates may have said so
        extractor.fit(data, CPU)
        weights, first = extractor._net, extractor.digest
        extractor.fit(data, CPU)
        assert extractor._net is weights
        extractor.fit(oracle, CPU)
        extractor.fit(data, CPU)
    assert extractor.digest == first


def test_few_texts_are_read_three_times_and_a_stream_as_often_as_asked(data):
    few = TensorSplit(**{name: tensor[:64] for name, tensor in data.train.rows().items()})
    streamed = SimpleNamespace(batch=few.batch)

    def learned(split, steps):
        return fitted(small(steps=steps), SimpleNamespace(codec=data.codec, train=split)).digest

    assert learned(few, 3) == learned(few, 9) == learned(streamed, 3) != learned(streamed, 9)


@pytest.mark.parametrize("make", [small, HashedNgrams])
def test_rows_of_fixed_length_without_labels_or_end_will_do(make, oracle):
    extractor = fitted(make(), oracle)
    found = extractor.features(oracle.heldout.rows()["tokens"])
    assert found.dtype == torch.float32 and found.isfinite().all()
    assert len(found.unique(dim=0)) == 50


def test_without_labels_there_are_no_logits_and_little_is_seen_of_topics(oracle, data):
    unlabelled, labelled = fitted(small(), oracle), fitted(small(), data)
    assert not hasattr(unlabelled, "logits")
    assert unlabelled.blind_to == "what texts are about"
    assert labelled.logits(data.heldout.rows()["tokens"]).shape == (200, 2)
    assert not hasattr(labelled, "blind_to")


@pytest.fixture(params=["encoder", "ngrams", "bert", "gpt2"])
def extractor(request, data):
    made = {"encoder": small, "ngrams": HashedNgrams}.get(request.param)
    if made is None:
        folder = request.getfixturevalue(request.param)
        made = lambda: Transformers(model=str(folder), pooling="last")  # noqa: E731
    return fitted(made(), data)


def test_what_stands_behind_the_end_is_not_seen_nor_other_texts_beside_it(extractor, data):
    rows = data.heldout.rows()["tokens"]
    found = extractor.features(rows)
    assert found.dtype == torch.float32 and found.shape[0] == len(rows) and not found.requires_grad
    ended = (rows == data.codec.spec.end).cumsum(1) > 0
    noisy = torch.where(ended & (rows != data.codec.spec.end), 7, rows)
    assert not torch.equal(noisy, rows)
    torch.testing.assert_close(extractor.features(noisy), found, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(extractor.features(rows[7:8]), found[7:8], atol=1e-5, rtol=1e-5)


def test_empty_texts_and_those_without_an_end_have_features(extractor, data):
    spec = data.codec.spec
    empty = data.codec.pack([[]] * 2)
    endless = torch.full((2, spec.max_length), 7)
    assert extractor.features(empty).isfinite().all()
    assert extractor.features(torch.cat([empty, endless])).isfinite().all()


def test_data_that_are_no_text_are_refused():
    points = Points(size=10, heldout_size=10)
    for extractor in (Encoder(), HashedNgrams(), Transformers(model="anything")):
        with pytest.raises(UsageError, match="texts, which these data are not"):
            extractor.check(points)


@pytest.mark.parametrize("kind", ["bert", "gpt2"])
def test_states_of_a_saved_model_are_pooled(kind, data, request):
    from transformers import AutoModel, AutoTokenizer

    folder = request.getfixturevalue(kind)
    rows = data.heldout.rows()["tokens"][:3]
    texts = data.codec.decode(rows)
    net, tokenizer = AutoModel.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(folder)
    for pooling in ("mean", "last", "first"):
        extractor = fitted(Transformers(model=str(folder), pooling=pooling), data)
        assert extractor.name == f"{folder.name}_{pooling}"
        for text, found in zip(texts, extractor.features(rows), strict=True):
            with torch.no_grad():
                ids = tokenizer(text, return_tensors="pt")["input_ids"][:, :12]
                states = net(input_ids=ids).last_hidden_state[0]
            expected = {"mean": states.mean(0), "last": states[-1], "first": states[0]}[pooling]
            torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


def test_the_same_folder_has_the_same_digest_and_nothing_is_drawn(bert, data):
    torch.manual_seed(5)
    before = torch.get_rng_state()
    digests = [
        fitted(Transformers(model=str(bert), pooling=pooling), data).digest for pooling in ("mean", "mean", "last")
    ]
    assert torch.equal(torch.get_rng_state(), before)
    assert digests[0] == digests[1] != digests[2]


def test_means_are_said_to_be_blind_to_order(bert, data):
    assert Transformers(model=str(bert)).blind_to == "the order of words"
    assert Transformers(model=str(bert), pooling="last").blind_to is None


def test_what_cannot_be_opened_is_refused_before_any_training(data, bert, tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(UsageError, match="cannot open model 'nobody/nothing': ") as refusal:
        Transformers(model="nobody/nothing").check(data)
    assert len(str(refusal.value).splitlines()) <= 3
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match=r"name a folder that save_pretrained\(\) of a model"):
        Transformers(model=str(tmp_path / "empty")).check(data)


def test_weights_that_are_pickled_or_incomplete_are_refused(data, bert):
    from safetensors.torch import load_file, save_file

    weights = load_file(bert / "model.safetensors")
    partial = {name: tensor for name, tensor in weights.items() if "attention" not in name}
    save_file(partial, bert / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(UsageError, match=r"its weights lack encoder\.layer\.0\.attention"):
        Transformers(model=str(bert)).check(data)
    (bert / "model.safetensors").unlink()
    torch.save(weights, bert / "pytorch_model.bin")
    with pytest.raises(UsageError, match=r"must be safetensors, as pickles .* can run code: save such a model again"):
        Transformers(model=str(bert)).check(data)
