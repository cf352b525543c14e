"""Modes of stacked digits: counts and divergences against formulas written out by hand."""

import math
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from gangen.errors import UsageError
from gangen.metrics.context import MetricContext, evaluate
from gangen.splits import TensorSplit
from gangen_image.codec import ImageCodec
from gangen_image.data.digits import Digits
from gangen_image.data.points import Points
from gangen_image.data.stacked import Stacked
from gangen_image.extractors.classifier import Classifier
from gangen_image.extractors.identity import Identity
from gangen_image.metrics.modes import StackedModes
from gangen_image.spec import ImageSpec

CPU = torch.device("cpu")
# As the training digits of ``stacked`` have them.
SHARES = [0.5, 0.25, 0.25]


class Brightness:
    """The label of a grey image is that of its shade: dark, grey or bright."""

    name, key, digest = "brightness", "brightness", "0" * 64

    def __init__(self):
        self.fitted_to = []

    def check(self, data):
        pass

    def fit(self, data, device):
        self.fitted_to.append(data)

    def logits(self, samples):
        assert samples.shape[1] == 1
        return -(samples.mean((1, 2, 3))[:, None] - torch.tensor([-1.0, 0.0, 1.0])).abs()


class Shown(nn.Module):
    """A generator of given images, over and over."""

    def __init__(self, samples):
        super().__init__()
        self.samples = samples

    def sample(self, n, condition=None):
        return self.samples.repeat(math.ceil(n / len(self.samples)), 1, 1, 1)[:n]


def digits(train, heldout, labels=("dark", "grey", "bright")):
    """One image of 4 x 4 for each label, of its shade."""

    def split(labels):
        shades = (torch.tensor(labels) * 127.5).to(torch.uint8)
        return TensorSplit(image=shades[:, None, None, None].repeat(1, 1, 4, 4), label=torch.tensor(labels))

    codec = ImageCodec(ImageSpec(1, 4, tuple(labels)))
    return SimpleNamespace(codec=codec, train=split(train), heldout=split(heldout))


def stacked(heldout_size=300, **options):
    return Stacked(digits=digits([0, 0, 1, 2], [0, 1, 2], **options), size=50, heldout_size=heldout_size)


def images_of(triples):
    """Images whose channels have the shades of three labels."""
    return torch.tensor(triples).float()[:, :, None, None].expand(-1, -1, 4, 4) - 1


def bench(data, samples):
    players = SimpleNamespace(averaged=lambda name: Shown(samples))
    return MetricContext(players, data, device=CPU, batch_size=len(samples))


@pytest.mark.parametrize("mode", [(0, 1, 2), (0, 0, 0), (2, 2, 2)])
def test_a_generator_of_one_mode_is_as_far_off_as_can_be(mode):
    metric, data = StackedModes(samples=70, extractor=Brightness()), stacked()
    metric.check(bench(data, images_of([mode])))
    figures = metric(bench(data, images_of([mode])))
    assert figures["modes"].value == 1
    assert figures["kl"].value == pytest.approx(-math.log(math.prod(SHARES[label] for label in mode)))


def test_samples_of_several_modes_are_weighed_by_what_training_digits_have():
    triples = [(0, 0, 0), (0, 0, 0), (0, 0, 0), (2, 1, 0)]
    figures = StackedModes(samples=80, extractor=Brightness())(bench(stacked(), images_of(triples)))
    assert figures["modes"].value == 2
    assert figures["kl"].value == pytest.approx(0.75 * math.log(0.75 * 8) + 0.25 * math.log(0.25 * 32))


def test_samples_as_training_digits_are_have_no_divergence():
    labels = [0, 0, 1, 2]
    triples = [(first, second, third) for first in labels for second in labels for third in labels]
    figures = StackedModes(samples=64, extractor=Brightness())(bench(stacked(), images_of(triples)))
    assert figures["modes"].value == 27
    assert figures["kl"].value == pytest.approx(0, abs=1e-12)


def test_held_out_images_are_counted_in_the_same_way_and_once():
    data, metric = stacked(heldout_size=40), StackedModes(samples=1000, extractor=Brightness())
    evaluation = bench(data, images_of([(0, 0, 0)]))
    figures = metric(evaluation)
    images = data.heldout.rows()["image"]
    triples = [tuple(row) for row in (images[:, :, 0, 0].float() / 127.5).round().int().tolist()]
    counts = {triple: triples.count(triple) / 40 for triple in triples}
    expected = sum(
        share * math.log(share / math.prod(SHARES[label] for label in triple)) for triple, share in counts.items()
    )
    assert figures["modes"].real == len(counts)
    assert figures["kl"].real == pytest.approx(expected)
    assert metric.protocol(evaluation)["samples"] == 40
    data.heldout = TensorSplit(image=torch.zeros(40, 3, 4, 4, dtype=torch.uint8))
    again = metric(bench(data, images_of([(0, 0, 0)])))
    assert again["modes"].real == figures["modes"].real


def test_it_learns_from_the_digits_and_not_from_the_data_of_the_run():
    data, extractor = stacked(), Brightness()
    StackedModes(samples=10, extractor=extractor)(bench(data, images_of([(0, 0, 0)])))
    assert all(fitted is data.digits for fitted in extractor.fitted_to) and extractor.fitted_to


def test_a_label_that_no_training_digit_has_is_a_divergence_without_bound():
    data = Stacked(digits=digits([0, 1], [0, 1]), size=50, heldout_size=20)
    evaluation = bench(data, images_of([(2, 0, 0)]))
    assert evaluate([StackedModes(samples=10, extractor=Brightness())], evaluation)["kl"].value == math.inf
    assert any("kl" in warning for warning in evaluation.warnings)


def test_digits_are_sorted_by_a_classifier_that_learns_them():
    """Of 1,000 modes 2,000 fair draws reach 1000 (1 - exp(-2)) = 865, and kl is 0.28: the mean for Poisson(2)."""
    data = Stacked(digits=Digits(size=28), size=2000, heldout_size=2000)
    images = data.codec.samples_of(data.train.batch(0, range(2000), 2000, seed=0, device=CPU))
    metric = StackedModes(samples=2000, extractor=Classifier(width=8, hidden_dim=32, steps=60))
    figures, collapsed = metric(bench(data, images)), metric(bench(data, images[:1].repeat(2000, 1, 1, 1)))
    for side in ("value", "real"):
        assert 820 < getattr(figures["modes"], side) < 900
        assert 0.2 < getattr(figures["kl"], side) < 0.4
    assert collapsed["modes"].value == 1
    assert collapsed["kl"].value == pytest.approx(math.log(1000))  # there are as many training digits of each label


def test_data_that_are_no_stacked_digits_with_labels_are_refused():
    unlabelled = stacked(labels=())
    for data, message in (
        (Points(size=10, heldout_size=10), "needs stacked digits, as image/stacked has"),
        (digits([0], [0]), "needs stacked digits, as image/stacked has"),
        (unlabelled, "needs digits with labels"),
    ):
        with pytest.raises(UsageError, match=message):
            StackedModes(extractor=Classifier()).check(bench(data, images_of([(0, 0, 0)])))
    with pytest.raises(UsageError, match="extractor 'identity' does not classify"):
        StackedModes(extractor=Identity()).check(bench(stacked(), images_of([(0, 0, 0)])))
