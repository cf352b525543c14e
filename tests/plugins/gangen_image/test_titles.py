"""Names are drawn whole where this machine has a font for them; else it is known what of them can be."""

from importlib.util import find_spec
from pathlib import Path

import pytest
from PIL import features

from gangen_image import titles
from gangen_image.titles import title_of, wrapped_title_of

DEJAVU = Path(find_spec("matplotlib").origin).with_name("mpl-data") / "fonts/ttf/DejaVuSans.ttf"


def forget():
    for remembered in (titles._fonts, titles._drawable, titles._glyph, titles._by_character):
        remembered.cache_clear()


@pytest.fixture(params=[True, False], ids=["raqm", "basic"])
def raqm(request, monkeypatch):
    """With the font DejaVu Sans, whatever else this machine has; returns whether Pillow shapes text."""
    monkeypatch.setattr(titles, "FONTS", (str(DEJAVU),))
    if request.param and not features.check("raqm"):
        pytest.skip("Pillow comes without raqm here")
    monkeypatch.setattr(features, "check", lambda name: request.param)
    forget()
    yield request.param
    forget()


@pytest.fixture
def no_fonts(monkeypatch):
    monkeypatch.setattr(titles, "FONTS", ())
    monkeypatch.setattr(titles, "find_spec", lambda name: None)
    forget()
    yield
    forget()


@pytest.mark.parametrize("name", ["cat", "Überraschung", "cafe\u0301", "собака", "Ελληνικά", "łódź “a”", "7", ""])
def test_names_are_drawn_whole_where_a_font_has_their_letters(name, raqm):
    title = title_of(name)
    assert title.whole
    assert len(title.shown) == len(name.replace("e\u0301", "é"))


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("犬", ""),
        ("犬 dog", "dog"),
        ("a big 🐕 here", "a big here"),
        ("tab\tand\nline", "tab and line"),
        ("\u200b", "\u200b"),
        ("\udcff.raw", ".raw"),
        ("a very long name of a class", "a very long name of a c…"),
        ("犬" * 30 + "x", "x"),
    ],
)
def test_of_other_names_what_can_be_drawn_is_known(name, shown, raqm):
    title = title_of(name)
    assert title.shown == shown
    assert title.whole == (name == "tab\tand\nline")


@pytest.mark.parametrize("name", ["שלום", "مرحبا", "q\u0303"])
def test_names_that_must_be_shaped_are_drawn_where_pillow_can_shape_them(name, raqm):
    assert title_of(name).whole == raqm


def test_a_mark_that_no_font_has_is_not_drawn_upon_a_circle(raqm):
    assert title_of("हिन्दी").shown == ""


def test_ascii_names_look_the_same_on_every_machine(raqm):
    assert title_of("cat").font is titles._fonts()[0]
    assert title_of("Katze ä").font is titles._fonts()[1]


def test_without_fonts_there_is_that_of_pillow(no_fonts):
    assert title_of("cat") == ("cat", titles._fonts()[0], True)
    assert title_of("Äpfel").shown == "pfel"
    assert not title_of("Äpfel").whole


def test_longer_names_are_wrapped_where_four_lines_hold_them():
    long = "there is a purple cross to the left of a large purple square and over a big yellow circle"
    title = wrapped_title_of(long)
    assert title.whole and title.shown.replace("\n", " ") == long
    assert title.shown.count("\n") == 2 and max(map(len, title.shown.split("\n"))) <= 32
    assert wrapped_title_of("a cat") == title_of("a cat")
    assert wrapped_title_of("word " * 40) == title_of("word " * 40)
