"""Scenes, their captions and their pictures: what is drawn is read again, what is written is understood again."""

import random

import pytest
import torch

from gangen import DataError
from gangen_conditional.data.captions import Said, Thing, judge, stands, understand
from gangen_conditional.data.scenes import BACKGROUND, COLOURS, SHAPES, paint, random_scenes, read
from gangen_conditional.data.shapes import LabelledShapes, Shapes, caption_all, draw_scenes, is_unseen


def scenes_of(n, most=3, seed=0):
    return random_scenes(n, most, torch.Generator().manual_seed(seed))


def objects(scenes):
    """The objects of each scene, in an order of their own."""
    return [sorted(it for it in rows if it[1] >= 0) for rows in scenes.tolist()]


@pytest.mark.parametrize("size", [16, 32, 40])
def test_pictures_are_read_as_they_were_drawn(size):
    scenes = scenes_of(1000)
    assert objects(read(paint(scenes, size))) == objects(scenes)


def test_pictures_with_noise_are_read_nearly_always():
    scenes = scenes_of(1000)
    noisy = paint(scenes, 32) + 20 * torch.randn(1000, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    kinds = ([[it[:3] for it in rows] for rows in objects(each)] for each in (read(noisy.clamp(0, 255).byte()), scenes))
    assert sum(one == other for one, other in zip(*kinds, strict=True)) >= 990


def test_pictures_show_colours_on_the_ground_and_nothing_touches():
    scenes = torch.tensor([[[1, 2, 1, 10, 12], [0, 0, 0, 24, 12], [-1] * 5]])
    (picture,) = paint(scenes, 32).permute(0, 2, 3, 1)
    assert picture[12, 10].tolist() == list(COLOURS["blue"]) and picture[12, 24].tolist() == list(COLOURS["red"])
    assert picture[12, 4:17].eq(torch.tensor(COLOURS["blue"])).all()  # 13 pixels
    assert picture[12, 3].tolist() == picture[12, 17].tolist() == list(BACKGROUND)
    assert all(len(set(it[:2] for it in map(tuple, rows))) == len(rows) for rows in objects(scenes_of(500)))


def test_what_is_like_no_shape_is_an_object_without_one():
    pictures = torch.tensor(BACKGROUND, dtype=torch.uint8).reshape(1, 3, 1, 1).repeat(1, 1, 32, 32)
    pictures[0, :, 10, 4:28] = torch.tensor(COLOURS["green"], dtype=torch.uint8)[:, None]
    pictures[0, :, 20, 20] = 255  # a speck
    assert [it[:3] for it in read(pictures)[0].tolist() if it[1] >= 0] == [[-1, list(COLOURS).index("green"), -1]]


def test_captions_are_understood_and_right_about_their_scenes():
    scenes = scenes_of(2000)
    captions = caption_all(scenes, random.Random(0))
    assert all(judge(understand(text), rows).all for text, rows in zip(captions, objects(scenes), strict=True))
    wrong = [judge(understand(text), rows).objects for text, rows in zip(captions, objects(scenes)[1:], strict=False)]
    assert sum(wrong) < 0.03 * len(wrong)
    assert len(set(captions)) > 1500


@pytest.mark.parametrize(
    ("caption", "right"),
    [
        ("a small red circle above a blue square", (True, True, True)),
        ("below a little red circle is a large blue square", (True, False, True)),
        ("above a blue square there is a red circle", (True, True, True)),
        ("there is a blue square under a red circle", (True, True, True)),
        ("a blue square is to the left of a red circle", (True, True, False)),
        ("a large red circle over a blue square", (True, False, True)),
        ("a red square above a blue circle", (False, False, False)),
        ("a red circle", (False, False, False)),
        ("a red circle above a blue square and left of a green cross", (False, False, False)),
        ("a red circle above", (False, False, False)),
        ("above a red circle above a blue square", (False, False, False)),
    ],
)
def test_captions_are_judged_by_what_is_there(caption, right):
    square, circle = SHAPES.index("square"), SHAPES.index("circle")
    there = [[square, 2, 0, 10, 20], [circle, 0, 0, 12, 8]]
    assert tuple(judge(understand(caption), there)) == right


def test_a_caption_of_three_says_how_the_first_stands_to_both():
    said = understand("a picture of a red circle left of a big blue cross and under a cyan triangle")
    assert said == Said((Thing(0, 0, None), Thing(3, 2, 1), Thing(2, 5, None)), ((2, 1), (1, 2)))
    assert stands([0, 0, 0, 3, 9], [0, 0, 0, 9, 5]) == 2


def test_what_is_held_out_was_never_trained_on_but_its_parts_were():
    train, held = draw_scenes(2000, 300, 3, seed=1)
    kinds = [{tuple(it[:3]) for rows in objects(side) for it in rows} for side in (train, held)]
    new = kinds[1] - kinds[0]
    assert len(new) == 8 and len(kinds[0]) == 40
    assert not is_unseen(train).any() and is_unseen(held).any(1).all()
    for left_out in range(3):  # the other two
        pairs = [{it[:left_out] + it[left_out + 1 :] for it in side} for side in (kinds[0], new)]
        assert pairs[1] <= pairs[0]


@pytest.mark.parametrize("to", ["image", "text"])
def test_rows_are_pictures_and_their_captions(to):
    data = Shapes(to=to, scenes=50, heldout=20, seed=3)
    again = Shapes(to=to, scenes=50, heldout=20, seed=3)
    rows = data.heldout.rows()
    assert list(rows) == [{"image": "image", "text": "tokens"}[to], "input", "scene"]
    assert all(torch.equal(rows[name], again.heldout.rows()[name]) for name in rows)
    pictures, tokens = (rows["image"], rows["input"]) if to == "image" else (rows["input"], rows["tokens"])
    texts = data.codec.input.codec if to == "image" else data.codec
    assert torch.equal(pictures, paint(rows["scene"], 32))
    said = map(understand, texts.decode(tokens))
    assert all(judge(it, there).all for it, there in zip(said, objects(rows["scene"]), strict=True))
    sheet = data.sheet()
    assert len(sheet) == 8 and list(sheet[0].condition) == ["input"]
    assert sheet[0].title == (texts.decode(tokens[:1])[0] if to == "image" else "")


def test_rows_that_are_too_short_for_captions_are_told_of():
    with pytest.raises(DataError, match=r"captions have up to \d+ tokens with their end; set data.max_length"):
        Shapes(scenes=50, heldout=20, max_length=12)


@pytest.mark.parametrize("labels", ["colour", "shape"])
def test_single_shapes_carry_their_label(labels):
    data = LabelledShapes(labels=labels, scenes=200)
    rows = data.heldout.rows()
    column = {"colour": 1, "shape": 0}[labels]
    assert torch.equal(read(rows["image"])[:, 0, column], rows["label"])
    assert data.codec.spec.labels == {"colour": tuple(COLOURS), "shape": SHAPES}[labels]
