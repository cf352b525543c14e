"""How evenly a generator goes from one of its samples to another."""

from typing import Annotated, Any

import torch
from annotated_types import Ge

from gangen.components.registry import name_of
from gangen.errors import UsageError
from gangen.metrics.context import MetricContext
from gangen.metrics.distances import as_float64
from gangen.metrics.extraction import ExtractorMetric
from gangen.metrics.figures import Figure


class PathLength(ExtractorMetric):
    """The mean squared speed of features on the way from one sample to another, after Karras et al. (2019, section 4).

    ``path_length_NAME``, NAME being the extractor's: each of ``samples`` ways, which the generator's ``interpolate``
    makes, has ``steps`` steps; the squared distance of features from step to step, times ``steps`` squared, has its
    mean over all steps but the lowest and highest hundredth. Low is smooth, but so is a generator that makes one sample
    alone: look at diversity beside it. Where samples jump it grows with ``steps``, so figures compare at the same
    number. The paper takes steps of a ten-thousandth, and the distance LPIPS; its figures are others.
    """

    def __init__(
        self, *, samples: Annotated[int, Ge(1)] = 200, steps: Annotated[int, Ge(1)] = 16, **options: Any
    ) -> None:
        super().__init__(samples=samples, **options)
        self.steps = steps

    def check(self, context: MetricContext) -> None:
        """Raises UsageError where ``ExtractorMetric.check`` does, and for a generator that cannot interpolate."""
        if not hasattr(context.sampler, "interpolate"):
            raise UsageError(
                f"{name_of(self)} needs a generator that interpolates, which this one does not; take it out"
            )
        super().check(context)

    def __call__(self, context: MetricContext) -> dict[str, Figure]:
        extractor, steps = self.fitted_extractor(context), self.steps
        parts = [as_float64(extractor.features(it), least=2) for it in context.ways(self.samples, steps + 1)]
        squares = torch.cat([it.unflatten(0, (-1, steps + 1)).diff(dim=1).square().sum(2).flatten() for it in parts])
        extremes = len(squares) // 100
        middle = squares.sort().values[extremes : len(squares) - extremes]
        return {f"path_length_{extractor.name}": Figure(middle.mean().item() * steps**2, good="low")}

    def protocol(self, context: MetricContext) -> dict[str, Any]:
        """How many ways there were, and in what they were measured."""
        return {"samples": self.samples, "extractor": self.fitted_extractor(context).name}
