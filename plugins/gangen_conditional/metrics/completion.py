"""How near completed pictures are to the truth where they were missing."""

from typing import Annotated

import torch
from annotated_types import Ge
from torch import Tensor

from gangen import Batch, Figure, MetricContext, UsageError, once_a_run

# Pictures that are compared with all others in one go.
CHUNK = 100


class Completion:
    """Errors of ``samples`` held-out pictures over the pixels that were missing, of numbers in [-1, 1].

    ``completion_error`` is the mean squared error, ``completion_l1`` the mean absolute one. Beside each stands that of
    nearest-neighbour completion, ``nearest_error`` and ``nearest_l1``: what is missing is taken from the training
    picture that is nearest, by squared distance, in what is given. ``completion_ratio`` is ``completion_error`` over
    ``nearest_error``. The truth itself has 0.
    """

    def __init__(self, *, samples: Annotated[int, Ge(1)] = 500) -> None:
        self.samples = samples

    def check(self, context: MetricContext) -> None:
        """Raises UsageError for data without holes, or that are not in memory."""
        if "mask" not in context.data.heldout.rows(range(1)) or not hasattr(context.training, "rows"):
            raise UsageError(
                "metric conditional/completion needs pictures with a hole, as conditional/pairs has with input: mask"
            )

    def __call__(self, context: MetricContext) -> dict[str, Figure]:
        rows = self._rows(context)
        truth, hole = context.data.codec.samples_of(rows), rows["mask"] > 0
        squared, absolute = _errors(context.samples(len(truth)), truth, hole)
        nearest_squared, nearest_absolute = self._nearest(context)
        return {
            "completion_error": Figure(squared, 0.0, "low"),
            "completion_l1": Figure(absolute, 0.0, "low"),
            "completion_ratio": Figure(squared / nearest_squared, 0.0, "low"),
            "nearest_error": Figure(nearest_squared),
            "nearest_l1": Figure(nearest_absolute),
        }

    def protocol(self, context: MetricContext) -> dict[str, int]:
        """How many pictures were completed."""
        return {"held-out rows": min(self.samples, len(context.data.heldout))}

    def _rows(self, context: MetricContext) -> Batch:
        """The held-out rows that samples are conditioned on, in order."""
        n = min(self.samples, len(context.data.heldout))
        return context.data.heldout.batch(0, range(n), n, seed=context.seed, device=context.device)

    @once_a_run
    def _nearest(self, context: MetricContext) -> tuple[float, float]:
        """The errors of nearest-neighbour completion."""
        samples_of, rows = context.data.codec.samples_of, self._rows(context)
        training = samples_of(context.training.rows(device=context.device))
        truth, hole = samples_of(rows), rows["mask"] > 0
        squares, found = training.flatten(1).square(), []
        for some, missing in zip(truth.split(CHUNK), hole.split(CHUNK), strict=True):
            given = (~missing).expand_as(some).flatten(1).to(some.dtype)
            # |x - t|^2 over what is given, but for |x|^2, which is the same for all t.
            distances = given @ squares.T - 2 * (some.flatten(1) * given) @ training.flatten(1).T
            found.append(training[distances.argmin(1)])
        return _errors(torch.cat(found), truth, hole)


def _errors(found: Tensor, truth: Tensor, hole: Tensor) -> tuple[float, float]:
    """Mean squared and mean absolute error of all pixels in the holes."""
    off = (found.clamp(-1, 1) - truth)[hole.expand_as(truth)]
    return off.square().mean().item(), off.abs().mean().item()
