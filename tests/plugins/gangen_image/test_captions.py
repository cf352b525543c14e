"""Pictures with texts beside them: nothing is cut off or overlaps."""

import numpy as np
from PIL import Image

from gangen_image.captions import captioned


def ink(image):
    """Where there is neither white nor the red of the pictures."""
    pixels = np.asarray(image).astype(int)
    return (pixels[:, :, 0] < 128) & (pixels[:, :, 1] < 128)


def test_every_line_has_room():
    red = Image.new("RGB", (64, 64), "red")
    one, whole = captioned([(red, ["a cat"])])
    many, _ = captioned([(red, ["a cat"] * 9)])
    assert whole and one.height < 80
    assert ink(many).sum() == 9 * ink(one).sum()
    assert not ink(many)[-1].any() and not ink(many)[:, -1].any()


def test_long_texts_are_wrapped():
    red = Image.new("RGB", (64, 64), "red")
    image, whole = captioned([(red, ["a cat " * 40])])
    lines = ink(image).any(1).astype(int)
    assert whole and image.width < 1000
    assert (np.diff(lines) == 1).sum() >= 3


def test_grey_pictures_and_colours_stand_together():
    grey, red = Image.new("L", (100, 100), 200), Image.new("RGB", (16, 16), "red")
    image, _ = captioned([(grey, [""]), (red, ["a\nb"])])
    pixels = np.asarray(image)
    assert (pixels[4:104, 4:104] == 200).all()
    assert (pixels == [255, 0, 0]).all(2).sum() == 64 * 64


def test_what_no_font_has_is_told():
    _, whole = captioned([(Image.new("L", (8, 8)), ["a cat", "\ue000"])])
    assert not whole
