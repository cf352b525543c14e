"""Figures of image generators against formulas written out by hand."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from gangen.errors import UsageError
from gangen.evaluation import Evaluation
from gangen.splits import TensorSplit
from gangen_image.frechet import Frechet, frechet_distance, gaussian
from gangen_image.label_accuracy import LabelAccuracy
from gangen_image.spec import ImageSpec

SPEC = ImageSpec(1, 2, ("a", "b", "c"))


class Pixels:
    """An extractor without a network: features are pixels, the label is the brightest of the first three."""

    name, key = "pixels", "pixels"

    def fit(self, data, device):
        pass

    def features(self, samples):
        return samples.flatten(1)

    def logits(self, samples):
        return self.features(samples)[:, :3]


class Obedient(nn.Module):
    """Images of the labels that are asked for, but ``wrong`` of the labels, which it takes for the one above."""

    def __init__(self, *wrong):
        super().__init__()
        self.wrong = wrong

    def sample(self, n, condition=None):
        label = condition["label"]
        shown = torch.where(torch.isin(label, torch.tensor(self.wrong, dtype=int)), (label + 1) % 3, label)
        return pictures(shown) / 127.5 - 1


class Drawn(nn.Module):
    """Normal pixels with a covariance of their own, the same at every call."""

    def sample(self, n, condition=None):
        generator = torch.Generator().manual_seed(5)
        return torch.randn(n, 1, 2, 2, generator=generator) * torch.tensor([[0.1, 0.2], [0.3, 0.4]])


def pictures(labels):
    """One bright pixel of four, at the place of the label."""
    return 255.0 * nn.functional.one_hot(labels, 4).reshape(-1, 1, 2, 2)


def split(n, seed=0):
    """Random images with random labels, which are what the brightest of the first three pixels says, but for a few."""
    generator = torch.Generator().manual_seed(seed)
    image = torch.randint(256, (n, 1, 2, 2), generator=generator)
    label = image.flatten(1)[:, :3].argmax(1)
    label[::5] = (label[::5] + 1) % 3
    return TensorSplit(image=image.to(torch.uint8), label=label)


def bench(generator, heldout, train=None, batch_size=500):
    data = SimpleNamespace(codec=SimpleNamespace(spec=SPEC), heldout=heldout, train=train)
    players = SimpleNamespace(averaged=lambda name: generator)
    return Evaluation(players, data, device=torch.device("cpu"), batch_size=batch_size)


def factor(rows, columns, seed=0):
    """A matrix A for a covariance A A^T."""
    return torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def by_general_root(first, second):
    """The same distance through the eigenvalues of S1 S2 itself, which is not symmetric."""
    (mean1, s1), (mean2, s2) = first, second
    values = torch.linalg.eig((s1 @ s2).to(torch.complex128)).eigenvalues
    return ((mean1 - mean2) ** 2).sum() + (s1 + s2).trace() - 2 * values.sqrt().sum().real


def test_frechet_distance_of_independent_features_is_that_of_their_deviations():
    mean1, mean2 = torch.tensor([[1.0, -2.0, 0.5], [0.0, 1.0, 0.5]]).double()
    sd1, sd2 = torch.tensor([[1.0, 2.0, 0.0], [0.5, 2.0, 3.0]]).double()
    expected = ((mean1 - mean2) ** 2).sum() + ((sd1 - sd2) ** 2).sum()
    found = frechet_distance((mean1, torch.diag(sd1**2)), (mean2, torch.diag(sd2**2)))
    assert found == pytest.approx(expected.item(), abs=1e-6)


def test_frechet_distance_of_any_gaussians():
    a, b = factor(12, 20), factor(12, 20, seed=1)
    first = torch.linspace(-1, 1, 12).double(), a @ a.T
    second = torch.linspace(2, 0, 12).double(), b @ b.T
    found = frechet_distance(first, second)
    assert found == pytest.approx(by_general_root(first, second).item(), abs=1e-6)
    assert found == pytest.approx(frechet_distance(second, first), abs=1e-6)
    assert frechet_distance(first, first) == pytest.approx(0, abs=1e-6)


def test_frechet_distance_where_covariances_have_not_full_rank():
    a, b = factor(12, 4), factor(12, 2, seed=1)
    mean = torch.zeros(12).double()
    expected = (a @ a.T + b @ b.T).trace() - 2 * torch.linalg.matrix_norm(a.T @ b, "nuc")
    assert frechet_distance((mean, a @ a.T), (mean, b @ b.T)) == pytest.approx(expected.item(), abs=1e-5)


def test_a_gaussian_is_fitted_in_double_precision():
    features = 1000 + torch.rand(50, 3, generator=torch.Generator().manual_seed(0))
    mean, covariance = gaussian(features)
    centred = features.double() - features.double().sum(0) / 50
    assert mean == pytest.approx(features.double().sum(0) / 50)
    assert covariance.numpy() == pytest.approx((centred.T @ centred / 49).numpy(), rel=1e-9)
    assert gaussian(features[:, :1])[1].shape == (1, 1)


def test_frechet_compares_as_many_images_as_are_held_out_on_every_side():
    heldout, train = split(40), split(100, seed=1)
    evaluation = bench(Drawn(), heldout, train)
    figures = Frechet(samples=1000, extractor=Pixels())(evaluation)
    real = gaussian(SPEC.prepare(heldout.tensors["image"]).flatten(1))
    training = train.batch(0, range(40), 40, seed=0, device="cpu")["image"]
    drawn = Drawn().sample(500)[:40].flatten(1)
    assert figures == {
        "frechet_pixels": pytest.approx(by_general_root(gaussian(drawn), real).item(), abs=1e-6),
        "frechet_pixels_real": pytest.approx(
            by_general_root(gaussian(SPEC.prepare(training).flatten(1)), real).item(), abs=1e-6
        ),
    }


def test_frechet_of_fewer_images_than_features_is_finite():
    figures = Frechet(samples=3, extractor=Pixels())(bench(Drawn(), split(40), split(40, seed=1)))
    assert all(0 < value < 100 for value in figures.values())


def test_frechet_needs_held_out_images():
    with pytest.raises(UsageError, match="needs more than one held-out image"):
        Frechet(extractor=Pixels()).check(bench(Drawn(), split(1), split(40)))


def test_frechet_reads_training_images_once_for_the_same_data_and_again_for_others():
    class Once(TensorSplit):
        def batch(self, *arguments, **options):
            self.asked = getattr(self, "asked", 0) + 1
            return super().batch(*arguments, **options)

    metric, floors = Frechet(extractor=Pixels()), []
    for seed in (1, 2):
        train = Once(**split(100, seed=seed).tensors)
        evaluation = bench(Drawn(), split(40), train)
        floors += [metric(evaluation)["frechet_pixels_real"] for _ in range(2)]
        assert train.asked == 1
    assert floors[0] == floors[1] != floors[2]


@pytest.mark.parametrize("batch_size", [7, 500])
def test_label_accuracy_is_the_share_that_carries_the_label_it_was_asked_for(batch_size):
    heldout = split(30)
    asked = TensorSplit(**heldout.tensors).batch(0, range(20), 20, seed=0, device="cpu")["label"]
    for wrong in ((), (1,), (0, 1, 2)):
        figures = LabelAccuracy(samples=20, extractor=Pixels())(bench(Obedient(*wrong), heldout, batch_size=batch_size))
        right = sum(label not in wrong for label in asked.tolist()) / 20
        assert figures == {"label_accuracy": pytest.approx(right), "label_accuracy_real": pytest.approx(0.8)}


def test_label_accuracy_needs_labels_and_a_classifier():
    unlabelled = bench(Obedient(), split(30))
    unlabelled.data.codec.spec = ImageSpec(1, 8)
    with pytest.raises(UsageError, match="needs data with labels"):
        LabelAccuracy(extractor=Pixels()).check(unlabelled)
    extractor = SimpleNamespace(name="points", key="points", fit=print, features=print)
    with pytest.raises(UsageError, match="extractor 'points' does not classify"):
        LabelAccuracy(extractor=extractor).check(bench(Obedient(), split(30)))
