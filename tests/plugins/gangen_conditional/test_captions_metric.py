"""Captions are right where they say what is there, in whatever words."""

from types import SimpleNamespace

import pytest
import torch

from gangen.errors import UsageError
from gangen.metrics.context import MetricContext
from gangen.networks import Players
from gangen_conditional.data.scenes import COLOURS
from gangen_conditional.data.shapes import Shapes
from gangen_conditional.metrics.captions import Captions


@pytest.fixture(scope="module")
def data():
    return Shapes(to="text", scenes=20, heldout=60)


def figures(data, caption_of):
    """Of a generator that says ``caption_of`` the true caption of the picture that it is shown."""
    rows = data.heldout.rows()
    true = dict(zip((it.numpy().tobytes() for it in rows["input"]), data.codec.decode(rows["tokens"]), strict=True))

    def sample(n, condition):
        said = [caption_of(true[it.numpy().tobytes()]) for it in condition["input"]]
        return data.codec.pack(data.codec.tokenize(said))

    generator = torch.nn.Module()
    generator.sample = sample
    context = MetricContext(Players({"generator": generator}), data, device=torch.device("cpu"), batch_size=30)
    return Captions()(context)


def test_the_truth_is_right(data):
    found = figures(data, lambda caption: caption)
    assert found["captions"].value == found["captions"].real == found["captions_objects"].value == 1
    assert found["sizes_said"].value == found["sizes_said"].real > 0.5
    assert found["captions_swapped"].value < 0.1


def test_other_words_are_as_right(data):
    swapped = {"big": "large", "little": "small", "over": "above", "under": "below"}
    found = figures(data, lambda caption: " ".join(swapped.get(word, word) for word in caption.split()))
    assert found["captions"].value == 1


def test_sizes_may_be_left_out_and_that_is_told(data):
    sizes = ("big", "large", "small", "little")
    found = figures(data, lambda caption: " ".join(word for word in caption.split() if word not in sizes))
    assert found["captions"].value == 1 and found["sizes_said"].value == 0


def test_wrong_sizes_relations_and_colours_are_wrong(data):
    def changed(words):
        return figures(data, lambda caption: " ".join(words.get(word, word) for word in caption.split()))

    sizes = changed({"big": "small", "large": "little", "small": "big", "little": "large"})
    assert sizes["captions"].value == 0 and sizes["captions_objects"].value == 1  # one is said in each
    turned = {"above": "below", "over": "under", "left": "right"}
    places = changed(turned | {after: before for before, after in turned.items()})
    alone = (data.heldout.rows()["scene"][:, 1, 0] < 0).float().mean()  # of one object there is nothing to say
    assert places["captions"].value == pytest.approx(alone.item()) and places["captions_objects"].value == 1
    colours = changed(dict(zip(COLOURS, [*list(COLOURS)[1:], "red"], strict=True)))
    assert colours["captions"].value == colours["captions_objects"].value == 0


def test_what_is_no_sentence_is_wrong(data):
    found = figures(data, lambda caption: f"{caption} and a")
    assert found["captions"].value == found["sizes_said"].value == 0


@pytest.mark.parametrize("other", [Shapes(to="image", scenes=5, heldout=5), SimpleNamespace()])
def test_other_data_are_refused(other):
    with pytest.raises(UsageError, match="use conditional/shapes with to: text"):
        Captions().check(SimpleNamespace(data=other))
