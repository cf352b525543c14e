"""Metrics through the extractors of this plugin."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from gangen.errors import UsageError
from gangen.metrics.comparison import KID, PRDC, Frechet, NearestNeighbour
from gangen.metrics.context import MetricContext, evaluate
from gangen.metrics.memorised import Memorised
from gangen_image.codec import ImageCodec
from gangen_image.data.digits import Digits
from gangen_image.data.points import Points
from gangen_image.extractors.identity import Identity
from gangen_image.spec import ImageSpec

CPU = torch.device("cpu")
SPEC = ImageSpec(1, 2, ("a", "b", "c"))


class Again(nn.Module):
    """Samples that were given, in order, and again."""

    def __init__(self, samples):
        super().__init__()
        self.samples = samples

    def sample(self, n, condition=None):
        return self.samples[torch.arange(n) % len(self.samples)]


def test_points_are_compared_as_they_are():
    data = Points(size=600, heldout_size=300)
    evaluation = MetricContext(
        SimpleNamespace(averaged=lambda name: Again(data.train.rows()["image"].flip(0))), data, device=CPU
    )
    metrics = [metric() for metric in (Frechet, KID, PRDC, NearestNeighbour, Memorised)]
    for metric in metrics:
        metric.check(evaluation)
    figures = evaluate(metrics, evaluation)
    assert figures["frechet_identity"].value < 0.05 and abs(figures["kid_identity"].value) < 0.05
    assert figures["precision_identity"].value > 0.9 and figures["recall_identity"].value > 0.9
    assert figures["nearest_neighbour_identity"].value == pytest.approx(0.5, abs=0.1)
    assert (figures["nearest_training_identity"].value, figures["memorised_identity"].value) == (0, 1)


def test_identity_sees_images_as_files_show_them():
    extractor = Identity()
    extractor.fit(SimpleNamespace(codec=SimpleNamespace(spec=SPEC)), CPU)
    wild = torch.tensor([[[[-3.0, 1.5], [0.001, torch.nan]]]])
    assert extractor.features(wild)[0].tolist() == pytest.approx([-1, 1, 1 / 255, -1], abs=1e-6)


def test_images_bring_a_classifier_along_where_they_are_labelled_and_samples_come_back_as_rows():
    codec = Digits().codec
    assert codec.extractor().name == "classifier"
    with pytest.raises(
        UsageError, match=r"name an extractor that needs none, as in \{use: frechet, extractor: image/rotations\}"
    ):
        ImageCodec(ImageSpec(1, 2)).extractor()
    rows = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16)
    codec = ImageCodec(ImageSpec(1, 16))
    assert torch.equal(codec.batch_of(codec.samples_of({"image": rows}))["image"], rows)
    assert codec.batch_of(torch.tensor([-5.0, 5.0, torch.nan]))["image"].tolist() == [0, 255, 0]
