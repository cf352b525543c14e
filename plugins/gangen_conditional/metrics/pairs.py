"""How near samples come to the one truth that each input has."""

from typing import Annotated, Any

from annotated_types import Ge
from torch import Tensor

from gangen import Figure, MetricContext, UsageError, once_a_run
from gangen_conditional.spec import ImageFromSpec
from gangen_image import ImageSpec, as_bytes

# Side of the window of SSIM, a Gaussian of 1.5 pixels.
WINDOW = 11


class Pairs:
    """Distance of ``samples`` samples from the truth, that of the held-out rows whose inputs they are made from.

    ``l1`` is the mean absolute difference of pixels in [0, 1]; ``psnr`` the peak signal-to-noise ratio in decibels, of
    the squared error of all samples together; ``ssim`` the mean structural similarity (Wang et al. 2004), 1 at most.
    Images are compared as files would show them, by the package torchmetrics. Beside them stand the truth itself and,
    where inputs are images of the same shape, as ``l1_of_input`` and so on, what copying them gives: the floor.

    A game with an adversary need not win here: of all images that may be true, their mean or median is nearest.

    Raises:
        UsageError: the data are no pairs of images of 11 pixels or more, or torchmetrics is missing.
    """

    def __init__(self, *, samples: Annotated[int, Ge(1)] = 500) -> None:
        self.samples = samples

    def check(self, context: MetricContext) -> None:
        """Raises UsageError where it cannot be taken."""
        spec = context.data.codec.spec
        if not isinstance(spec, ImageFromSpec) or not isinstance(spec.input, ImageSpec):
            raise UsageError("metric conditional/pairs needs pairs of images, as data conditional/pairs; take it out")
        if spec.size < WINDOW:
            raise UsageError(f"metric conditional/pairs needs images of {WINDOW} pixels or more, not {spec.size}")
        try:
            import torchmetrics  # noqa: F401
        except ImportError as error:
            raise UsageError(f"metric conditional/pairs needs the package torchmetrics: {error}") from None

    def __call__(self, context: MetricContext) -> dict[str, Figure]:
        """The figures of samples, and of inputs."""
        truth, inputs = self._real(context)
        made = as_bytes(context.samples(len(truth))).cpu()
        return _figures(made, truth) | inputs

    @once_a_run
    def _real(self, context: MetricContext) -> tuple[Tensor, dict[str, Figure]]:
        n = self._count(context)
        rows = context.data.heldout.batch(0, range(n), n, seed=context.seed, device="cpu")
        truth, inputs = rows["image"], rows["input"]
        if inputs.shape != truth.shape:
            return truth, {}
        return truth, {f"{name}_of_input": figure for name, figure in _figures(inputs, truth).items()}

    def protocol(self, context: MetricContext) -> dict[str, Any]:
        """How many rows were compared."""
        return {"samples": self._count(context), "held-out rows": self._count(context)}

    def _count(self, context: MetricContext) -> int:
        return min(self.samples, len(context.data.heldout))


def _figures(images: Tensor, truth: Tensor) -> dict[str, Figure]:
    """Of images uint8 ``[n, channels, size, size]``."""
    from torchmetrics.functional.image import peak_signal_noise_ratio, structural_similarity_index_measure

    images, truth = images.double() / 255, truth.double() / 255
    similarity = structural_similarity_index_measure(images, truth, data_range=1.0)
    return {
        "l1": Figure((images - truth).abs().mean().item(), 0.0, "low"),
        "psnr": Figure(peak_signal_noise_ratio(images, truth, data_range=1.0).item(), good="high"),
        "ssim": Figure(similarity.item(), 1.0, "high"),
    }
