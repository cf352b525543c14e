"""Two kinds of pictures without pairs: what is on which side, in which order, and what is refused or told."""

from types import SimpleNamespace

import pytest
import torch

from gangen import DataError, TensorSplit
from gangen_conditional.data.unpaired import Images, Unpaired


def epoch(data, n, size=4):
    """The columns of ``n`` rows, batch by batch."""
    batches = [data.train.batch(it, range(size), size, seed=0, device="cpu") for it in range(n // size)]
    return {name: torch.cat([batch[name] for batch in batches]) for name in batches[0]}


def keys(pictures):
    return {picture.numpy().tobytes() for picture in pictures}


def test_inputs_are_derived_of_one_half_of_the_training_images_and_no_image_has_its_pair(images):
    source = images(40)
    data = Unpaired(image=source)
    rows = epoch(data, 20)
    made, start = keys(rows["image"]), keys(255 - rows["input"])
    assert (len(made), len(start)) == (20, 20)
    assert made | start == keys(source.train.rows()["image"])
    assert not made & start
    assert made != keys(epoch(Unpaired(image=source, seed=1), 20)["image"])


def test_held_out_rows_are_pairs_where_the_truth_is_known_and_shown(images):
    source = images(40)
    data = Unpaired(image=source)
    rows = data.heldout.rows()
    assert torch.equal(rows["image"], source.heldout.rows()["image"])
    assert torch.equal(rows["input"], 255 - rows["image"])
    assert torch.equal(rows["kept"], rows["label"])
    assert set(data.sheet()[0].beside) == {"input", "truth"}
    back = data.exchanged.heldout.rows()
    assert torch.equal(back["image"], rows["input"])
    assert torch.equal(back["input"], rows["image"])


def test_each_side_goes_through_its_rows_in_an_order_of_its_own():
    source = Images.of((), *({"image": torch.arange(n, dtype=torch.uint8).reshape(n, 1, 1, 1)} for n in (64, 4)))
    data = Unpaired(image=source, input=source)
    rows = epoch(data, 64)
    numbers = {side: rows[side].flatten().long() for side in ("image", "input")}
    assert numbers["image"].sort().values.equal(numbers["input"].sort().values)
    assert (numbers["image"] == numbers["input"]).sum() < 8
    part = data.train.batch(0, range(1, 3), 4, seed=0, device="cpu")
    assert part["input"].flatten().equal(rows["input"].flatten()[1:3])


def test_labels_of_inputs_are_numbers_among_those_of_the_images(images):
    data = Unpaired(image=images(16, labels=("a", "b", "c")), input=images(16, labels=("c", "a", "b")))
    rows = data.heldout.rows()
    assert rows["kept"].equal(torch.tensor([2, 0, 1])[rows["input_label"]])
    assert data.kept.codec.spec.labels == ("a", "b", "c")
    assert set(data.sheet()[0].beside) == {"input"}
    other = Unpaired(image=images(16), input=images(16, labels=("b", "z")))
    assert other.kept is None and "kept" not in other.heldout.rows()
    assert "labels, if any, differ" in str(other.accounts[-1])


def test_sides_of_very_different_sizes_are_told_of_and_as_many_are_held_out(images):
    data = Unpaired(image=images(50, held=30), input=images(8, held=5))
    assert len(data.heldout) == 5
    trained, held = data.accounts[-1].warnings
    assert "50 images and 8 inputs to train on: the smaller side is seen so much more often" in trained
    assert "30 images and 5 inputs held out" in held
    assert not Unpaired(image=images(50), input=images(20)).accounts[-1].warnings


@pytest.mark.parametrize(
    ("input", "said"),
    [
        ({"size": 12}, "images have 8 pixels a side, and inputs 12; give both the same size, as in data.input.size=8"),
        ({"channels": 3}, "images have 1 channel, and inputs 3 channels; make both grey or both coloured"),
    ],
)
def test_sides_that_differ_are_refused(input, said, images):
    with pytest.raises(DataError, match=said):
        Unpaired(image=images(16), input=images(16, **input))


def test_what_is_no_image_or_not_in_memory_is_refused(images):
    points = SimpleNamespace(codec=SimpleNamespace(spec=object()), train=[], heldout=TensorSplit(image=torch.zeros(4)))
    with pytest.raises(DataError, match="two sources of images"):
        Unpaired(image=images(16), input=points)
    stream = SimpleNamespace(codec=images(8).codec, train=object(), heldout=images(8).heldout)
    for source in (stream, points):
        with pytest.raises(DataError, match="derives inputs of images that are in memory"):
            Unpaired(image=source)
