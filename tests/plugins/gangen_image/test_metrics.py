"""Figures of image generators against formulas written out by hand."""

import math
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from gangen.distances import frechet_distance, gaussian, kernel_distance
from gangen.errors import UsageError
from gangen.evaluation import Evaluation, evaluate
from gangen.neighbours import nearest_neighbour_test, overlap
from gangen.splits import StreamSplit, TensorSplit
from gangen_image.comparison import KID, PRDC, Frechet, NearestNeighbour
from gangen_image.flipped import Flipped
from gangen_image.identity import Identity
from gangen_image.label_accuracy import LabelAccuracy
from gangen_image.memorised import Memorised
from gangen_image.points import Points
from gangen_image.spec import ImageSpec

CPU = torch.device("cpu")
SPEC = ImageSpec(1, 2, ("a", "b", "c"))


class Pixels:
    """An extractor without a network: features are pixels, the label is the brightest of the first three."""

    name, key = "pixels", "pixels"

    def check(self, data):
        pass

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


def test_figures_stand_beside_those_of_training_images_with_the_same_labels():
    """100 training images have what 40 held-out ones ask for; and the held-out ones come in the order of samples."""
    heldout, train = split(40), split(100, seed=1)
    figures = Frechet(samples=1000, extractor=Pixels())(bench(Drawn(), heldout, train))
    real = gaussian(SPEC.prepare(heldout.tensors["image"]).flatten(1))
    drawn = gaussian(Drawn().sample(500)[:40].flatten(1))
    assert figures.keys() == {"frechet_pixels", "frechet_pixels_real"}
    assert figures["frechet_pixels"] == pytest.approx(frechet_distance(drawn, real), abs=1e-9)


class Labels(Pixels):
    """An extractor that sees a label and nothing else: the brightest of the first three pixels."""

    def features(self, samples):
        return nn.functional.one_hot(samples.flatten(1)[:, :3].argmax(1), 3).float()


def spelled(*counts):
    """As many images of each label as ``counts`` says, which show it."""
    labels = torch.arange(3).repeat_interleave(torch.tensor(counts))
    return TensorSplit(image=pictures(labels).to(torch.uint8), label=labels)


def test_the_floor_has_as_many_of_each_label_as_held_out_images():
    heldout = spelled(5, 10, 1)
    matched = bench(Drawn(), heldout, spelled(60, 20, 20))
    assert Frechet(extractor=Labels())(matched)["frechet_pixels_real"] == pytest.approx(0, abs=1e-9)
    # Of the second label there are not enough: as many as there are held-out ones, as they are drawn.
    lacking = bench(Drawn(), heldout, spelled(60, 9, 20))
    drawn = lacking.data.train.batch(0, range(16), 16, seed=0, device="cpu")["image"]
    gaussians = [gaussian(Labels().features(images)) for images in (drawn, heldout.tensors["image"])]
    expected = pytest.approx(frechet_distance(*gaussians), abs=1e-6)
    assert Frechet(extractor=Labels())(lacking)["frechet_pixels_real"] == expected != 0


def test_data_without_labels_have_a_floor_as_they_are_drawn():
    heldout, train = (TensorSplit(image=split(30, seed=seed).tensors["image"]) for seed in (0, 1))
    evaluation = bench(Drawn(), heldout, train)
    evaluation.data.codec.spec = ImageSpec(1, 2)
    drawn = train.batch(0, range(30), 30, seed=0, device="cpu")["image"]
    gaussians = [gaussian(SPEC.prepare(images).flatten(1)) for images in (drawn, heldout.tensors["image"])]
    figures = Frechet(extractor=Pixels())(evaluation)
    assert figures["frechet_pixels_real"] == pytest.approx(frechet_distance(*gaussians), abs=1e-9)


def test_kernel_overlap_and_nearest_neighbours_are_those_of_the_features():
    heldout, train = split(40), split(100, seed=1)
    evaluation = bench(Drawn(), heldout, train)
    real = SPEC.prepare(heldout.batch(0, range(30), 30, seed=0, device="cpu")["image"]).flatten(1)
    drawn = Drawn().sample(500)[:30].flatten(1)
    assert KID(samples=30, extractor=Pixels())(evaluation)["kid_pixels"] == kernel_distance(real, drawn)
    figures = PRDC(samples=30, neighbours=3, extractor=Pixels())(evaluation)
    names = ("precision", "recall", "density", "coverage")
    assert tuple(figures[f"{name}_pixels"] for name in names) == overlap(real, drawn, k=3)
    assert {f"{name}_pixels_real" for name in names} < figures.keys()
    figures = NearestNeighbour(samples=30, extractor=Pixels())(evaluation)
    names = ("nearest_neighbour", "nearest_neighbour_on_real", "nearest_neighbour_on_fake")
    assert tuple(figures[f"{name}_pixels"] for name in names) == nearest_neighbour_test(real, drawn)
    assert {f"{name}_pixels_real" for name in names} < figures.keys()


class Again(nn.Module):
    """Samples that were given, in order, and again."""

    def __init__(self, samples):
        super().__init__()
        self.samples = samples

    def sample(self, n, condition=None):
        return self.samples[torch.arange(n) % len(self.samples)]


def test_memorised_tells_copies_of_training_images_from_new_ones():
    heldout, train, new = split(200), split(300, seed=1), split(200, seed=2)
    for images, ratio, share in (
        (train.tensors["image"], pytest.approx(0), 1),
        (heldout.tensors["image"], pytest.approx(1), pytest.approx(0.01, abs=0.005)),
        (new.tensors["image"], pytest.approx(1, abs=0.2), pytest.approx(0.01, abs=0.02)),
    ):
        figures = Memorised(extractor=Pixels())(bench(Again(SPEC.prepare(images)), heldout, train))
        assert figures == {"nearest_training_pixels": ratio, "memorised_pixels": share}


def test_memorised_is_a_ratio_of_medians_to_all_training_images(monkeypatch):
    monkeypatch.setattr("gangen_image.memorised.CHUNK", 7)
    heldout, train = split(20), split(60, seed=1)
    figures = Memorised(extractor=Pixels())(bench(Drawn(), heldout, train))
    training = SPEC.prepare(train.tensors["image"]).flatten(1)

    def nearest(rows):
        return torch.tensor([min(math.dist(row, other) for other in training.tolist()) for row in rows.tolist()])

    real = nearest(SPEC.prepare(heldout.tensors["image"]).flatten(1))
    drawn = nearest(Drawn().sample(500)[:20].flatten(1))
    assert figures["nearest_training_pixels"] == pytest.approx((drawn.median() / real.median()).item())
    assert figures["memorised_pixels"] == pytest.approx((drawn < real.quantile(0.01)).double().mean().item())


@pytest.mark.parametrize("wrapped", [Flipped, lambda split: StreamSplit(lambda epoch: rows_of(split))])
def test_memorised_looks_at_each_training_image_once(wrapped):
    class Counting(Pixels):
        seen = 0

        def features(self, samples):
            self.seen += len(samples)
            return super().features(samples)

    extractor = Counting()
    evaluation = bench(Drawn(), split(20), wrapped(split(60, seed=1)))
    Memorised(extractor=extractor, training=60 if wrapped is not Flipped else 1000)(evaluation)
    assert extractor.seen == 20 + 20 + 60


def rows_of(split):
    for row in range(len(split)):
        yield {name: tensor[row] for name, tensor in split.tensors.items()}


def test_memorised_refuses_held_out_images_that_are_trained_on():
    images = split(20)
    with pytest.raises(UsageError, match="most held-out images are copies of training images"):
        Memorised(extractor=Pixels())(bench(Drawn(), images, images))


def test_points_are_compared_as_they_are():
    data = Points(size=600, heldout_size=300)
    evaluation = Evaluation(
        SimpleNamespace(averaged=lambda name: Again(data.train.tensors["image"].flip(0))), data, device=CPU
    )
    metrics = [metric(extractor=Identity()) for metric in (Frechet, KID, PRDC, NearestNeighbour, Memorised)]
    for metric in metrics:
        metric.check(evaluation)
    figures = evaluate(metrics, evaluation)
    assert figures["frechet_identity"] < 0.05 and abs(figures["kid_identity"]) < 0.05
    assert figures["precision_identity"] > 0.9 and figures["recall_identity"] > 0.9
    assert figures["nearest_neighbour_identity"] == pytest.approx(0.5, abs=0.1)
    assert (figures["nearest_training_identity"], figures["memorised_identity"]) == (0, 1)


def test_identity_sees_images_as_files_show_them():
    extractor = Identity()
    extractor.fit(SimpleNamespace(codec=SimpleNamespace(spec=SPEC)), CPU)
    wild = torch.tensor([[[[-3.0, 1.5], [0.001, torch.nan]]]])
    assert extractor.features(wild)[0].tolist() == pytest.approx([-1, 1, 1 / 255, -1], abs=1e-6)


def test_metrics_of_one_evaluation_share_features():
    class Counting(Pixels):
        asked = 0

        def features(self, samples):
            self.asked += 1
            return super().features(samples)

    extractor, players = Counting(), SimpleNamespace(averaged=lambda name: Drawn())
    metrics = [metric(samples=30, extractor=extractor) for metric in (Frechet, KID, PRDC, NearestNeighbour)]
    data = bench(Drawn(), split(40), split(100, seed=1)).data
    evaluate(metrics, Evaluation(players, data, device=CPU))
    assert extractor.asked == 3  # generated, held out, training
    evaluate(metrics, Evaluation(players, data, device=CPU))
    assert extractor.asked == 4  # generated anew


def test_frechet_of_fewer_images_than_features_is_finite():
    figures = Frechet(samples=3, extractor=Pixels())(bench(Drawn(), split(40), split(40, seed=1)))
    assert all(0 < value < 100 for value in figures.values())


@pytest.mark.parametrize("metric", [Frechet, KID, NearestNeighbour, Memorised])
def test_one_held_out_image_is_too_few(metric):
    with pytest.raises(UsageError, match="compares 1 held-out images with as many samples, and needs at least 2"):
        metric(extractor=Pixels()).check(bench(Drawn(), split(1), split(40)))


def test_balls_need_more_images_than_neighbours():
    with pytest.raises(UsageError, match=r"metric image/prdc compares 7 .* needs at least 8; raise heldout"):
        PRDC(samples=7, neighbours=7, extractor=Pixels()).check(bench(Drawn(), split(30), split(40)))
    figures = PRDC(samples=8, neighbours=7, extractor=Pixels())(bench(Drawn(), split(30), split(40)))
    assert all(0 <= figure <= 8 / 7 for figure in figures.values())


def test_frechet_reads_training_images_once_for_the_same_data_and_again_for_others():
    class Once(TensorSplit):
        def batch(self, *arguments, **options):
            self.asked = getattr(self, "asked", 0) + 1
            return super().batch(*arguments, **options)

    metric, floors = Frechet(extractor=Pixels()), []
    for seed in (1, 2):
        train = Once(image=split(100, seed=seed).tensors["image"])
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
