"""Frechet distance between generated and real images, in the features of an extractor."""

from typing import Annotated, Any

from annotated_types import Ge
from torch import Tensor

from gangen.distances import frechet_distance, gaussian
from gangen.evaluation import Evaluation
from gangen.options import Part
from gangen_image.comparison import Comparison


class Frechet:
    """Frechet distance of Gaussians fitted to features (Heusel et al., 2017); FID where features are Inception's.

    ``frechet_NAME``, NAME being the extractor's, compares n generated images with n held-out ones: n is ``samples``, or
    the number of held-out images where they are fewer. ``frechet_NAME_real`` is its floor, n training images instead,
    as many of each label where data are labelled and in memory (see ``Comparison``). Both fall as n grows.

    With n at or below the number of features the covariances have not full rank: figures are finite, and coarse.

    Raises:
        UsageError: there is but one held-out image, or the extractor has no use for the data.
    """

    def __init__(
        self,
        *,
        samples: Annotated[int, Ge(2)] = 1000,
        extractor: Annotated[Any, Part("extractors")] = "image/classifier",
    ) -> None:
        self.comparison = Comparison("image/frechet", extractor, samples)

    def check(self, evaluation: Evaluation) -> None:
        self.comparison.check(evaluation)

    def __call__(self, evaluation: Evaluation) -> dict[str, float]:
        return self.comparison.figures(evaluation, _compare)


def _compare(real: Tensor, generated: Tensor) -> dict[str, float]:
    return {"frechet": frechet_distance(gaussian(real), gaussian(generated))}
