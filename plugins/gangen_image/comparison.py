"""Metrics that compare generated images with held-out ones in the features of an extractor."""

from collections.abc import Callable, Mapping
from typing import Annotated, Any, ClassVar

import torch
from annotated_types import Ge
from torch import Tensor

from gangen.contracts import Batch, Data, Extractor, Split
from gangen.distances import frechet_distance, gaussian, kernel_distance
from gangen.errors import UsageError
from gangen.evaluation import Evaluation
from gangen.neighbours import nearest_neighbour_test, overlap
from gangen.options import Part
from gangen.splits import TensorSplit


class AgainstHeldOut:
    """What metrics have in common that look at generated and held-out images in the features of an extractor."""

    metric: ClassVar[str]
    least = 2

    def __init__(
        self,
        *,
        samples: Annotated[int, Ge(2)] = 1000,
        extractor: Annotated[Any, Part("extractors")] = "image/classifier",
    ) -> None:
        self.samples = samples
        self.extractor = extractor

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


class Comparison(AgainstHeldOut):
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

    compare: Callable[[Tensor, Tensor], Mapping[str, float]]
    _real: tuple[Data, Tensor, dict[str, float]] | None = None

    def __call__(self, evaluation: Evaluation) -> dict[str, float]:
        extractor, n = evaluation.fitted(self.extractor), self.count(evaluation)
        # Real images stay what they are during a run, and going back to the first ones of a stream is slow.
        if self._real is None or self._real[0] is not evaluation.data:
            held_out = held_out_features(evaluation, extractor, n)
            floor = self.compare(held_out, _training_features(evaluation, extractor, n))
            self._real = evaluation.data, held_out, _named(floor, f"{extractor.name}_real")
        _, held_out, floor = self._real
        return _named(self.compare(held_out, generated_features(evaluation, extractor, n)), extractor.name) | floor


class Frechet(Comparison):
    """Frechet distance of Gaussians fitted to features (Heusel et al., 2017); FID where features are Inception's.

    ``frechet_NAME``, NAME being the extractor's, compares n generated images with n held-out ones: n is ``samples``, or
    the number of held-out images where they are fewer. ``frechet_NAME_real`` is its floor, n training images instead,
    as many of each label where data are labelled and in memory (see ``Comparison``). Both fall as n grows.

    With n at or below the number of features the covariances have not full rank: figures are finite, and coarse.

    Raises:
        UsageError: there is but one held-out image, or the extractor has no use for the data.
    """

    metric = "image/frechet"

    def compare(self, real: Tensor, generated: Tensor) -> dict[str, float]:
        return {"frechet": frechet_distance(gaussian(real), gaussian(generated))}


class KID(Comparison):
    """Squared maximum mean discrepancy of features, unbiased (Binkowski et al., 2018); KID where they are Inception's.

    ``kid_NAME``, NAME being the extractor's, compares n generated images with n held-out ones: n is ``samples``, or the
    number of held-out images where they are fewer. ``kid_NAME_real`` is its floor, n training images instead (see
    ``Comparison``). Its expectation does not depend on n, and is 0 for two draws from one distribution. It is
    below 0 where both sides have the same number of each label, more alike than by chance: look at the floor.

    Raises:
        UsageError: there is but one held-out image, or the extractor has no use for the data.
    """

    metric = "image/kid"

    def compare(self, real: Tensor, generated: Tensor) -> dict[str, float]:
        return {"kid": kernel_distance(real, generated)}


class PRDC(Comparison):
    """Improved precision and recall (Kynkaanniemi et al., 2019), density and coverage (Naeem et al., 2020).

    ``precision_NAME`` and ``density_NAME``, NAME being the extractor's, say how much of what is generated looks real;
    ``recall_NAME`` and ``coverage_NAME`` how much of what is real is generated. n generated images are compared with n
    held-out ones by balls that reach to the k-th nearest neighbour: n is ``samples``, or the number of held-out images
    where they are fewer, and k is ``neighbours``. ``precision_NAME_real`` and so on are those of n training images
    instead (see ``Comparison``). For generators as good as that, density is about 1, which it can exceed, and coverage
    1 - 1 / 2^k.

    Raises:
        UsageError: there are k held-out images or fewer, or the extractor has no use for the data.
    """

    metric = "image/prdc"

    def __init__(
        self,
        *,
        samples: Annotated[int, Ge(2)] = 1000,
        neighbours: Annotated[int, Ge(1)] = 5,
        extractor: Annotated[Any, Part("extractors")] = "image/classifier",
    ) -> None:
        super().__init__(samples=samples, extractor=extractor)
        self.neighbours = neighbours
        self.least = neighbours + 1

    def compare(self, real: Tensor, generated: Tensor) -> dict[str, float]:
        return overlap(real, generated, k=self.neighbours)._asdict()


class NearestNeighbour(Comparison):
    """Accuracy of the nearest neighbour at telling real from generated (Lopez-Paz and Oquab, 2017; Xu et al., 2018).

    ``nearest_neighbour_NAME``, NAME being the extractor's, is one half where n generated images cannot be told from n
    held-out ones, and 1 where they always can: n is ``samples``, or the number of held-out images where they are fewer.
    ``nearest_neighbour_on_real_NAME`` and ``nearest_neighbour_on_fake_NAME`` are the accuracies on each side: samples
    of few kinds are nearest to one another, which is a low figure on real images beside a high one on fakes. With
    ``_real`` at the end the names are the floor, n training images instead (see ``Comparison``).

    Raises:
        UsageError: there is but one held-out image, or the extractor has no use for the data.
    """

    metric = "image/nearest_neighbour"

    def compare(self, real: Tensor, generated: Tensor) -> dict[str, float]:
        accuracy, on_real, on_fake = nearest_neighbour_test(real, generated)
        return {
            "nearest_neighbour": accuracy,
            "nearest_neighbour_on_real": on_real,
            "nearest_neighbour_on_fake": on_fake,
        }


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
