"""Whether a generator shows again what it was trained on."""

from operator import length_hint
from typing import Annotated, Any

import torch
from annotated_types import Ge
from torch import Tensor

from gangen.contracts import Batch, Extractor
from gangen.metrics.context import MetricContext, once_a_run
from gangen.metrics.distances import as_float64
from gangen.metrics.extraction import AgainstHeldOut, generated_features, held_out_features
from gangen.metrics.figures import Figure
from gangen.metrics.neighbours import EXACT, nearest_distances

# Training rows that are looked at in one go.
CHUNK = 1000
RARE = 0.01
SHOWN = 8


class Memorised(AgainstHeldOut):
    """How near samples come to training rows, by the measure of held-out rows, which nobody could memorise.

    Of samples and as many held-out rows the distance to the nearest training row is taken, in the features of the
    extractor NAME; the training rows are the first ``training`` of them by the run's order, all where they are fewer.
    ``nearest_training_NAME`` is the median of samples by that of held-out rows: 1 for new samples, 0 for copies; nan,
    with a warning, where most held-out rows are copies themselves. ``memorised_NAME`` is the share of samples that are
    at least as near as the nearest hundredth of held-out rows; beside it stands that hundredth, or more where held-out
    rows are equally near, as copies are. The comparison with held-out rows is that of Meehan et al. (2020), who test
    ranks. The sheet "nearest_training_rows" shows the samples that came nearest, beside these rows.

    Bad samples are far from everything, so look at prdc beside it: half copies and half noise has a median of its own.
    The extractor sets what counts as the same.
    """

    def __init__(self, *, training: Annotated[int, Ge(1)] = 50_000, **options: Any) -> None:
        super().__init__(**options)
        self.training = training

    def __call__(self, context: MetricContext) -> dict[str, Figure]:
        extractor, (_, held_out) = self.fitted_extractor(context), self._real(context)
        generated, reach = self._distances(context), held_out.quantile(RARE)
        if not held_out.median():
            context.warn(
                f"to extractor '{extractor.name}' most held-out rows are copies of training rows, which leaves no "
                "measure of nearness; hold out others"
            )
        share, real = ((distances <= reach).double().mean().item() for distances in (generated, held_out))
        return {
            f"nearest_training_{extractor.name}": Figure((generated.median() / held_out.median()).item(), 1.0, "real"),
            f"memorised_{extractor.name}": Figure(share, real, "low"),
        }

    def protocol(self, context: MetricContext) -> dict[str, Any]:
        """See AgainstHeldOut."""
        return super().protocol(context) | {"training rows": self._count(context)}

    def sheets(self, context: MetricContext) -> dict[str, dict[str, Tensor]]:
        """The samples that come nearest to training rows, nearest first, and these rows."""
        n, (training, _) = self.count(context), self._real(context)
        nearest = self._distances(context).argsort()[:SHOWN]
        features = as_float64(generated_features(context, self.fitted_extractor(context), n), least=1)[nearest]
        rows = torch.cdist(features, training, compute_mode=EXACT).argmin(1).tolist()
        originals = [context.data.codec.samples_of(self._rows(context, row, row + 1)) for row in rows]
        samples = context.samples(n)
        return {
            "nearest_training_rows": {
                "sample": samples[nearest.to(samples.device)],
                "nearest training row": torch.cat(originals),
            }
        }

    @once_a_run
    def _real(self, context: MetricContext) -> tuple[Tensor, Tensor]:
        """Features of training rows, float64 ``[t, F]``, and the distance of each held-out row from them."""
        extractor, n = self.fitted_extractor(context), self.count(context)
        training = as_float64(self._training_features(context, extractor), least=1)
        return training, nearest_distances(held_out_features(context, extractor, n), training)

    def _distances(self, context: MetricContext) -> Tensor:
        """From each sample to the training row nearest to it, float64 ``[n]``."""
        extractor, n = self.fitted_extractor(context), self.count(context)

        def look() -> Tensor:
            return nearest_distances(generated_features(context, extractor, n), self._real(context)[0])

        return context.once((extractor.key, "nearest training", n, self.training), look)

    def _training_features(self, context: MetricContext, extractor: Extractor) -> Tensor:
        """Float ``[t, F]``; rows are read in chunks, as there may be more of them than go into memory as floats."""
        count, codec = self._count(context), context.data.codec
        chunks = (self._rows(context, start, min(start + CHUNK, count)) for start in range(0, count, CHUNK))
        return torch.cat([extractor.features(codec.samples_of(rows)) for rows in chunks])

    def _count(self, context: MetricContext) -> int:
        return min(self.training, length_hint(context.training, self.training))

    def _rows(self, context: MetricContext, start: int, stop: int) -> Batch:
        """Training rows by their number, all of one chunk."""
        counter, first = divmod(start, CHUNK)
        rows = range(first, first + stop - start)
        return context.training.batch(counter, rows, CHUNK, seed=context.seed, device=context.device)
