"""Whether a nearest neighbour tells generated images from real ones, in the features of an extractor."""

from typing import Annotated, Any

from annotated_types import Ge
from torch import Tensor

from gangen.evaluation import Evaluation
from gangen.neighbours import nearest_neighbour_test
from gangen.options import Part
from gangen_image.comparison import Comparison


class NearestNeighbour:
    """Accuracy of the nearest neighbour at telling real from generated (Lopez-Paz and Oquab, 2017; Xu et al., 2018).

    ``nearest_neighbour_NAME``, NAME being the extractor's, is one half where n generated images cannot be told from n
    held-out ones, and 1 where they always can: n is ``samples``, or the number of held-out images where they are fewer.
    ``nearest_neighbour_on_real_NAME`` and ``nearest_neighbour_on_fake_NAME`` are the accuracies on each side: samples
    of few kinds are nearest to one another, which is a low figure on real images beside a high one on fakes. With
    ``_real`` at the end the names are the floor, n training images instead (see ``Comparison``).

    Raises:
        UsageError: there is but one held-out image, or the extractor has no use for the data.
    """

    def __init__(
        self,
        *,
        samples: Annotated[int, Ge(2)] = 1000,
        extractor: Annotated[Any, Part("extractors")] = "image/classifier",
    ) -> None:
        self.comparison = Comparison("image/nearest_neighbour", extractor, samples)

    def check(self, evaluation: Evaluation) -> None:
        self.comparison.check(evaluation)

    def __call__(self, evaluation: Evaluation) -> dict[str, float]:
        return self.comparison.figures(evaluation, _compare)


def _compare(real: Tensor, generated: Tensor) -> dict[str, float]:
    accuracy, on_real, on_fake = nearest_neighbour_test(real, generated)
    return {
        "nearest_neighbour": accuracy,
        "nearest_neighbour_on_real": on_real,
        "nearest_neighbour_on_fake": on_fake,
    }
