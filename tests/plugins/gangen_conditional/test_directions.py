"""Where translators are sampled from: both ways, into a label; and whether what they make keeps its label."""

from types import SimpleNamespace

import pytest
import torch
from PIL import Image
from torch import nn

from gangen import MetricContext, Model, Players, UsageError
from gangen_conditional.data.domains import Domains
from gangen_conditional.data.unpaired import Unpaired
from gangen_conditional.metrics.label_kept import LabelKept
from gangen_conditional.samplers.both_ways import BothWays
from gangen_conditional.samplers.to_domain import ToDomain

CPU = torch.device("cpu")


class Shift(nn.Module):
    """A translator that adds to images; ``labels`` are as of one that is labelled."""

    labels = ("a", "b")

    def __init__(self, by):
        super().__init__()
        self.by = by

    def forward(self, images):
        return images + self.by

    def sample(self, n, condition=None):
        images = condition["input"].float() / 127.5 - 1
        return self(images) + (condition["label"][:, None, None, None] if "label" in condition else 0)


def both_ways(data):
    sampler = BothWays(Players({"to_image": Shift(0.2), "to_input": Shift(-0.4)}))
    return Model(sampler, {}, data.codec, "runs/x", CPU)


def shade(picture):
    return picture.getpixel((0, 0))


def test_a_picture_goes_either_way_and_there_and_back(images):
    model, picture = both_ways(Unpaired(image=images(16))), Image.new("L", (8, 8), 102)  # 102 is -0.2
    (made,) = model.sample(picture)
    (other,) = model.sample(picture, direction="to_input")
    (back,) = model.draw("reconstruct", picture)
    assert [shade(it) for it in (made, other, back)] == [128, 51, 76]


def test_a_direction_that_does_not_exist_is_refused(images):
    model = both_ways(Unpaired(image=images(16)))
    with pytest.raises(UsageError, match=r"sampling setting 'direction' must be .*to_image.*to_input.*got .*sideways"):
        model.sample(Image.new("L", (8, 8)), direction="sideways")


def test_a_picture_is_made_one_of_the_label_that_is_named(images):
    data = Domains(of=images(16, labels=("a", "b")), styles=[])
    model = Model(ToDomain(Players({"generator": Shift(0.0)})), {}, data.codec, "runs/x", CPU)
    (made,) = model.sample(Image.new("L", (8, 8), 0), to="B")
    assert shade(made) == 128
    with pytest.raises(UsageError, match="there is no label 'c'"):
        model.sample(Image.new("L", (8, 8)), to="c")
    with pytest.raises(UsageError, match=r"what is to be made of the image.*to=a\nlabels: a, b"):
        model.sample(Image.new("L", (8, 8)))


class Brightness:
    """Sees label 1 in images whose first pixel is bright, 0 in others."""

    name, key, digest = "brightness", "brightness", ""

    def check(self, data):
        pass

    def fit(self, data, device):
        pass

    def logits(self, images):
        bright = (images[:, 0, 0, 0] > 0).float()
        return torch.stack([1 - bright, bright], 1)


def bright_and_dark(images):
    """Images that are bright where their label is 1, but for one."""
    source = images(16, held=10)
    for split in (source.train, source.heldout):
        rows = split.rows()
        rows["image"][:] = (200 * rows["label"] + 20)[:, None, None, None].to(torch.uint8)
    source.heldout.rows()["image"][0] = 250
    return source


def context(data, *, forth, back):
    sampler = BothWays(Players({"to_image": forth, "to_input": back}))
    return MetricContext(sampler.players, data, sampler=sampler, device=CPU, batch_size=4)


class Inverting(Shift):
    def forward(self, images):
        return -images


def test_labels_are_kept_by_who_inverts_what_was_inverted_and_not_by_copies(images):
    game = context(Unpaired(image=bright_and_dark(images)), forth=Inverting(0), back=Shift(0))
    metric = LabelKept(extractor=Brightness())
    metric.check(game)
    figures = metric(game)
    assert (figures["label_kept"].value, figures["label_kept"].real) == (0.9, 0.9)
    assert figures["label_kept_by_copying"].value == pytest.approx(0.1)
    assert metric.protocol(game) == {"samples": 10, "extractor": "brightness"}


def test_the_way_back_is_measured_on_its_own_samples_and_images(images):
    game = context(Unpaired(image=bright_and_dark(images)), forth=Inverting(0), back=Shift(0))
    metric = LabelKept(extractor=Brightness(), direction="to_input")
    metric.check(game)
    figures = metric(game)
    # What is bright is dark on this side, which this extractor does not learn.
    assert figures["label_kept_to_input"].value == 0.9
    assert figures["label_kept_to_input"].real == pytest.approx(0.1)


def test_data_of_which_nobody_knows_what_is_kept_are_refused(images):
    for data in (Unpaired(image=images(16, labels=())), SimpleNamespace()):
        with pytest.raises(UsageError, match="needs data whose inputs have the labels of the images"):
            LabelKept(extractor=Brightness()).check(context(data, forth=Shift(0), back=Shift(0)))
