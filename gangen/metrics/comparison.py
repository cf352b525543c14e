"""Metrics that compare samples with held-out rows, both as features of an extractor."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from annotated_types import Ge
from torch import Tensor

from gangen.components.registry import name_of
from gangen.metrics.context import MetricContext, once_a_run
from gangen.metrics.distances import frechet_distance, gaussian, kernel_distance
from gangen.metrics.divergence import frontier_score
from gangen.metrics.extraction import AgainstHeldOut, generated_features, held_out_features, training_features
from gangen.metrics.figures import Figure, Good
from gangen.metrics.neighbours import nearest_neighbour_test, overlap


class Comparison(AgainstHeldOut, ABC):
    """What metrics have in common that compare the features of samples with those of held-out rows.

    A figure's name gets that of the extractor, "kid_classifier". Beside it stands its floor: what training rows reach
    in the place of samples. Generators are asked for exactly the labels of held-out rows, so the floor has
    as many training rows of each label as well, where data are labelled and in memory and have enough of them; else
    training rows come as they are drawn. Real rows are read once a run. Features are computed once for all metrics with
    the same extractor and n, which is ``samples``, or the number of held-out rows where they are fewer.

    Most figures depend on n: they compare only at the same n, with the same extractor and data. The floor is not sharp
    where the extractor was fitted to training rows, which then look a little other than held-out ones.
    """

    good: ClassVar[Good]
    """Which end of its figures is good; see ``gangen.Figure``."""

    @abstractmethod
    def compare(self, real: Tensor, generated: Tensor) -> Mapping[str, float]:
        """Figures by name for features float ``[n, F]`` each."""

    def wanted(self, features: int) -> int:
        """How many rows a figure needs lest it be degenerate; with fewer it comes with a warning."""
        return self.least

    def __call__(self, context: MetricContext) -> dict[str, Figure]:
        extractor, n = self.fitted_extractor(context), self.count(context)
        held_out, floor = self._real(context)
        if n < (wanted := self.wanted(held_out.shape[1])):
            context.warn(
                f"{name_of(self)} is coarse: it compares {n} samples in the {held_out.shape[1]} features of "
                f"'{extractor.name}' and wants {wanted}; raise samples of the metric, or heldout of the data"
            )
        found = self.compare(held_out, generated_features(context, extractor, n))
        return {f"{name}_{extractor.name}": Figure(value, floor[name], self.good) for name, value in found.items()}

    @once_a_run
    def _real(self, context: MetricContext) -> tuple[Tensor, Mapping[str, float]]:
        """Features of held-out rows, and the floor."""
        extractor, n = self.fitted_extractor(context), self.count(context)
        held_out = held_out_features(context, extractor, n)
        return held_out, self.compare(held_out, training_features(context, extractor, n))


class Frechet(Comparison):
    """Frechet distance of Gaussians fitted to features (Heusel et al., 2017); FID where features are Inception's.

    ``frechet_NAME``, NAME being the extractor's, and its floor, see ``Comparison``. Both fall as n grows. With n at or
    below the number of features the covariances have not full rank: figures are finite, and come with a warning.
    """

    good = "low"

    def wanted(self, features: int) -> int:
        """See Comparison."""
        return features + 1

    def compare(self, real: Tensor, generated: Tensor) -> dict[str, float]:
        """See Comparison."""
        return {"frechet": frechet_distance(gaussian(real), gaussian(generated))}


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

    good = "low"

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
