"""Generated images beside held-out ones in the features of an extractor, and training images in their place."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from gangen.contracts import Batch, Data, Extractor, Split
from gangen.errors import UsageError
from gangen.evaluation import Evaluation
from gangen.splits import TensorSplit

Compare = Callable[[Tensor, Tensor], Mapping[str, float]]


class Comparison:
    """What metrics have in common that compare generated images with held-out ones.

    ``compare(real, generated)`` gives figures by name for features float ``[n, F]`` each, n being ``samples``, or the
    number of held-out images where they are fewer. A figure's name gets that of the extractor, "kid_classifier", and
    "kid_classifier_real" is its floor: what training images reach in the place of generated ones. Generators are asked
    for exactly the labels of held-out images, so the floor has as many training images of each label as well, where
    data are labelled and in memory and have enough of them; else training images come as they are drawn. Real images
    are read once a run. Features are computed once for all metrics with the same extractor and n.

    Most figures depend on n: they compare only at the same n, with the same extractor and data. The floor is not sharp
    where the extractor was fitted to training images, which then look a little other than held-out ones.
    """

    def __init__(self, metric: str, extractor: Extractor, samples: int, least: int = 2) -> None:
        self.metric = metric
        self.extractor = extractor
        self.samples = samples
        self.least = least
        self._real: tuple[Data, Tensor, dict[str, float]] | None = None

    def check(self, evaluation: Evaluation) -> None:
        """Raises UsageError for fewer images than ``least``, or data that the extractor has no use for."""
        count = self.count(evaluation)
        if count < self.least:
            raise UsageError(
                f"metric {self.metric} compares {count} held-out images with as many samples, and needs at least "
                f"{self.least}; raise heldout of the data, or samples of the metric"
            )
        self.extractor.check(evaluation.data)

    def count(self, evaluation: Evaluation) -> int:
        """How many images are on each side."""
        return min(self.samples, len(evaluation.data.heldout))

    def figures(self, evaluation: Evaluation, compare: Compare) -> dict[str, float]:
        """Figures of generated images, and their floor beside."""
        extractor, n = evaluation.fitted(self.extractor), self.count(evaluation)
        # Real images stay what they are during a run, and going back to the first ones of a stream is slow.
        if self._real is None or self._real[0] is not evaluation.data:
            held_out = held_out_features(evaluation, extractor, n)
            floor = compare(held_out, _training_features(evaluation, extractor, n))
            self._real = evaluation.data, held_out, _named(floor, f"{extractor.name}_real")
        _, held_out, floor = self._real
        return _named(compare(held_out, generated_features(evaluation, extractor, n)), extractor.name) | floor


def generated_features(evaluation: Evaluation, extractor: Extractor, n: int) -> Tensor:
    """Features float ``[n, F]`` of ``n`` samples."""
    return evaluation.once((extractor.key, "generated", n), lambda: extractor.features(evaluation.samples(n)))


def held_out_features(evaluation: Evaluation, extractor: Extractor, n: int) -> Tensor:
    """Features float ``[n, F]`` of the held-out images whose labels the ``n`` samples were asked for, in order."""

    def look() -> Tensor:
        return extractor.features(evaluation.data.codec.spec.prepare(_held_out(evaluation, n)["image"]))

    return evaluation.once((extractor.key, "held out", n), look)


def _training_features(evaluation: Evaluation, extractor: Extractor, n: int) -> Tensor:
    def look() -> Tensor:
        images = _like(_held_out(evaluation, n), evaluation.data.train, evaluation.seed)
        return extractor.features(evaluation.data.codec.spec.prepare(images.to(evaluation.device)))

    return evaluation.once((extractor.key, "training", n), look)


def _held_out(evaluation: Evaluation, n: int) -> Batch:
    return evaluation.data.heldout.batch(0, range(n), n, seed=evaluation.seed, device=evaluation.device)


def _like(held_out: Batch, train: Split, seed: int) -> Tensor:
    """As many training images as ``held_out`` has, and as many of each label where that can be had."""
    n = len(held_out["image"])
    if isinstance(train, TensorSplit) and "label" in train.tensors and "label" in held_out:
        labels = train.tensors["label"].cpu()
        order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))
        wanted = zip(*held_out["label"].cpu().unique(return_counts=True), strict=True)
        rows = torch.cat([order[labels[order] == label][:count] for label, count in wanted])
        if len(rows) == n:
            return train.tensors["image"][rows]
    return train.batch(0, range(n), n, seed=seed, device="cpu")["image"]


def _named(figures: Mapping[str, float], suffix: str) -> dict[str, float]:
    return {f"{name}_{suffix}": value for name, value in figures.items()}
