"""The Frechet Inception distance by the protocol of published figures."""

from pathlib import Path

from gangen import Figure, Frechet, MetricContext
from gangen_image.extractors.inception import Inception

SAMPLES = 50_000


class FID50k(Frechet):
    """``fid50k``: the FID of 50,000 samples against all training images, as published figures mostly are taken.

    Features are those of ``image/inception``, training images as they are in the data, never mirrored or changed
    otherwise, and samples are asked for the labels of training images as they are drawn. None of this is an option: by
    another protocol a figure is called otherwise, as ``{use: frechet, extractor: image/inception}`` calls it. Training
    images are those that the run learns from; where some were held out of a published training set, say so beside the
    figure. Nothing stands beside it, since there are no other real images of that number.

    ``weights`` are those of Inception, see ``image/inception``. ``statistics`` keeps those of the training images, see
    ``frechet``: it spares later runs to look at all of them.
    """

    def __init__(self, *, weights: Path | None = None, statistics: Path | None = None) -> None:
        extractor = Inception(weights=weights)
        super().__init__(samples=SAMPLES, against="training", extractor=extractor, statistics=statistics)

    def __call__(self, context: MetricContext) -> dict[str, Figure]:
        (figure,) = super().__call__(context).values()
        return {"fid50k": figure}
