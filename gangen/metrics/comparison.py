"""Metrics that compare samples with held-out rows, both as features of an extractor."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, cast

import torch
from annotated_types import Ge
from torch import Tensor

from gangen.components.registry import name_of
from gangen.contracts import HeldOut
from gangen.errors import UsageError
from gangen.metrics import statistics
from gangen.metrics.context import MetricContext, once_a_run
from gangen.metrics.distances import (
    Gaussian,
    frechet_distance,
    gaussian,
    gaussian_kernel_distance,
    kernel_distance,
    sliced_distance,
)
from gangen.metrics.divergence import frontier_score
from gangen.metrics.extraction import (
    AgainstReal,
    training_features,
    training_rows_like,
)
from gangen.metrics.figures import Figure, Good
from gangen.metrics.neighbours import nearest_neighbour_test, overlap


class Comparison(AgainstReal, ABC):
    """What metrics have in common that compare the features of samples with those of real rows.

    A figure's name gets that of the extractor, "kid_classifier". Beside it stands its floor: what training rows reach
    in the place of samples. Generators are asked for exactly the labels of held-out rows, so the floor has
    as many training rows of each label as well, where data are labelled and in memory and have enough of them; else
    training rows come as they are drawn. Real rows are read once a run. Features are computed once for all metrics with
    the same extractor and n, which is ``samples``, or the number of held-out rows where they are fewer.

    Most figures depend on n: they compare only at the same n, with the same extractor and data. The floor is not sharp
    where the extractor was fitted to training rows, which then look a little other than held-out ones.
    """

    good: ClassVar[Good]
    """Where its figures are good; see ``gangen.Figure``."""

    @abstractmethod
    def compare(self, real: Any, generated: Tensor) -> Mapping[str, float]:
        """Figures by name for what ``reference`` gives, and for features float ``[n, F]``."""

    def reference(self, context: MetricContext) -> Any:
        """What samples are compared with: features float ``[m, F]`` of real rows."""
        return self.real_features(context)

    def wanted(self, features: int) -> int:
        """How many rows a figure needs lest it be degenerate; with fewer it comes with a warning."""
        return self.least

    def __call__(self, context: MetricContext) -> dict[str, Figure]:
        extractor, n = self.fitted_extractor(context), self.count(context)
        (real, floor), generated = self._real(context), self.features(context)
        if n < (wanted := self.wanted(generated.shape[1])):
            context.warn(
                f"{name_of(self)} is coarse: it compares {n} samples in the {generated.shape[1]} features of "
                f"'{extractor.name}' and wants {wanted}; raise samples of the metric, or heldout of the data"
            )
        found = self.compare(real, generated)
        good = None if self.good == "real" and not floor else self.good
        return {f"{name}_{extractor.name}": Figure(value, floor.get(name), good) for name, value in found.items()}

    @once_a_run
    def _real(self, context: MetricContext) -> tuple[Any, Mapping[str, float]]:
        """What samples are compared with, and the floor."""
        real = self.reference(context)
        if self.against == "training":
            return real, {}
        extractor, n = self.fitted_extractor(context), self.count(context)
        return real, self.compare(real, training_features(context, extractor, n))


class Frechet(Comparison):
    """Frechet distance of Gaussians fitted to features (Heusel et al., 2017); FID where features are Inception's.

    ``frechet_NAME``, NAME being the extractor's, and its floor, see ``Comparison``. Both fall as n grows. With n at or
    below the number of features the covariances have not full rank: figures are finite, and come with a warning.

    ``statistics`` is a file of safetensors that keeps mean and covariance of all training rows, where samples are
    compared with these. The first run writes it; later ones need not look through the extractor at the rows again, and
    refuse statistics of another extractor, of other weights, or of other rows.
    """

    good = "low"

    def __init__(self, *, statistics: Path | None = None, **options: Any) -> None:
        super().__init__(**options)
        self.statistics = statistics

    def check(self, context: MetricContext) -> None:
        """Raises UsageError where ``Comparison.check`` does, and for statistics that cannot be read or written."""
        super().check(context)
        if self.statistics is None:
            return
        if self.against != "training":
            raise UsageError(
                f"{name_of(self)}: statistics are those of all training rows, and held-out ones are compared; "
                "set against: training, or leave statistics out"
            )
        if self.statistics.exists():
            self.reference(context)
        elif not self.statistics.parent.is_dir():
            raise UsageError(f"{name_of(self)}: there is no folder {self.statistics.parent} to write statistics to")

    def wanted(self, features: int) -> int:
        """See Comparison."""
        return features + 1

    @once_a_run
    def reference(self, context: MetricContext) -> Gaussian:
        """The Gaussian of real rows, from the file of statistics or into it."""
        if self.statistics is None:
            return gaussian(self.real_features(context))
        rows = cast(HeldOut, context.training)
        belongs = statistics.whose(self.fitted_extractor(context), rows, context.data.codec)
        if self.statistics.exists():
            return statistics.read(self.statistics, belongs)
        found = gaussian(self.real_features(context))
        statistics.write(self.statistics, found, belongs)
        return found

    def compare(self, real: Gaussian, generated: Tensor) -> dict[str, float]:
        """See Comparison."""
        return {"frechet": frechet_distance(real, gaussian(generated))}


class KID(Comparison):
    """Squared maximum mean discrepancy of features, unbiased (Binkowski et al., 2018); KID where they are Inception's.

    ``kid_NAME``, NAME being the extractor's, and its floor, see ``Comparison``. Its expectation does
    not depend on n, and is 0 for two draws from one distribution. It is below 0 where both sides have the same number
    of each label, more alike than by chance: look at the floor.
    """

    good = "low"

    def compare(self, real: Tensor, generated: Tensor) -> dict[str, float]:
        """See Comparison."""
        return {"kid": kernel_distance(real, generated)}


class CMMD(Comparison):
    """1,000 times the squared maximum mean discrepancy under a Gaussian kernel (Jayasumana et al., 2024).

    ``cmmd_NAME``, NAME being the extractor's, and its floor, see ``Comparison``. Bandwidth (10) and scale are the
    published ones; features are brought to length 1, as CLIP's are, in whose embeddings it is CMMD. It makes no
    assumption on their distribution. Samples and real rows also of one distribution are a little above 0, less so as n
    grows.
    """

    good = "low"

    def compare(self, real: Tensor, generated: Tensor) -> dict[str, float]:
        """See Comparison."""
        return {"cmmd": gaussian_kernel_distance(real, generated)}


class MIND(Comparison):
    """Transport along ``directions`` random lines, which sorting finds; MIND where features are Inception's.

    ``mind_NAME``, NAME being the extractor's, and its floor, see ``Comparison``: 3 F times the mean of the squared
    distances W2 along lines through the F features (Berthet et al., 2026). It needs no covariance, takes far less time
    than ``frechet`` where features are many, sees more than two moments, and by the paper says with 5,000 samples what
    that says with 50,000. It falls as n grows.
    """

    good = "low"

    def __init__(self, *, directions: Annotated[int, Ge(1)] = 1000, **options: Any) -> None:
        super().__init__(**options)
        self.directions = directions

    def compare(self, real: Tensor, generated: Tensor) -> dict[str, float]:
        """See Comparison."""
        return {"mind": sliced_distance(real, generated, directions=self.directions)}


class IntraFrechet(AgainstReal):
    """The mean over labels of the Frechet distance among samples and rows of one label (Miyato and Koyama, 2018).

    ``intra_frechet_NAME``, NAME being the extractor's; intra FID where features are Inception's. Samples are asked for
    the labels of the real rows, each label counts alike, and beside held-out rows stands what training rows of the same
    labels reach, where there are enough of each. It sees labels that are mixed up, or that have few samples of their
    own. As of ``frechet``, a label wants more rows than there are features.

    Raises:
        UsageError: the data have no labels, or one of which fewer than 2 rows are compared.
    """

    def check(self, context: MetricContext) -> None:
        """Raises UsageError where ``AgainstReal.check`` does, and for lack of labels or rows of one."""
        if "label" not in context.conditions(1):
            raise UsageError(f"{name_of(self)} needs data with labels; take it out of the recipe")
        super().check(context)
        if (fewest := _fewest(*self._labels(context))) < 2:
            raise UsageError(
                f"{name_of(self)} compares {fewest} of the rarest label, and needs at least 2 of each; raise heldout "
                "of the data, or samples of the metric"
            )

    def __call__(self, context: MetricContext) -> dict[str, Figure]:
        extractor, generated = self.fitted_extractor(context), self.features(context)
        (real, labels, floor), asked = self._real(context), self._labels(context)[1]
        if (fewest := _fewest(labels, asked)) <= (features := generated.shape[1]):
            context.warn(
                f"{name_of(self)} is coarse: it compares as few as {fewest} samples of a label in the {features} "
                f"features of '{extractor.name}' and wants {features + 1}; raise samples of the metric, or heldout of "
                "the data"
            )
        found = _within_labels(real, labels, generated, asked)
        return {f"intra_frechet_{extractor.name}": Figure(found, floor, "low")}

    @once_a_run
    def _real(self, context: MetricContext) -> tuple[Tensor, Tensor, float | None]:
        """Features and labels of real rows, and the floor."""
        real, (labels, _), floor = self.real_features(context), self._labels(context), None
        if self.against == "held_out":
            n = self.count(context)
            others = training_rows_like(context, n)["label"].cpu()
            if torch.equal(others.bincount(), labels.bincount()):
                floor = _within_labels(
                    real, labels, training_features(context, self.fitted_extractor(context), n), others
                )
        return real, labels, floor

    def _labels(self, context: MetricContext) -> tuple[Tensor, Tensor]:
        """Those of real rows and of samples, int64 on the CPU."""
        n = self.count(context)
        if self.against == "held_out":
            asked = context.conditions(n)["label"].cpu()
            return asked, asked
        real = cast(HeldOut, context.training).rows()["label"]
        return real, torch.cat([it["label"].cpu() for it in context.training_conditions(n)])


def _fewest(real: Tensor, asked: Tensor) -> int:
    """How many rows the rarest of the labels of ``real`` has, on the side where there are fewer."""
    counts = [labels.bincount(minlength=int(real.max()) + 1) for labels in (real, asked)]
    return int(torch.minimum(counts[0], counts[1][: len(counts[0])])[real.unique()].min())


def _within_labels(real: Tensor, labels: Tensor, other: Tensor, others: Tensor) -> float:
    """The mean Frechet distance of rows of ``real`` and ``other`` that have one label, of each of ``labels``."""
    sides = [(real.cpu(), labels), (other.cpu(), others)]
    each = [[gaussian(rows[own == label]) for rows, own in sides] for label in labels.unique()]
    return sum(frechet_distance(*both) for both in each) / len(each)


class DivergenceFrontier(Comparison):
    """How much samples and real rows lack of each other, after MAUVE (Pillutla et al., 2021); 0 to 1, high is good.

    ``divergence_frontier_NAME``, NAME being the extractor's, and its floor, see ``Comparison`` and
    ``gangen.metrics.divergence.frontier_score``: features are put into n / 10 cells, and the shares of the cells
    compared. It is near 1 for one distribution and near 0 for two that have nothing in common. Figures are not those of
    the package mauve-text, which projects and normalises features.
    """

    good = "high"
    least = 20

    def compare(self, real: Tensor, generated: Tensor) -> dict[str, float]:
        """See Comparison."""
        return {"divergence_frontier": frontier_score(real, generated)}


class NearestNeighbour(Comparison):
    """Accuracy of the nearest neighbour at telling real from generated (Lopez-Paz and Oquab, 2017; Xu et al., 2018).

    ``nearest_neighbour_NAME``, NAME being the extractor's, is one half where samples cannot be told from held-out rows,
    and 1 where they always can. ``nearest_neighbour_on_real_NAME`` and ``nearest_neighbour_on_fake_NAME`` are the
    accuracies on each side: samples of few kinds are nearest to one another, which is a low figure on real rows beside
    a high one on fakes. For the floor see ``Comparison``.
    """

    good = "real"

    def compare(self, real: Tensor, generated: Tensor) -> dict[str, float]:
        """See Comparison."""
        accuracy, on_real, on_fake = nearest_neighbour_test(real, generated)
        return {
            "nearest_neighbour": accuracy,
            "nearest_neighbour_on_real": on_real,
            "nearest_neighbour_on_fake": on_fake,
        }


class PRDC(Comparison):
    """Improved precision and recall (Kynkaanniemi et al., 2019), density and coverage (Naeem et al., 2020).

    ``precision_NAME`` and ``density_NAME``, NAME being the extractor's, say how much of what is generated looks real;
    ``recall_NAME`` and ``coverage_NAME`` how much of what is real is generated. Samples are compared with held-out rows
    by balls that reach to the k-th nearest neighbour, k being ``neighbours``. For the floor see ``Comparison``. For
    generators as good as that, density is about 1, which it can exceed, and coverage 1 - 1 / 2^k.
    """

    good = "high"

    def __init__(self, *, neighbours: Annotated[int, Ge(1)] = 5, **options: Any) -> None:
        super().__init__(**options)
        self.neighbours = neighbours
        self.least = neighbours + 1

    def compare(self, real: Tensor, generated: Tensor) -> dict[str, float]:
        """See Comparison."""
        return overlap(real, generated, k=self.neighbours)._asdict()
