"""Kernel distance between generated and real images, in the features of an extractor."""

from typing import Annotated, Any

from annotated_types import Ge
from torch import Tensor

from gangen.distances import kernel_distance
from gangen.evaluation import Evaluation
from gangen.options import Part
from gangen_image.comparison import Comparison


class KID:
    """Squared maximum mean discrepancy of features, unbiased (Binkowski et al., 2018); KID where they are Inception's.

    ``kid_NAME``, NAME being the extractor's, compares n generated images with n held-out ones: n is ``samples``, or the
    number of held-out images where they are fewer. ``kid_NAME_real`` is its floor, n training images instead (see
    ``Comparison``). Its expectation does not depend on n, and is 0 for two draws from one distribution. It is
    below 0 where both sides have the same number of each label, more alike than by chance: look at the floor.

    Raises:
        UsageError: there is but one held-out image, or the extractor has no use for the data.
    """

    def __init__(
        self,
        *,
        samples: Annotated[int, Ge(2)] = 1000,
        extractor: Annotated[Any, Part("extractors")] = "image/classifier",
    ) -> None:
        self.comparison = Comparison("image/kid", extractor, samples)

    def check(self, evaluation: Evaluation) -> None:
        self.comparison.check(evaluation)

    def __call__(self, evaluation: Evaluation) -> dict[str, float]:
        return self.comparison.figures(evaluation, _compare)


def _compare(real: Tensor, generated: Tensor) -> dict[str, float]:
    return {"kid": kernel_distance(real, generated)}
