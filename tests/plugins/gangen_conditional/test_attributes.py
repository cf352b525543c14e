"""Pictures of shapes are measured by what their captions say."""

import pytest
import torch

from gangen import Figure, MetricContext, Players, UsageError
from gangen_conditional.data.pairs import Pairs
from gangen_conditional.data.shapes import Shapes
from gangen_conditional.metrics.attributes import Attributes


class Draws:
    """Draws for held-out captions, in the order in which a metric asks for them, what ``change`` makes of the truth."""

    networks = ()

    def __init__(self, data, change):
        self.data, self.change = data, change

    def sample(self, n, condition=None):
        rows = self.data.heldout.batch(0, range(n), n, seed=0, device="cpu")
        assert torch.equal(rows["input"], condition["input"]) and list(condition) == ["input"]
        return self.change(self.data.codec.spec.prepare(rows["image"]))


def figures(change, samples=60):
    data = Shapes(scenes=20, heldout=60)
    context = MetricContext(
        Players({}), data, sampler=Draws(data, change), device=torch.device("cpu"), batch_size=samples
    )
    return Attributes(samples=samples)(context)


def test_the_truth_is_right_in_all():
    right = Figure(1.0, 1.0, "high")
    names = ("objects_right", "sizes_right", "relations_right", "caption_right")
    assert figures(lambda images: images) == dict.fromkeys(names, right)


def test_pictures_upside_down_have_other_relations_and_triangles():
    found = figures(lambda images: images.flip(2))
    assert 0 < found["relations_right"].value < found["objects_right"].value < 1


def test_pictures_of_other_captions_and_of_nothing_are_wrong():
    assert figures(lambda images: images.roll(1, 0))["objects_right"].value < 0.1
    assert figures(lambda images: images * 0)["objects_right"].value == 0


def test_other_data_are_refused():
    context = MetricContext(Players({}), Pairs(), device=torch.device("cpu"))
    with pytest.raises(UsageError, match="is for conditional/shapes with to: image"):
        Attributes().check(context)
