"""Metrics that look through an extractor, against formulas written out by hand."""

import math
import re
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import nn

from gangen import noise
from gangen.contracts import SheetRow
from gangen.errors import UsageError
from gangen.files import digest
from gangen.metrics.comparison import CMMD, KID, MIND, PRDC, DivergenceFrontier, Frechet, IntraFrechet, NearestNeighbour
from gangen.metrics.context import MetricContext, evaluate
from gangen.metrics.distances import (
    frechet_distance,
    gaussian,
    gaussian_kernel_distance,
    kernel_distance,
    sliced_distance,
)
from gangen.metrics.divergence import frontier_score
from gangen.metrics.figures import Figure
from gangen.metrics.labels import InceptionScore, LabelAccuracy, ReverseLabelAccuracy, inception_score
from gangen.metrics.memorised import Memorised
from gangen.metrics.neighbours import nearest_neighbour_test, overlap
from gangen.metrics.path_length import PathLength
from gangen.splits import StreamSplit, TensorSplit

CPU = torch.device("cpu")


class Codec:
    """Rows "x" uint8 [n, 1, 2, 2], which generators make as floats in [-1, 1]."""

    per_prompt = 1

    def prompts(self):
        return ["a", "b", "c"]

    def encode(self, prompt, n):
        return {"label": torch.full((n,), "abc".index(prompt))}

    def extractor(self):
        return Pixels()

    def samples_of(self, batch):
        return prepared(batch["x"])

    def batch_of(self, samples):
        return {"x": ((samples.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)}


def prepared(x):
    return x / 127.5 - 1


class Pixels:
    """An extractor without a network: features are pixels, the label is the brightest of the first three."""

    name, key, digest = "pixels", "pixels", "0"

    def check(self, data):
        pass

    def fit(self, data, device):
        pass

    def features(self, samples):
        return samples.flatten(1)

    def logits(self, samples):
        return self.features(samples)[:, :3]


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
    return TensorSplit(x=image.to(torch.uint8), label=label)


def bench(generator, heldout, train=None, batch_size=500):
    data = SimpleNamespace(codec=Codec(), codec_class=Codec, heldout=heldout, train=train)
    players = SimpleNamespace(averaged=lambda name: generator)
    return MetricContext(players, data, device=torch.device("cpu"), batch_size=batch_size)


class Again(nn.Module):
    """Samples that were given, in order, and again."""

    def __init__(self, samples):
        super().__init__()
        self.samples = samples

    def sample(self, n, condition=None):
        return self.samples[torch.arange(n) % len(self.samples)]


def test_figures_stand_beside_those_of_training_rows_with_the_same_labels():
    """100 training rows have what 40 held-out ones ask for; and the held-out ones come in the order of samples."""
    heldout, train = split(40), split(100, seed=1)
    figures = Frechet(samples=1000, extractor=Pixels())(bench(Drawn(), heldout, train))
    real = gaussian(prepared(heldout.rows()["x"]).flatten(1))
    drawn = gaussian(Drawn().sample(500)[:40].flatten(1))
    assert figures.keys() == {"frechet_pixels"}
    assert figures["frechet_pixels"].real > 0
    assert figures["frechet_pixels"].value == pytest.approx(frechet_distance(drawn, real), abs=1e-9)


class Labels(Pixels):
    """An extractor that sees a label and nothing else: the brightest of the first three pixels."""

    def features(self, samples):
        return nn.functional.one_hot(samples.flatten(1)[:, :3].argmax(1), 3).float()


def spelled(*counts):
    """As many images of each label as ``counts`` says, which show it."""
    labels = torch.arange(3).repeat_interleave(torch.tensor(counts))
    return TensorSplit(x=pictures(labels).to(torch.uint8), label=labels)


def test_the_floor_has_as_many_of_each_label_as_held_out_rows():
    heldout = spelled(5, 10, 1)
    matched = bench(Drawn(), heldout, spelled(60, 20, 20))
    assert Frechet(extractor=Labels())(matched)["frechet_pixels"].real == pytest.approx(0, abs=1e-9)
    # Of the second label there are not enough: as many as there are held-out ones, as they are drawn.
    lacking = bench(Drawn(), heldout, spelled(60, 9, 20))
    drawn = lacking.data.train.batch(0, range(16), 16, seed=0, device="cpu")["x"]
    gaussians = [gaussian(Labels().features(images)) for images in (drawn, heldout.rows()["x"])]
    expected = pytest.approx(frechet_distance(*gaussians), abs=1e-6)
    assert Frechet(extractor=Labels())(lacking)["frechet_pixels"].real == expected != 0


def test_the_frechet_distance_within_labels_is_the_mean_over_them():
    heldout, train = split(40), split(150, seed=1)
    evaluation = bench(Drawn(), heldout, train)
    figure = IntraFrechet(extractor=Pixels())(evaluation)["intra_frechet_pixels"]
    rows, drawn = heldout.batch(0, range(40), 40, seed=0, device="cpu"), Drawn().sample(500)[:40].flatten(1)
    each = []
    for label in range(3):
        of = rows["label"] == label
        each.append(frechet_distance(gaussian(prepared(rows["x"][of]).flatten(1)), gaussian(drawn[of])))
    assert figure.value == pytest.approx(sum(each) / 3, rel=1e-9)
    assert 0 < figure.real < figure.value and figure.good == "low"


class Obeying(nn.Module):
    """Pictures of the labels that it is asked for, or of those after them."""

    def __init__(self, by=0):
        super().__init__()
        self.by = by

    def sample(self, n, condition=None):
        return prepared(pictures((condition["label"] + self.by) % 3))


def test_the_frechet_distance_within_labels_sees_labels_that_are_mixed_up():
    metrics = [Frechet(extractor=Pixels()), IntraFrechet(extractor=Pixels())]
    right, wrong = (evaluate(metrics, bench(Obeying(by), *[spelled(14, 14, 14)] * 2)) for by in (0, 1))
    assert right["frechet_pixels"].value == pytest.approx(wrong["frechet_pixels"].value, abs=1e-6)
    assert right["intra_frechet_pixels"].value == pytest.approx(0, abs=1e-6)
    assert wrong["intra_frechet_pixels"].value == pytest.approx(8)  # two pixels, each by 2


def test_within_labels_all_training_rows_may_be_compared():
    """On the labels that they are drawn with, 700 samples in two batches."""
    evaluation, train = bench(Varied(), split(20), spelled(30, 20, 10)), spelled(30, 20, 10)
    metric = IntraFrechet(samples=700, against="training", extractor=Pixels())
    metric.check(evaluation)
    samples = torch.cat(list(evaluation.samples_like_training(700))).flatten(1)
    asked = torch.cat([it["label"] for it in evaluation.training_conditions(700)])
    rows, labels = prepared(train.rows()["x"]).flatten(1), train.rows()["label"]
    each = [frechet_distance(gaussian(rows[labels == it]), gaussian(samples[asked == it])) for it in range(3)]
    assert metric(evaluation)["intra_frechet_pixels"] == Figure(pytest.approx(sum(each) / 3), None, "low")
    with pytest.raises(UsageError, match=r"compares \d of the rarest label"):
        IntraFrechet(samples=9, against="training", extractor=Pixels()).check(
            bench(Varied(), split(20), spelled(900, 2, 2))
        )


def test_a_label_of_one_held_out_row_has_no_frechet_distance():
    metric = IntraFrechet(extractor=Pixels())
    with pytest.raises(UsageError, match="compares 1 of the rarest label, and needs at least 2 of each; raise heldout"):
        metric.check(bench(Drawn(), spelled(5, 10, 1), split(40)))
    with pytest.raises(UsageError, match="needs data with labels"):
        metric.check(bench(Drawn(), TensorSplit(x=split(30).rows()["x"]), split(40)))


def test_data_without_labels_have_a_floor_as_they_are_drawn():
    heldout, train = (TensorSplit(x=split(30, seed=seed).rows()["x"]) for seed in (0, 1))
    evaluation = bench(Drawn(), heldout, train)
    drawn = train.batch(0, range(30), 30, seed=0, device="cpu")["x"]
    gaussians = [gaussian(prepared(images).flatten(1)) for images in (drawn, heldout.rows()["x"])]
    figures = Frechet(extractor=Pixels())(evaluation)
    assert figures["frechet_pixels"].real == pytest.approx(frechet_distance(*gaussians), abs=1e-9)


def test_kernel_overlap_and_nearest_neighbours_are_those_of_the_features():
    heldout, train = split(40), split(100, seed=1)
    evaluation = bench(Drawn(), heldout, train)
    real = prepared(heldout.batch(0, range(30), 30, seed=0, device="cpu")["x"]).flatten(1)
    drawn = Drawn().sample(500)[:30].flatten(1)
    assert KID(samples=30, extractor=Pixels())(evaluation)["kid_pixels"].value == kernel_distance(real, drawn)
    cmmd = CMMD(samples=30, extractor=Pixels())(evaluation)["cmmd_pixels"]
    assert cmmd.value == gaussian_kernel_distance(real, drawn) > cmmd.real and cmmd.good == "low"
    mind = MIND(samples=30, directions=40, extractor=Pixels())(evaluation)["mind_pixels"]
    assert mind.value == sliced_distance(real, drawn, directions=40) > mind.real and mind.good == "low"
    figures = PRDC(samples=30, neighbours=3, extractor=Pixels())(evaluation)
    names = ("precision", "recall", "density", "coverage")
    assert tuple(figures[f"{name}_pixels"].value for name in names) == overlap(real, drawn, k=3)
    assert all(figure.real is not None and figure.good == "high" for figure in figures.values())
    figures = NearestNeighbour(samples=30, extractor=Pixels())(evaluation)
    names = ("nearest_neighbour", "nearest_neighbour_on_real", "nearest_neighbour_on_fake")
    assert tuple(figures[f"{name}_pixels"].value for name in names) == nearest_neighbour_test(real, drawn)
    assert all(figure.real is not None and figure.good == "real" for figure in figures.values())


def test_metrics_of_one_evaluation_share_features():
    class Counting(Pixels):
        asked = 0

        def features(self, samples):
            self.asked += 1
            return super().features(samples)

    extractor, players = Counting(), SimpleNamespace(averaged=lambda name: Drawn())
    metrics = [metric(samples=30, extractor=extractor) for metric in (Frechet, KID, PRDC, NearestNeighbour)]
    data = bench(Drawn(), split(40), split(100, seed=1)).data
    evaluate(metrics, MetricContext(players, data, device=CPU))
    assert extractor.asked == 3  # generated, held out, training
    evaluate(metrics, MetricContext(players, data, device=CPU))
    assert extractor.asked == 4  # generated anew


def test_frechet_of_fewer_images_than_features_is_finite():
    figures = Frechet(samples=3, extractor=Pixels())(bench(Drawn(), split(40), split(40, seed=1)))
    assert all(0 < figure.value < 100 for figure in figures.values())


@pytest.mark.parametrize("metric", [Frechet, KID, NearestNeighbour, Memorised])
def test_one_held_out_image_is_too_few(metric):
    with pytest.raises(UsageError, match="compares 1 held-out rows with as many samples, and needs at least 2"):
        metric(extractor=Pixels()).check(bench(Drawn(), split(1), split(40)))


def test_balls_need_more_images_than_neighbours():
    with pytest.raises(UsageError, match=r"compares 7 .* needs at least 8; raise heldout"):
        PRDC(samples=7, neighbours=7, extractor=Pixels()).check(bench(Drawn(), split(30), split(40)))
    figures = PRDC(samples=8, neighbours=7, extractor=Pixels())(bench(Drawn(), split(30), split(40)))
    assert all(0 <= figure.value <= 8 / 7 for figure in figures.values())


def test_frechet_reads_training_rows_once_for_the_same_data_and_again_for_others():
    class Once(TensorSplit):
        def batch(self, *arguments, **options):
            self.asked = getattr(self, "asked", 0) + 1
            return super().batch(*arguments, **options)

    metric, floors = Frechet(extractor=Pixels()), []
    for seed in (1, 2):
        train = Once(x=split(100, seed=seed).rows()["x"])
        evaluation = bench(Drawn(), split(40), train)
        floors += [metric(evaluation)["frechet_pixels"].real for _ in range(2)]
        assert train.asked == 1
    assert floors[0] == floors[1] != floors[2]


def test_memorised_tells_copies_of_training_rows_from_new_ones():
    heldout, train, new = split(200), split(300, seed=1), split(200, seed=2)
    for images, ratio, share in (
        (train.rows()["x"], pytest.approx(0), 1),
        (heldout.rows()["x"], pytest.approx(1), pytest.approx(0.01, abs=0.005)),
        (new.rows()["x"], pytest.approx(1, abs=0.2), pytest.approx(0.01, abs=0.02)),
    ):
        figures = Memorised(extractor=Pixels())(bench(Again(prepared(images)), heldout, train))
        assert figures["nearest_training_pixels"].value == ratio
        assert figures["memorised_pixels"].value == share
        assert figures["memorised_pixels"].real == pytest.approx(0.01, abs=0.005)


def test_memorised_is_a_ratio_of_medians_to_all_training_rows(monkeypatch):
    monkeypatch.setattr("gangen.metrics.memorised.CHUNK", 7)
    heldout, train = split(20), split(60, seed=1)
    figures = Memorised(extractor=Pixels())(bench(Drawn(), heldout, train))
    training = prepared(train.rows()["x"]).flatten(1)

    def nearest(rows):
        return torch.tensor([min(math.dist(row, other) for other in training.tolist()) for row in rows.tolist()])

    real = nearest(prepared(heldout.rows()["x"]).flatten(1))
    drawn = nearest(Drawn().sample(500)[:20].flatten(1))
    assert figures["nearest_training_pixels"].value == pytest.approx((drawn.median() / real.median()).item())
    assert figures["memorised_pixels"].value == pytest.approx((drawn < real.quantile(0.01)).double().mean().item())


@pytest.mark.parametrize("streamed", [False, True])
def test_memorised_looks_at_each_training_row_once(streamed):
    class Counting(Pixels):
        seen = 0

        def features(self, samples):
            self.seen += len(samples)
            return super().features(samples)

    def rows_of(train):
        for row in range(len(train)):
            yield {name: tensor[row] for name, tensor in train.rows().items()}

    extractor, train = Counting(), split(60, seed=1)
    stream = StreamSplit(lambda epoch: rows_of(train))
    evaluation = bench(Drawn(), split(20), stream if streamed else train)
    Memorised(extractor=extractor, training=60 if streamed else 1000)(evaluation)
    assert extractor.seen == 20 + 20 + 60


def test_the_nearest_training_rows_of_the_samples_that_come_nearest_are_shown():
    heldout, train = split(20), split(60, seed=1)
    samples = prepared(split(20, seed=2).rows()["x"])
    samples[[3, 7]] = prepared(train.rows()["x"][[41, 12]]) + torch.tensor([0.001, 0]).view(2, 1, 1, 1)
    evaluation, metric = bench(Again(samples), heldout, train), Memorised(extractor=Pixels())
    metric(evaluation)
    sheet = metric.sheets(evaluation)["nearest_training_rows"]
    assert torch.equal(sheet["sample"][:2], samples[[7, 3]])
    assert torch.equal(sheet["nearest training row"][:2], prepared(train.rows()["x"][[12, 41]]))


def test_samples_are_functions_of_the_seed_whatever_noise_they_are_made_of():
    class Torchs(nn.Module):
        def sample(self, n, condition=None):
            return torch.randn(n, 1, 2, 2)

    torch.manual_seed(9)
    drawn, state = bench(Torchs(), split(40)).samples(9), torch.get_rng_state()
    torch.manual_seed(9)
    assert state.equal(torch.get_rng_state())
    torch.manual_seed(10)
    assert drawn.equal(bench(Torchs(), split(40)).samples(9))


class Mirrored:
    """Rows that are mirrored, all of them, as augmentation does; ``plain`` are the rows themselves."""

    def __init__(self, plain):
        self.plain = plain

    def __len__(self):
        return len(self.plain)

    def batch(self, *place, **options):
        batch = self.plain.batch(*place, **options)
        return batch | {"x": batch["x"].flip(-1)}


@pytest.mark.parametrize("augmented", [False, True])
def test_augmented_training_rows_do_not_hide_copies_nor_change_the_floor(augmented):
    heldout, train = split(40), split(100, seed=1)
    data = Mirrored(train) if augmented else train
    copies = Again(prepared(train.rows()["x"]))
    assert Memorised(samples=40, extractor=Pixels())(bench(copies, heldout, data))["memorised_pixels"].value == 1.0
    metrics = [KID(extractor=Pixels()), ReverseLabelAccuracy(samples=60, extractor=Centroids())]
    floors = [evaluate(metrics, bench(copies, heldout, split)) for split in (train, data)]
    assert floors[0] == floors[1]


def test_copies_are_seen_where_held_out_rows_have_copies_too():
    train, heldout = split(300, seed=1), split(200)
    heldout.rows()["x"][:6] = train.rows()["x"][:6]
    figures = Memorised(extractor=Pixels())(bench(Again(prepared(train.rows()["x"])), heldout, train))
    assert figures["memorised_pixels"].value == 1
    assert figures["memorised_pixels"].real == pytest.approx(0.03)


def test_held_out_rows_that_are_trained_on_leave_no_measure():
    rows = split(20)
    evaluation = bench(Drawn(), rows, rows)
    assert not math.isfinite(Memorised(extractor=Pixels())(evaluation)["nearest_training_pixels"].value)
    assert "most held-out rows are copies of training rows, which leaves no measure" in evaluation.warnings[0]


class Obedient(nn.Module):
    """Images of the labels that are asked for, but ``wrong`` of the labels, which it takes for the one above."""

    def __init__(self, *wrong):
        super().__init__()
        self.wrong = wrong

    def sample(self, n, condition=None):
        label = condition["label"]
        shown = torch.where(torch.isin(label, torch.tensor(self.wrong, dtype=int)), (label + 1) % 3, label)
        return pictures(shown) / 127.5 - 1


@pytest.mark.parametrize("batch_size", [7, 500])
def test_label_accuracy_is_the_share_that_carries_the_label_it_was_asked_for(batch_size):
    heldout = split(30)
    asked = TensorSplit(**heldout.rows()).batch(0, range(20), 20, seed=0, device="cpu")["label"]
    for wrong in ((), (1,), (0, 1, 2)):
        figures = LabelAccuracy(samples=20, extractor=Pixels())(bench(Obedient(*wrong), heldout, batch_size=batch_size))
        right = sum(label not in wrong for label in asked.tolist()) / 20
        assert figures["label_accuracy"] == Figure(pytest.approx(right), pytest.approx(0.8), "high")


def test_label_coverage_is_the_effective_share_of_labels_that_are_seen():
    heldout = spelled(10, 10, 20)
    figures = LabelAccuracy(samples=40, extractor=Pixels())(bench(Obedient(0), heldout))
    # Asked for 10, 10, 20 of each label, it takes the first for the second: 0, 20, 20.
    assert figures["label_coverage"].value == pytest.approx(2 / 3)
    assert figures["label_coverage"].real == pytest.approx(2**1.5 / 3)  # 1/4, 1/4, 1/2: one bit and a half


def test_label_accuracy_needs_labels_and_a_classifier():
    unlabelled = bench(Drawn(), TensorSplit(x=split(30).rows()["x"]))
    with pytest.raises(UsageError, match="needs data with labels"):
        LabelAccuracy(extractor=Pixels()).check(unlabelled)
    extractor = SimpleNamespace(name="points", key="points", check=id, fit=print, features=print)
    with pytest.raises(UsageError, match="extractor 'points' does not classify"):
        LabelAccuracy(extractor=extractor).check(bench(Obedient(), split(30)))


def test_where_prompts_are_no_labels_the_description_of_the_data_has_them():
    game = bench(Obedient(), split(30))
    game.data.codec.prompts, game.data.codec.spec = list, SimpleNamespace(labels=("a", "b", "c"))
    game.data.sheet = lambda: [SheetRow("", 1, {"label": torch.tensor([0])})]
    assert LabelAccuracy(samples=30, extractor=Pixels())(game)["label_accuracy"].real == 0.8


def test_labels_of_another_world_are_refused():
    extractor = Pixels()
    extractor.logits = lambda samples: samples.flatten(1)
    with pytest.raises(UsageError, match="extractor 'pixels' knows 4 labels of its own, and not the 3 of these data"):
        LabelAccuracy(extractor=extractor)(bench(Obedient(), split(30)))


class Centroids(Pixels):
    """Learns the mean of each label, in place; tells labels by the nearest one."""

    def __init__(self):
        self.means = torch.zeros(3, 4)

    @property
    def digest(self):
        return digest({"means": self.means})

    def fit(self, data, device):
        batch = data.train.batch(0, range(len(data.train)), len(data.train), seed=0, device="cpu")
        rows = data.codec.samples_of(batch).flatten(1)
        self.means.copy_(torch.stack([rows[batch["label"] == label].mean(0) for label in range(3)]))

    def logits(self, samples):
        return -torch.cdist(samples.flatten(1), self.means)


def test_samples_teach_a_student_which_is_tested_on_held_out_rows():
    heldout, train = spelled(10, 10, 10), spelled(50, 50, 50)
    train.rows()["x"][:, 0, 1, 1] = 3  # reals and samples are not equal to the bit
    extractor = Centroids()
    for wrong, expected in (((), 1.0), ((0, 1, 2), 0.0)):
        evaluation = bench(Obedient(*wrong), heldout, train)
        metric = ReverseLabelAccuracy(samples=60, extractor=extractor)
        assert metric(evaluation) == {"reverse_label_accuracy": Figure(expected, 1.0, "high")}
        assert metric.protocol(evaluation)["training rows"] == 60
    batch = train.batch(0, range(150), 150, seed=0, device="cpu")
    rows = prepared(batch["x"]).flatten(1)
    for label in range(3):  # what it learned itself is what it still knows
        assert torch.allclose(extractor.means[label], rows[batch["label"] == label].mean(0))


def test_an_extractor_that_learns_nothing_teaches_nothing():
    with pytest.raises(UsageError, match="extractor 'pixels' learns nothing from the data"):
        ReverseLabelAccuracy(samples=30, extractor=Pixels())(bench(Obedient(), spelled(9, 9, 9), spelled(9, 9, 9)))


def test_tied_weights_have_a_digest():
    weight = torch.ones(2, 2)
    assert digest({"a": weight, "b": weight}) == digest({"a": weight.clone(), "b": weight.clone()})
    assert digest({"a": weight}) != digest({"b": weight}) != digest({"b": 2 * weight})


def naive_score(logits):
    given = np.exp(logits.double().numpy())
    given /= given.sum(1, keepdims=True)
    return math.exp((given * np.log(given / given.mean(0))).sum(1).mean())


def test_inception_score_is_one_to_the_number_of_labels():
    sure = 50 * torch.eye(3)
    assert inception_score(sure.repeat(5, 1)) == pytest.approx(3)
    assert inception_score(sure[:1].repeat(5, 1)) == pytest.approx(1)
    assert inception_score(torch.tensor([[0.0, -800.0]] * 2)) == pytest.approx(1)
    logits = torch.randn(50, 3, generator=torch.Generator().manual_seed(0))
    assert inception_score(logits) == pytest.approx(naive_score(logits), rel=1e-12)
    figures = InceptionScore(samples=30, extractor=Pixels())(bench(Drawn(), split(20), split(40)))
    assert figures["inception_score_pixels"].value == inception_score(Drawn().sample(500).flatten(1)[:20, :3])
    assert figures["inception_score_pixels"].real == pytest.approx(
        inception_score(prepared(split(20).rows()["x"]).flatten(1)[:, :3])
    )


def test_published_inception_scores_are_means_over_splits_of_as_many_samples_as_asked_for():
    metric = InceptionScore(samples=1200, splits=10, against="training", extractor=Pixels())
    evaluation = bench(Varied(), split(20), split(40))
    metric.check(evaluation)
    figures = metric(evaluation)
    logits = torch.cat(list(evaluation.samples_like_training(1200))).flatten(1)[:, :3]
    each = [naive_score(part) for part in logits.split(120)]
    score, spread = figures["inception_score_pixels"], figures["inception_score_deviation_pixels"]
    assert (score.value, spread.value) == (pytest.approx(np.mean(each)), pytest.approx(np.std(each)))
    assert score.real is None and metric.protocol(evaluation)["samples"] == 1200
    with pytest.raises(UsageError, match="needs at least 30"):
        InceptionScore(splits=30, extractor=Pixels()).check(bench(Varied(), split(20), split(40)))


class Varied(nn.Module):
    """Normal pixels, others in each batch, around the place of the label that is asked for."""

    def sample(self, n, condition=None):
        return prepared(pictures(condition["label"])) + noise.normal(n, 1, 2, 2)


def test_all_training_rows_are_compared_as_published_figures_are():
    """1,200 samples in three batches, on the labels of training rows; rows without any augmentation; no floor."""
    train = spelled(30, 20, 10)
    evaluation = bench(Varied(), split(20), Mirrored(train))
    samples = torch.cat(list(evaluation.samples_like_training(1200)))
    places = samples.flatten(1)[:, :3].argmax(1)
    asked = torch.cat([train.batch(it, range(500), 500, seed=0, device="cpu")["label"] for it in range(3)])[:1200]
    assert (places == asked).float().mean() > 0.7
    assert not torch.equal(samples[:200], samples[500:700])
    real = prepared(train.rows()["x"]).flatten(1)
    metrics = [it(samples=1200, against="training", extractor=Pixels()) for it in (Frechet, KID)]
    figures = evaluate(metrics, evaluation)
    assert figures["frechet_pixels"].value == frechet_distance(gaussian(real), gaussian(samples.flatten(1)))
    assert figures["kid_pixels"] == Figure(kernel_distance(real, samples.flatten(1)), None, "low")
    assert metrics[0].protocol(evaluation) == {"samples": 1200, "training rows": 60, "extractor": "pixels"}


def test_of_a_stream_not_all_rows_can_be_compared():
    stream = StreamSplit(lambda epoch: iter([]))
    with pytest.raises(UsageError, match="compares all training rows, and those of a stream have no end"):
        Frechet(against="training", extractor=Pixels()).check(bench(Drawn(), split(20), stream))
    with pytest.raises(UsageError, match="compares 1 rows, and needs at least 2"):
        KID(samples=1, against="training", extractor=Pixels()).check(bench(Drawn(), split(20), split(40)))


class Others(Pixels):
    digest = "1"


class Unseen(Pixels):
    def features(self, samples):
        assert len(samples) != 40, "training rows are not looked at again"
        return super().features(samples)


def kept(path, extractor=None, **options):
    return Frechet(samples=100, extractor=extractor or Pixels(), statistics=path, **{"against": "training"} | options)


def test_statistics_are_written_once_and_read_from_then_on(tmp_path):
    path = tmp_path / "digits.safetensors"
    plain, *others = (bench(Drawn(), split(20), split(40)) for _ in range(3))
    expected = Frechet(samples=100, against="training", extractor=Pixels())(plain)
    for extractor, evaluation in zip((Pixels(), Unseen()), others, strict=True):
        metric = kept(path, extractor)
        metric.check(evaluation)
        assert metric(evaluation) == expected
    tensors = load_file(path)
    mean, covariance = gaussian(prepared(split(40).rows()["x"]).flatten(1))
    assert torch.equal(tensors["mean"], mean) and torch.equal(tensors["covariance"], covariance)


def test_statistics_of_others_are_refused_before_any_training(tmp_path):
    path, evaluation = tmp_path / "digits.safetensors", bench(Drawn(), split(20), split(40))
    kept(path)(evaluation)
    one_off = split(40).rows()
    one_off["x"][7, 0, 1, 1] ^= 1
    for metric, data, words in (
        (kept(path, Others()), split(40), "of an extractor of the same name that has other weights (0, and not 1)"),
        (kept(path), split(41), "of 40 training rows, and these data have 41"),
        (kept(path), TensorSplit(**one_off), "of other training rows"),
    ):
        with pytest.raises(UsageError, match=f"digits.safetensors has statistics {re.escape(words)}"):
            metric.check(bench(Drawn(), split(20), data))
    named = type("Named", (Pixels,), {"name": "named", "key": "named"})
    with pytest.raises(UsageError, match="of extractor 'pixels', and not of 'named'; name another file"):
        kept(path, named()).check(evaluation)


@pytest.mark.parametrize("content", [b"", b"\x80\x04pickle", None])
def test_what_holds_no_statistics_is_refused(content, tmp_path):
    path, evaluation = tmp_path / "x.safetensors", bench(Drawn(), split(20), split(40))
    if content is None:
        kept(path)(evaluation)
        with safe_open(path, "pt") as file:
            about = file.metadata()
        save_file({"mean": torch.zeros(4).double(), "covariance": torch.zeros(4, 3).double()}, path, about)
    else:
        path.write_bytes(content)
    with pytest.raises(UsageError, match="holds no statistics: "):
        kept(path).check(evaluation)
    with pytest.raises(UsageError, match="to write statistics to"):
        kept(tmp_path / "nowhere" / "x").check(evaluation)
    with pytest.raises(UsageError, match="statistics are those of all training rows, and held-out ones are compared"):
        kept(tmp_path / "y", against="held_out").check(evaluation)


class Walking(Varied):
    """Straight ways to a corner, of lengths that are known; or ways that jump, half way."""

    jumps = False

    def interpolate(self, rows, n, condition=None):
        ends = noise.normal(rows, 1, 1, 2, 2)
        self.ends = [*getattr(self, "ends", []), *ends.flatten(1)]
        fraction = torch.linspace(0, 1, n)[:, None, None, None]
        return (ends * (fraction.round() if self.jumps else fraction)).flatten(0, 1)


def test_path_lengths_are_squared_speeds_without_the_extremes():
    walking, metric = Walking(), PathLength(samples=120, steps=9, extractor=Pixels())
    evaluation = bench(walking, split(20), split(40), batch_size=55)
    evaluation._sampler = walking
    walking.networks = ("generator",)
    metric.check(evaluation)
    figure = metric(evaluation)["path_length_pixels"]
    squares = np.sort([float(end.double().square().sum()) for end in walking.ends]).repeat(9)
    assert figure.value == pytest.approx(squares[10:-10].mean(), rel=1e-5) and figure.good == "low"
    assert len(walking.ends) == 120 and metric.protocol(evaluation)["samples"] == 120
    walking.jumps = True  # one step of nine is the whole way
    assert metric(evaluation)["path_length_pixels"].value > 5 * figure.value
    with pytest.raises(UsageError, match="needs a generator that interpolates"):
        metric.check(bench(Drawn(), split(20), split(40)))


def test_the_divergence_frontier_is_that_of_the_features():
    heldout, train = split(200), split(400, seed=1)
    figures = DivergenceFrontier(extractor=Pixels())(bench(Drawn(), heldout, train))
    real = prepared(heldout.batch(0, range(200), 200, seed=0, device="cpu")["x"]).flatten(1)
    assert figures["divergence_frontier_pixels"].value == frontier_score(real, Drawn().sample(500)[:200].flatten(1))
    assert figures["divergence_frontier_pixels"].value < 0.1 < 0.5 < figures["divergence_frontier_pixels"].real


def test_data_bring_an_extractor_along_that_metrics_share_by_its_key():
    heldout, train = split(40), split(100, seed=1)
    evaluation = bench(Drawn(), heldout, train)
    evaluation.data.codec.extractor = Pixels
    metrics = [Frechet(), KID()]
    for metric in metrics:
        metric.check(evaluation)
    figures = evaluate(metrics, evaluation)
    alone = Frechet(extractor=Pixels())(bench(Drawn(), heldout, train))
    assert figures["frechet_pixels"] == alone["frechet_pixels"]
    assert evaluation.extractors == {"pixels": "0"}
    protocol = {"samples": 40, "held-out rows": 40, "extractor": "pixels"}
    assert [metric.protocol(evaluation) for metric in metrics] == [protocol, protocol]


def test_an_extractor_learns_the_same_whatever_the_number_of_threads():
    used = []

    class Learning(Pixels):
        def fit(self, data, device):
            used.append(torch.get_num_threads())

    before = torch.get_num_threads()
    for threads in (1, 2):
        torch.set_num_threads(threads)
        bench(Drawn(), split(40)).fitted(Learning())
        assert torch.get_num_threads() == threads
    torch.set_num_threads(before)
    assert used == [1, 1]


def test_a_codec_that_cannot_compare_is_refused():
    evaluation = bench(Drawn(), split(40))
    evaluation.data.codec = SimpleNamespace()
    with pytest.raises(UsageError, match="SimpleNamespace lacks samples_of, batch_of, extractor"):
        Frechet(extractor=Pixels()).check(evaluation)


def test_too_few_samples_come_with_a_warning_that_says_how_many_are_wanted():
    evaluation = bench(Drawn(), split(40), split(40, seed=1))
    for _ in range(2):
        Frechet(samples=4, extractor=Pixels())(evaluation)
    [warning] = evaluation.warnings
    assert warning.partition("coarse: ")[2] == (
        "it compares 4 samples in the 4 features of 'pixels' and wants 5; raise samples of the metric, or heldout of "
        "the data"
    )
    enough = bench(Drawn(), split(40), split(40, seed=1))
    Frechet(samples=5, extractor=Pixels())(enough)
    assert enough.warnings == []


@pytest.mark.parametrize("metric", [Frechet, KID, PRDC, NearestNeighbour, InceptionScore, LabelAccuracy, Memorised])
def test_every_metric_warns_once_where_rows_are_few(metric):
    def said(rows, **options):
        evaluation = bench(Drawn(), split(rows), split(60, seed=1))
        evaluate([metric(extractor=Pixels(), **options), metric(extractor=Pixels(), **options)], evaluation)
        return [warning for warning in evaluation.warnings if "two metrics report" not in warning]

    [warning] = said(20)
    assert " is coarse: it looks at " in warning
    assert "20 held-out rows, and wants 50" in warning and warning.endswith("; hold out more rows")
    [warning] = said(60, samples=30)
    assert "it looks at 30 samples" in warning and warning.endswith("; raise samples of the metric")
    assert said(60) == []


def test_metrics_that_look_at_few_rows_are_told_of_together():
    class One(LabelAccuracy):
        pass

    class Other(InceptionScore):
        pass

    evaluation = bench(Drawn(), split(1), split(60, seed=1))
    evaluate([One(samples=30, extractor=Pixels()), Other(extractor=Pixels())], evaluation)
    names = "metrics " + ", ".join(it.__qualname__ for it in (One, Other))
    assert evaluation.warnings == [
        f"{names} are coarse: they look at as few as 1 sample and 1 held-out row, and "
        "want 50 of each; raise samples of the metric and hold out more rows"
    ]


def test_at_each_setting_that_is_tried_there_are_as_few_rows_which_is_not_said_again():
    class Metric:
        def __call__(self, evaluation):
            return {"one": 1.0}

        def protocol(self, evaluation):
            return {"training rows": 3, "extractor": "eye"}

    evaluation = bench(Drawn(), split(60))
    for context, warnings in ((evaluation, 1), (evaluation.sampled(0, {"temperature": 0.5}), 0)):
        evaluate([Metric()], context)
        assert len(context.warnings) == warnings
    assert evaluation.warnings[0].endswith("is coarse: it looks at 3 training rows, and wants 50; take more data")


def test_a_metric_that_has_said_itself_that_it_is_coarse_is_not_told_of_again():
    evaluation = bench(Drawn(), split(40), split(40, seed=1))
    evaluate([Frechet(samples=4, extractor=Pixels())], evaluation)
    [warning] = evaluation.warnings
    assert "wants 5" in warning


def test_a_metric_that_cannot_be_taken_costs_no_run():
    def refuses(evaluation):
        raise UsageError("these samples have no measure")

    evaluation = bench(Drawn(), split(40))
    assert evaluate([refuses, lambda evaluation: {"good": 1.0}], evaluation) == {"good": Figure(1.0)}
    assert evaluation.warnings == ["these samples have no measure"]


def test_a_figure_that_is_not_finite_is_warned_of():
    evaluation = bench(Drawn(), split(40))
    assert math.isnan(evaluate([lambda evaluation: {"good": math.nan}], evaluation)["good"].value)
    assert evaluation.warnings == ["good is nan: it says nothing of these samples"]


def test_real_data_are_looked_at_again_for_other_data_or_another_seed():
    metric, looks = Frechet(extractor=Pixels()), []
    metric.compare = lambda real, generated: looks.append(len(looks)) or {"frechet": 0.0}
    heldout, train = split(40), split(100, seed=1)
    first, other = bench(Drawn(), heldout, train), bench(Drawn(), heldout, train)
    again = bench(Drawn(), heldout, train)
    again.data = first.data
    for evaluation, looked in ((first, 2), (again, 3), (other, 5)):
        metric(evaluation)
        assert len(looks) == looked
    again.data, again.seed = other.data, 7
    metric(again)
    assert len(looks) == 7
