"""The classifier that image metrics see with: what it learns, from which data, and what it leaves alone."""

import json
from types import SimpleNamespace

import pytest
import torch

from gangen import cli
from gangen.errors import UsageError
from gangen.metrics.context import MetricContext
from gangen.splits import StreamSplit, TensorSplit
from gangen_image.codec import ImageCodec
from gangen_image.data.few_labels import FewLabels
from gangen_image.data.flipped import Flipped
from gangen_image.data.points import Points
from gangen_image.extractors.classifier import Classifier
from gangen_image.extractors.identity import Identity
from gangen_image.spec import ImageSpec

CPU = torch.device("cpu")
LABELS = ("top", "middle", "bottom")


def bars(n, channels=1, size=12, seed=0):
    """Noise with a bright bar in the upper, middle or lower third: the label."""
    generator = torch.Generator().manual_seed(seed)
    label = torch.randint(3, (n,), generator=generator)
    image = torch.randint(160, (n, channels, size, size), generator=generator)
    third = torch.arange(size) * 3 // size
    image += 90 * (third == label[:, None])[:, None, :, None]
    return TensorSplit(image=image.to(torch.uint8), label=label)


def bars_data(n=150, channels=1, size=12, **splits):
    codec = ImageCodec(ImageSpec(channels, size, LABELS))
    data = {"train": bars(n, channels, size), "heldout": bars(60, channels, size, seed=1)}
    return SimpleNamespace(codec=codec, **data | splits)


def accuracy(extractor, data):
    rows = data.heldout.rows()
    return (extractor.logits(data.codec.spec.prepare(rows["image"])).argmax(1) == rows["label"]).float().mean()


def images(data):
    return data.codec.spec.prepare(data.heldout.rows()["image"])


class Counted:
    """A split that counts the batches that were asked of it."""

    def __init__(self, split):
        self.split, self.asked = split, 0

    def batch(self, *arguments, **options):
        self.asked += 1
        return self.split.batch(*arguments, **options)


@pytest.mark.parametrize(("channels", "size"), [(1, 8), (1, 13), (3, 28)])
def test_labels_of_images_it_never_saw_are_learned_at_any_size(channels, size):
    data = bars_data(channels=channels, size=size)
    extractor = Classifier(width=8, hidden_dim=16, steps=30)
    extractor.fit(data, CPU)
    assert accuracy(extractor, data) > 0.9
    assert extractor.features(images(data)).shape == (60, 16)
    assert extractor.logits(images(data)).shape == (60, 3)


def test_the_seed_alone_decides_and_the_draws_of_the_run_stay_what_they_were():
    data, found = bars_data(), []
    for seed, noise in ((3, 0), (3, 1), (4, 0)):
        torch.manual_seed(noise)
        before = torch.get_rng_state()
        extractor = Classifier(width=4, hidden_dim=8, steps=3, seed=seed)
        extractor.fit(data, CPU)
        found.append(extractor.features(images(data)))
        assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(found[0], found[1])
    assert not torch.allclose(found[0], found[2])


def test_a_run_in_float64_has_the_same_classifier():
    data = bars_data()
    single, double = (Classifier(width=4, hidden_dim=8, steps=3) for _ in range(2))
    single.fit(data, CPU)
    expected = single.features(images(data))
    torch.set_default_dtype(torch.float64)
    try:
        double.fit(data, CPU)
        found = double.features(images(data))
    finally:
        torch.set_default_dtype(torch.float32)
    assert torch.equal(found, expected)


def test_features_belong_to_an_image_and_not_to_its_batch():
    data = bars_data()
    extractor = Classifier(width=4, hidden_dim=8, steps=3)
    with torch.no_grad():  # whoever evaluates may have said so
        extractor.fit(data, CPU)
    together = extractor.features(images(data))
    assert torch.allclose(together[7:8], extractor.features(images(data)[7:8]), atol=1e-5)
    assert not together.requires_grad


def test_samples_are_looked_at_as_a_file_would_show_them():
    data = bars_data()
    extractor = Classifier(width=4, hidden_dim=8, steps=3)
    extractor.fit(data, CPU)
    wild = 3 * images(data) + 0.2
    shown = ((wild.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)
    assert torch.allclose(extractor.features(wild), extractor.features(data.codec.spec.prepare(shown)), atol=1e-5)
    assert extractor.features(torch.full((2, 1, 12, 12), torch.nan)).isfinite().all()


def test_of_equal_extractors_one_is_fitted_and_only_once():
    data = bars_data()
    data.train = Counted(data.train)
    first, second, other = Classifier(steps=3), Classifier(steps=3), Classifier(steps=2)
    for _ in range(2):  # every evaluation of a run has a bench of its own
        evaluation = MetricContext({}, data, device=CPU)
        assert evaluation.fitted(first) is first
        assert evaluation.fitted(second) is first
        assert evaluation.fitted(other) is other
        assert data.train.asked == 3 + 2
    first.fit(bars_data(channels=3), CPU)
    assert first.features(torch.zeros(1, 3, 12, 12)).shape == (1, 128)


def test_of_a_stream_no_more_than_the_batches_of_the_steps_are_read():
    rows, read = bars(1000), []

    def epoch(number):
        for row in range(len(rows)):
            read.append(row)
            yield {name: tensor[row] for name, tensor in rows.rows().items()}

    data = bars_data(train=StreamSplit(epoch))
    Classifier(width=4, hidden_dim=8, steps=4).fit(data, CPU)
    assert read == list(range(4 * 100))


def test_few_labels_can_be_learned_from():
    few = FewLabels(of=bars_data(), per_label=20)
    extractor = Classifier(width=8, hidden_dim=16, steps=30)
    extractor.fit(few, CPU)
    assert accuracy(extractor, few) > 0.8


def test_augmentation_of_training_rows_makes_no_other_classifier():
    digests = set()
    for train in (bars(150), Flipped(bars(150))):
        extractor = Classifier(width=4, hidden_dim=8, steps=2)
        extractor.fit(bars_data(train=train), CPU)
        digests.add(extractor.digest)
    assert len(digests) == 1


def test_generated_images_in_memory_can_be_learned_from():
    data = bars_data()
    samples = data.codec.samples_of(data.train.rows()) + 0.3 / 255  # what a generator makes lies between the shades
    made = data.codec.batch_of(samples) | {"label": data.train.rows()["label"]}
    extractor = Classifier(width=8, hidden_dim=16, steps=30)
    extractor.fit(bars_data(train=TensorSplit(**made)), CPU)
    assert accuracy(extractor, data) > 0.9


def test_its_digest_tells_what_was_learned():
    found = []
    for steps, size in ((3, 12), (3, 12), (2, 12), (3, 8)):
        extractor = Classifier(width=4, hidden_dim=8, steps=steps)
        extractor.fit(bars_data(size=size), CPU)
        found.append(extractor.digest)
    assert len(found[0]) == 64
    assert found[0] == found[1]
    assert len(set(found)) == 3
    assert Identity().digest not in found


def test_data_without_labels_or_images_are_refused():
    unlabelled = bars_data()
    unlabelled.codec = ImageCodec(ImageSpec(1, 12))
    for data in (unlabelled, Points(size=10, heldout_size=10)):
        with pytest.raises(UsageError, match="learns from labelled images, which these data are not"):
            Classifier().check(data)


def test_a_recipe_measures_with_it(tmp_path):
    recipe = tmp_path / "digits.yaml"
    recipe.write_text(f"""
run: {tmp_path / "run"}
data: {{use: image/digits, size: 28}}
players:
  generator: {{use: image/mlp, hidden_dim: 8}}
  discriminator: {{use: image/mlp, hidden_dim: 8}}
objective: image/gan
phases: {{adversarial: {{steps: 2, turns: {{discriminate: 1, generate: 1}}}}}}
trainer: {{batch_size: 10, threads: 1}}
every: {{log: 0, sample: 0, evaluate: 1, checkpoint: 0}}
metrics:
- {{use: label_accuracy, samples: 50, extractor: {{use: classifier, steps: 20}}}}
- {{use: frechet, samples: 50, extractor: {{use: classifier, steps: 20}}}}
""")
    assert cli.main([str(recipe)]) == 0
    rows = [json.loads(line) for line in (tmp_path / "run/metrics.jsonl").read_text().splitlines()]
    [warning] = [row["warning"] for row in rows if "warning" in row]
    assert "is coarse: it compares 50 samples in the 128 features of 'classifier' and wants" in warning
    rows = [row for row in rows if "warning" not in row]
    assert [row["step"] for row in rows] == [1, 2]
    for row in rows:
        assert row["label_accuracy"]["real"] > 0.5 > row["label_accuracy"]["value"]
        assert row["frechet_classifier"]["value"] > 5 * row["frechet_classifier"]["real"] > 0
        assert row["frechet_classifier"]["real"] == rows[0]["frechet_classifier"]["real"]
