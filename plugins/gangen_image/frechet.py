"""Frechet distance between generated and real images, in the features of an extractor."""

from typing import Annotated, Any

import torch
from annotated_types import Ge
from torch import Tensor

from gangen.contracts import Data, Extractor
from gangen.errors import UsageError
from gangen.evaluation import Evaluation
from gangen.options import Part

Gaussian = tuple[Tensor, Tensor]


class Frechet:
    """Frechet distance of Gaussians fitted to features (Heusel et al., 2017); FID where features are Inception's.

    ``frechet_NAME``, NAME being the extractor's, compares n generated images with n held-out ones: n is ``samples``, or
    the number of held-out images where they are fewer. ``frechet_NAME_real`` is its floor, real against real: n
    training images and the same held-out ones. Both fall as n grows, so figures compare only at the same n, with the
    same extractor and data.

    The floor is not sharp. An extractor that was fitted to the data has seen its training side; and its labels come as
    they are drawn, where generators are asked for exactly the labels of held-out images, so that a very good
    conditional generator can come out a little lower.

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
        self.samples = samples
        self.extractor = extractor
        self._real: tuple[Data, Gaussian, float] | None = None

    def check(self, evaluation: Evaluation) -> None:
        if len(evaluation.data.heldout) < 2:
            raise UsageError("metric image/frechet needs more than one held-out image; raise heldout of the data")
        self.extractor.check(evaluation.data)

    def __call__(self, evaluation: Evaluation) -> dict[str, float]:
        n = min(self.samples, len(evaluation.data.heldout))
        extractor = evaluation.fitted(self.extractor)
        # Real images stay what they are during a run, and going back to the first ones of a stream is slow.
        if self._real is None or self._real[0] is not evaluation.data:
            self._real = evaluation.data, *_real(evaluation, extractor, n)
        _, real, floor = self._real
        distance = frechet_distance(gaussian(extractor.features(evaluation.samples(n))), real)
        return {f"frechet_{extractor.name}": distance, f"frechet_{extractor.name}_real": floor}


def gaussian(features: Tensor) -> Gaussian:
    """Mean ``[F]`` and unbiased covariance ``[F, F]``, float64 on the CPU, of ``[n, F]`` with n of at least 2."""
    features = features.cpu().double()
    return features.mean(0), torch.cov(features.T).reshape(features.shape[1], -1)


def frechet_distance(first: Gaussian, second: Gaussian) -> float:
    """|m1 - m2|^2 + tr(S1 + S2 - 2 (S1 S2)^(1/2)), Dowson and Landau (1982), for (mean, covariance) in float64.

    S1 S2 has the eigenvalues of the symmetric S1^(1/2) S2 S1^(1/2), whose roots are real and add up to the trace also
    where a covariance has not full rank.
    """
    (mean1, covariance1), (mean2, covariance2) = first, second
    values, vectors = torch.linalg.eigh(covariance1)
    root = vectors * values.clamp(min=0).sqrt() @ vectors.T
    cross = torch.linalg.eigvalsh(root @ covariance2 @ root).clamp(min=0).sqrt().sum()
    distance = (mean1 - mean2).square().sum() + covariance1.trace() + covariance2.trace() - 2 * cross
    return distance.clamp(min=0).item()


def _real(evaluation: Evaluation, extractor: Extractor, n: int) -> tuple[Gaussian, float]:
    """The Gaussian of ``n`` held-out images, and the distance of as many training images from it."""
    data = evaluation.data
    gaussians = []
    for split in (data.heldout, data.train):
        batch = split.batch(0, range(n), n, seed=evaluation.seed, device=evaluation.device)
        gaussians.append(gaussian(extractor.features(data.codec.spec.prepare(batch["image"]))))
    return gaussians[0], frechet_distance(*gaussians)
