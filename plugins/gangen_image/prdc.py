"""Fidelity and diversity apart: precision, recall, density and coverage in the features of an extractor."""

from typing import Annotated, Any

from annotated_types import Ge
from torch import Tensor

from gangen.evaluation import Evaluation
from gangen.neighbours import overlap
from gangen.options import Part
from gangen_image.comparison import Comparison


class PRDC:
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

    def __init__(
        self,
        *,
        samples: Annotated[int, Ge(2)] = 1000,
        neighbours: Annotated[int, Ge(1)] = 5,
        extractor: Annotated[Any, Part("extractors")] = "image/classifier",
    ) -> None:
        self.neighbours = neighbours
        self.comparison = Comparison("image/prdc", extractor, samples, least=neighbours + 1)

    def check(self, evaluation: Evaluation) -> None:
        self.comparison.check(evaluation)

    def __call__(self, evaluation: Evaluation) -> dict[str, float]:
        return self.comparison.figures(evaluation, self._compare)

    def _compare(self, real: Tensor, generated: Tensor) -> dict[str, float]:
        return overlap(real, generated, k=self.neighbours)._asdict()
