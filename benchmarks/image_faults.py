"""Which metric sees which fault: held-out digits, made faulty on purpose, in the place of samples.

    python benchmarks/image_faults.py [SEEDS]

Of image/digits 1,000 are held out: 500 to compare with, 500 others to be made faulty, 50 of each digit in both. The
extractor is image/classifier, fitted to the 4,000 that are left. Prints a table in Markdown: a row for each fault, one
of standard deviations where there is none, and one for the floor, which is training images. Figures are means over
seeds 0 to SEEDS - 1 (5), each of which has a split, an extractor and faults of its own.
"""

import statistics
import sys
from collections.abc import Callable
from types import SimpleNamespace

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d

from gangen.contracts import Batch, Data
from gangen.metrics.comparison import CMMD, KID, MIND, PRDC, DivergenceFrontier, Frechet, IntraFrechet, NearestNeighbour
from gangen.metrics.context import MetricContext, evaluate
from gangen.metrics.labels import InceptionScore, LabelAccuracy, ReverseLabelAccuracy
from gangen.metrics.memorised import Memorised
from gangen.splits import TensorSplit
from gangen_image.data.digits import Digits
from gangen_image.extractors.classifier import Classifier

COUNT, PER_LABEL = 500, 50
METRICS = (
    Frechet,
    IntraFrechet,
    KID,
    CMMD,
    MIND,
    PRDC,
    DivergenceFrontier,
    NearestNeighbour,
    Memorised,
    LabelAccuracy,
    ReverseLabelAccuracy,
    InceptionScore,
)
COLUMNS = {
    "Fréchet": ("frechet_classifier", 1),
    "within labels": ("intra_frechet_classifier", 1),
    "KID": ("kid_classifier", 3),
    "CMMD": ("cmmd_classifier", 4),
    "MIND": ("mind_classifier", 1),
    "precision": ("precision_classifier", 2),
    "recall": ("recall_classifier", 2),
    "density": ("density_classifier", 2),
    "coverage": ("coverage_classifier", 2),
    "divergence frontier": ("divergence_frontier_classifier", 2),
    "1-NN": ("nearest_neighbour_classifier", 2),
    "on real": ("nearest_neighbour_on_real_classifier", 2),
    "on fake": ("nearest_neighbour_on_fake_classifier", 2),
    "nearest training": ("nearest_training_classifier", 2),
    "memorised": ("memorised_classifier", 2),
    "label accuracy": ("label_accuracy", 2),
    "label coverage": ("label_coverage", 2),
    "reverse label accuracy": ("reverse_label_accuracy", 2),
    "inception score": ("inception_score_classifier", 2),
}
# An image float [n, 1, 32, 32] in [-1, 1] for each label asked for, int64 [n].
Images = Callable[[Tensor], Tensor]


class Stand(nn.Module):
    """A generator that shows ``images`` of the labels that it is asked for."""

    def __init__(self, images: Images) -> None:
        super().__init__()
        self.images = images

    def sample(self, n: int, condition: Batch | None = None) -> Tensor:
        return self.images(condition["label"])


def split(seed: int, generator: torch.Generator) -> tuple[Data, Images, Images]:
    """Digits with half of those held out, the other half as images by label, and training images by label."""
    digits = Digits(heldout=0.2, seed=seed)
    held, train = shuffled(digits.heldout, generator), shuffled(digits.train, generator)
    labels = held.rows()["label"]
    rows = [torch.nonzero(labels == label).flatten() for label in range(10)]
    halves = [torch.cat([of_label[part] for of_label in rows]) for part in (slice(PER_LABEL), slice(PER_LABEL, None))]
    kept, other = (TensorSplit(**{name: tensor[half] for name, tensor in held.rows().items()}) for half in halves)
    data = SimpleNamespace(codec=digits.codec, codec_class=digits.codec_class, train=train, heldout=kept)
    return data, by_label(data, other), by_label(data, train)


def shuffled(source: TensorSplit, generator: torch.Generator) -> TensorSplit:
    """Digits come in the order of who wrote them."""
    order = torch.randperm(len(source), generator=generator)
    return TensorSplit(**{name: tensor[order] for name, tensor in source.rows().items()})


def by_label(data: Data, source: TensorSplit) -> Images:
    """The images of ``source``, each label's in their order and from the first again where more are asked for."""
    images, labels = data.codec.spec.prepare(source.rows()["image"]), source.rows()["label"]

    def show(asked: Tensor) -> Tensor:
        shown = torch.empty(len(asked), *images.shape[1:])
        for label in asked.unique():
            rows, places = images[labels == label], torch.nonzero(asked == label).flatten()
            shown[places] = rows[torch.arange(len(places)) % len(rows)]
        return shown

    return show


def faults(clean: Images, training: Images, generator: torch.Generator) -> dict[str, Images]:
    def noisy(asked: Tensor) -> Tensor:
        images = clean(asked)
        return images + 0.3 * torch.randn(images.shape, generator=generator)

    def repeated(asked: Tensor) -> Tensor:
        first = clean(torch.arange(10))
        return first[asked]

    def without_nines(asked: Tensor) -> Tensor:
        others = torch.randint(9, asked.shape, generator=generator)
        return clean(torch.where(asked == 9, others, asked))

    return {
        "none": clean,
        "noise (sd 0.3)": noisy,
        "blur (3 x 3 mean)": lambda asked: avg_pool2d(clean(asked), 3, stride=1, padding=1, count_include_pad=False),
        "10 images, repeated": repeated,
        "no nines": without_nines,
        "labels shuffled": lambda asked: clean(asked[torch.randperm(len(asked), generator=generator)]),
        "copies of training images": training,
    }


def measured(seed: int) -> dict[str, dict[str, float]]:
    """Figures by fault."""
    generator = torch.Generator().manual_seed(seed)
    data, clean, training = split(seed, generator)
    extractor = Classifier(seed=seed)
    metrics = [metric(samples=COUNT, extractor=extractor) for metric in METRICS]
    rows = {}
    for name, images in faults(clean, training, generator).items():
        players = SimpleNamespace(averaged=lambda _, images=images: Stand(images))
        figures = evaluate(metrics, MetricContext(players, data, device=torch.device("cpu"), seed=seed))
        rows[name] = {key: figure.value for key, figure in figures.items()}
        if name == "none":
            real = {key: figure.real for key, figure in figures.items() if figure.real is not None}
    return rows | {"floor: training images": real}


def print_row(name: str, figures: dict[str, float]) -> None:
    shown = [f"{figures[key]:.{digits}f}" if key in figures else "" for key, digits in COLUMNS.values()]
    print(f"| {name} | {' | '.join(shown)} |")


def main(seeds: int) -> None:
    torch.set_num_threads(1)
    runs = [measured(seed) for seed in range(seeds)]
    print(f"| fault | {' | '.join(COLUMNS)} |\n|---|{'---:|' * len(COLUMNS)}")
    for name, figures in runs[0].items():
        print_row(name, {key: statistics.fmean(run[name][key] for run in runs) for key in figures})
        if name == "none" and seeds > 1:
            deviations = {key: statistics.stdev(run[name][key] for run in runs) for key in figures}
            print_row("none, standard deviation", deviations)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
