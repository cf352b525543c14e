"""Distances from the truth of each input, and what copying the input gives."""

import math
import sys
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from gangen import MetricContext, Players, TensorSplit, UsageError
from gangen_conditional.codecs.inputs import ImageInput
from gangen_conditional.codecs.output import ImageFromCodec
from gangen_conditional.metrics.pairs import Pairs
from gangen_image import ImageSpec
from gangen_text import sheet_of


class Brighter(nn.Module):
    """The input, and 51 more."""

    def sample(self, n, condition=None):
        return (condition["input"].float() + 51) / 127.5 - 1


def context(inputs, images):
    size = images.shape[-1]
    codec = ImageFromCodec(ImageSpec(1, size), ImageInput(ImageSpec(inputs.shape[1], size)))
    rows = TensorSplit(image=images, input=inputs)
    data = SimpleNamespace(codec=codec, train=rows, heldout=rows, sheet=lambda: sheet_of(codec, rows))
    return MetricContext(Players({"generator": Brighter()}), data, device=torch.device("cpu"), batch_size=4)


def flat(*shades, channels=1):
    return torch.tensor(shades, dtype=torch.uint8).reshape(-1, 1, 1, 1).expand(-1, channels, 16, 16)


def similarity(a, b):
    """SSIM of two images of one shade each: its first factor alone (Wang et al. 2004, equation 6)."""
    return (2 * a * b + 0.01**2) / (a**2 + b**2 + 0.01**2)


def test_figures_are_those_of_each_sample_and_its_own_truth():
    inputs, images = flat(0, 51, 102, 51, 0, 102), flat(51, 102, 153, 102, 51, 204)
    found = Pairs()(context(inputs, images))
    # All but the last, which is 0.2 away, are right; copies of the input are 0.2 away, and 0.4.
    assert found["l1"].value == pytest.approx(0.2 / 6, abs=1e-6)
    assert found["psnr"].value == pytest.approx(-10 * math.log10(0.04 / 6), abs=1e-3)
    assert found["ssim"].value == pytest.approx((5 + similarity(0.6, 0.8)) / 6, abs=1e-4)
    assert found["l1_of_input"].value == pytest.approx((5 * 0.2 + 0.4) / 6, abs=1e-6)
    assert found["psnr_of_input"].value == pytest.approx(-10 * math.log10((5 * 0.04 + 0.16) / 6), abs=1e-3)
    assert (found["l1"].real, found["ssim"].real) == (0, 1)
    assert [found[name].good for name in ("l1", "psnr", "ssim")] == ["low", "high", "high"]


def test_inputs_of_other_channels_cannot_be_copied():
    game = context(flat(0, 51, channels=3), flat(51, 102))
    game.sampler.sample = lambda n, condition=None: Brighter().sample(n, condition)[:, :1]
    assert set(Pairs()(game)) == {"l1", "psnr", "ssim"}


def test_what_it_cannot_measure_is_refused(monkeypatch):
    metric, good = Pairs(), context(flat(0), flat(51))
    metric.check(good)
    with pytest.raises(UsageError, match="images of 11 pixels or more, not 8"):
        metric.check(context(flat(0)[..., :8, :8], flat(51)[..., :8, :8]))
    plain = SimpleNamespace(data=SimpleNamespace(codec=SimpleNamespace(spec=ImageSpec(1, 16))))
    with pytest.raises(UsageError, match="needs pairs of images"):
        metric.check(plain)
    monkeypatch.setitem(sys.modules, "torchmetrics", None)
    with pytest.raises(UsageError, match="needs the package torchmetrics"):
        metric.check(good)
