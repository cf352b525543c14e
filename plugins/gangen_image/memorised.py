"""Whether a generator shows again what it was trained on."""

from operator import length_hint
from typing import Annotated, Any

import torch
from annotated_types import Ge
from torch import Tensor

from gangen.contracts import Data, Extractor
from gangen.errors import UsageError
from gangen.evaluation import Evaluation
from gangen.neighbours import nearest_distances
from gangen.options import Part
from gangen_image.comparison import AgainstHeldOut, generated_features, held_out_features

# Training images that are looked at in one go.
CHUNK = 1000
RARE = 0.01


class Memorised(AgainstHeldOut):
    """How near samples come to training images, by the measure of held-out images, which nobody could memorise.

    Of n samples and n held-out images the distance to the nearest training image is taken, in the features of the
    extractor NAME: n is ``samples``, or the number of held-out images where they are fewer; the training images are the
    first ``training`` of them by the run's order, all where they are fewer. ``nearest_training_NAME`` is the median of
    samples by that of held-out images: 1 for new images, 0 for copies. ``memorised_NAME`` is the share of samples that
    are nearer than all but a hundredth of held-out images: 0.01 for new images, 1 for copies. Both have their floor in
    them. The comparison with held-out images is that of Meehan et al. (2020), who test ranks.

    Bad samples are far from everything, so look at image/prdc beside it: half copies and half noise has a median of its
    own. The extractor sets what counts as the same: mirrored copies are others to most.

    Raises:
        UsageError: there is but one held-out image, the extractor has no use for the data, or more than half of the
            held-out images are equal to training images in its features.
    """

    metric = "image/memorised"

    def __init__(
        self,
        *,
        samples: Annotated[int, Ge(2)] = 1000,
        training: Annotated[int, Ge(1)] = 50_000,
        extractor: Annotated[Any, Part("extractors")] = "image/classifier",
    ) -> None:
        super().__init__(samples=samples, extractor=extractor)
        self.training = training
        self._real: tuple[Data, Tensor, Tensor] | None = None

    def __call__(self, evaluation: Evaluation) -> dict[str, float]:
        extractor, n = evaluation.fitted(self.extractor), self.count(evaluation)
        if self._real is None or self._real[0] is not evaluation.data:
            training = self._training_features(evaluation, extractor)
            held_out = nearest_distances(held_out_features(evaluation, extractor, n), training)
            self._real = evaluation.data, training, held_out
        _, training, held_out = self._real
        if not held_out.median():
            raise UsageError(
                f"metric image/memorised: to extractor '{extractor.name}' most held-out images are copies of training "
                "images, which leaves no measure; hold out others"
            )
        generated = nearest_distances(generated_features(evaluation, extractor, n), training)
        return {
            f"nearest_training_{extractor.name}": (generated.median() / held_out.median()).item(),
            f"memorised_{extractor.name}": (generated < held_out.quantile(RARE)).double().mean().item(),
        }

    def _training_features(self, evaluation: Evaluation, extractor: Extractor) -> Tensor:
        """Float ``[t, F]``; images are read in chunks, as there may be more of them than go into memory as floats."""
        train, spec = evaluation.data.train, evaluation.data.codec.spec
        count = min(self.training, length_hint(train, self.training))
        features = []
        for counter, start in enumerate(range(0, count, CHUNK)):
            rows = range(min(CHUNK, count - start))
            batch = train.batch(counter, rows, CHUNK, seed=evaluation.seed, device=evaluation.device)
            features.append(extractor.features(spec.prepare(batch["image"])))
        return torch.cat(features)
