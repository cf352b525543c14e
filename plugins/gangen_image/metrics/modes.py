"""How well samples cover data whose modes are known."""

from typing import Annotated, Any

import torch
from annotated_types import Ge, Gt
from torch import Tensor

from gangen import AgainstHeldOut, Extractor, Figure, MetricContext, Part, UsageError, once_a_run


class Modes:
    """Modes found, share of good samples, evenness; for data with ``modes`` float ``[K, 2]`` and deviation ``sd``.

    A sample is good within ``radius`` deviations of its nearest mode (Dumoulin et al. 2017; real points are good with
    probability 1 - exp(-radius^2 / 2), 0.989 at 3). A mode is found once one of ``samples`` samples is good for it.
    ``kl`` is KL(p || uniform) in nats, p being the shares of the modes in the good samples; log K where none is good.

    Raises:
        UsageError: the data have no known modes.
    """

    def __init__(self, *, samples: Annotated[int, Ge(1)] = 10_000, radius: Annotated[float, Gt(0)] = 3.0) -> None:
        self.samples = samples
        self.radius = radius

    def check(self, context: MetricContext) -> None:
        if getattr(context.data, "modes", None) is None:
            raise UsageError("metric image/modes needs data with known modes, as image/points has; take it out")

    def __call__(self, context: MetricContext) -> dict[str, Figure]:
        modes, samples = context.data.modes, context.samples(self.samples)
        counts = good_per_mode(samples, modes.to(samples), self.radius * context.data.sd)
        share = counts / counts.sum().clamp(min=1)
        kl = torch.special.xlogy(share, share * len(modes)).sum() if counts.any() else torch.tensor(len(modes)).log()
        return {
            "modes": Figure((counts > 0).sum().item(), good="high"),
            "good": Figure(counts.sum().item() / self.samples, good="high"),
            "kl": Figure(kl.item(), good="low"),
        }

    def protocol(self, context: MetricContext) -> dict[str, int]:
        """How many samples there were."""
        return {"samples": self.samples}


class StackedModes(AgainstHeldOut):
    """Modes of Stacked MNIST that are reached, as counted by Metz et al. (2017): each triple of labels is a mode.

    ``extractor`` learns to classify from the ``digits`` of the data and labels each channel of n samples: n is
    ``samples``, or the number of held-out images where they are fewer. ``modes`` counts the triples that occur, of
    1,000 where there are ten labels. ``kl`` is KL(p || q) in nats, p being the shares of the triples in the samples and
    q the product of the shares that the labels have in the training digits, which is the distribution that training
    images are drawn from. Beside both stand those of n held-out images, labelled in the same way: finite n and wrong
    labels have their part in both. Noise is labelled too, so look at samples beside it. Figures compare at the same n
    only; published ones are mostly of 25,600 or 26,000 samples, by classifiers of their own.

    Raises:
        UsageError: the data are no stacked digits, these have no labels, or the extractor does not classify.
    """

    def __init__(
        self,
        *,
        samples: Annotated[int, Ge(1)] = 10_000,
        extractor: Annotated[Any, Part("extractors")] = "image/classifier",
    ) -> None:
        super().__init__(samples=samples, extractor=extractor)

    def check(self, context: MetricContext) -> None:
        digits = getattr(context.data, "digits", None)
        if digits is None:
            raise UsageError("metric image/stacked_modes needs stacked digits, as image/stacked has; take it out")
        if not digits.codec.spec.labels:
            raise UsageError("metric image/stacked_modes needs digits with labels; take it out")
        if not hasattr(self.extractor, "logits"):
            raise UsageError(f"metric image/stacked_modes: extractor '{self.extractor.name}' does not classify")
        self.extractor.check(digits)

    def __call__(self, context: MetricContext) -> dict[str, Figure]:
        modes, kl = zip(self._counted(context, context.samples(self.count(context))), self._real(context), strict=True)
        return {"modes": Figure(*modes, "high"), "kl": Figure(*kl, "low")}

    @once_a_run
    def _real(self, context: MetricContext) -> tuple[int, float]:
        data, n = context.data, self.count(context)
        rows = data.heldout.batch(0, range(n), n, seed=context.seed, device=context.device)
        return self._counted(context, data.codec.samples_of(rows))

    def _counted(self, context: MetricContext, images: Tensor) -> tuple[int, float]:
        """(modes, kl) of images float ``[n, 3, 28, 28]``."""
        digits = context.data.digits
        classify = self.fitted_extractor(context).logits
        labels = classify(images.flatten(0, 1)[:, None]).argmax(1).cpu().view(len(images), -1)
        known = torch.bincount(digits.train.rows()["label"], minlength=len(digits.codec.spec.labels)).double()
        modes, counts = labels.unique(dim=0, return_counts=True)
        share, expected = counts.double() / len(images), (known / known.sum())[modes].prod(1)
        return len(modes), (share * (share / expected).log()).sum().item()

    def fitted_extractor(self, context: MetricContext) -> Extractor:
        """The extractor, fitted to the digits and not to the data of the run."""
        return context.fitted(self.extractor, context.data.digits)


def good_per_mode(samples: Tensor, modes: Tensor, reach: float) -> Tensor:
    """How many of ``[n, d]`` have each of ``modes`` ``[K, d]`` nearest, and within ``reach``: float64 ``[K]``."""
    distance, nearest = torch.cdist(samples, modes).min(dim=1)
    return torch.bincount(nearest[distance <= reach], minlength=len(modes)).double()
