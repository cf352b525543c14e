"""What prompts become where samples are made from something, and what is said of those that mean nothing."""

import numpy as np
import pytest
import torch
from PIL import Image

from gangen import DataError, SheetRow, UsageError
from gangen_conditional.codecs.inputs import ImageInput
from gangen_conditional.codecs.output import ImageFromCodec, TextFromCodec
from gangen_image import ImageSpec
from gangen_text import TextInput, make_codec

SENTENCES = ["a red circle", "a blue square", "two green circles"]


@pytest.fixture
def texts():
    return make_codec(SENTENCES, [], tokenizer="words", vocab_size=100, max_length=6)


@pytest.fixture(params=["image", "text"])
def codec(request, texts):
    """From an image to a text, or from a text to an image."""
    if request.param == "text":
        return TextFromCodec(texts, ImageInput(ImageSpec(3, 8), "pad"))
    return ImageFromCodec(ImageSpec(1, 8, ("a", "b")), TextInput(texts, "a caption"))


def test_a_picture_and_its_path_are_the_same_prompt(texts, tmp_path):
    codec = TextFromCodec(texts, ImageInput(ImageSpec(3, 8)))
    picture = Image.effect_noise((16, 16), 90).convert("RGB")
    picture.save(tmp_path / "picture.png")
    condition = codec.encode(picture, 3)
    assert condition["input"].shape == (3, 3, 8, 8) and condition["input"].dtype == torch.uint8
    assert condition["input"].equal(codec.encode(str(tmp_path / "picture.png"), 3)["input"])
    assert (
        codec.input.decode(condition["input"])[0].tobytes() == condition["input"][0].permute(1, 2, 0).numpy().tobytes()
    )


def test_a_text_becomes_its_tokens(texts):
    codec = ImageFromCodec(ImageSpec(1, 8), TextInput(texts))
    rows = codec.encode("a blue square", 2)["input"]
    assert rows.shape == (2, 6) and codec.input.decode(rows) == ["a blue square"] * 2


@pytest.mark.parametrize("prompt", [None, "", "  "])
def test_nothing_is_no_prompt(codec, prompt):
    with pytest.raises(UsageError, match=f"this model takes {codec.takes}"):
        codec.encode(prompt, 1)


def test_unknown_words_are_named(texts):
    codec = ImageFromCodec(ImageSpec(1, 8), TextInput(texts, "a caption"))
    with pytest.raises(
        UsageError, match=r"does not know 'purple', 'cirle'; did you mean 'circle'\?\nit takes a caption"
    ):
        codec.encode("a purple cirle", 1)
    with pytest.raises(UsageError, match="has 6 tokens; this model reads 5 at most"):
        codec.encode("a red red red red circle", 1)


@pytest.mark.parametrize(
    ("content", "reason"),
    [(None, "there is no picture '.*picture.png'"), (b"GIF89a but no picture", "picture.png cannot be read")],
)
def test_a_path_that_is_no_picture_says_what_the_model_takes(texts, tmp_path, content, reason):
    path = tmp_path / "picture.png"
    if content:
        path.write_bytes(content)
    with pytest.raises(UsageError, match=f"{reason}.*: this model takes an image, or the path of one"):
        TextFromCodec(texts, ImageInput(ImageSpec(3, 8))).encode(str(path), 1)


def test_both_sides_are_saved(codec, tmp_path):
    codec.save(tmp_path)
    again = type(codec).load(tmp_path)
    assert again.spec == codec.spec and again.takes == codec.takes and again.input.options == codec.input.options
    (tmp_path / "input.json").write_text('{"kind": "os"}')
    with pytest.raises(DataError, match=r"input.json cannot be read"):
        type(codec).load(tmp_path)


def sheet_of(input):
    return [SheetRow("", 2, beside={"input": input, "truth": "a red circle"}, samples=["a blue square", "green"])]


def test_captions_are_drawn_beside_their_picture(texts, tmp_path):
    codec = TextFromCodec(texts, ImageInput(ImageSpec(3, 32)))
    red = Image.new("RGB", (32, 32), "red")
    assert codec.render(sheet_of(red), tmp_path / "step-1") == tmp_path / "step-1.png"
    drawn = np.asarray(Image.open(tmp_path / "step-1.png").convert("RGB")).astype(int)
    at = (drawn == [255, 0, 0]).all(2)
    assert at.sum() == 64 * 64 and at[:, :70].sum() == 64 * 64  # magnified, at the left
    assert ((drawn[:, 72:] < 128).all(2).any(1)).sum() > 20  # three lines of ink
    assert [path.name for path in tmp_path.iterdir()] == ["step-1.png"]


def test_captions_that_no_font_has_are_written_too(texts, tmp_path):
    codec = TextFromCodec(texts, ImageInput(ImageSpec(3, 32)))
    row = SheetRow("", 1, beside={"input": Image.new("RGB", (32, 32)), "truth": "\ue000"}, samples=["green"])
    drawn, written = codec.render([row], tmp_path / "step-1")
    assert drawn.suffix == ".png" and written.read_text(encoding="utf-8") == "green\ntruth: \ue000\n"


def test_texts_from_texts_are_a_text(texts, tmp_path):
    codec = TextFromCodec(texts, TextInput(texts))
    path = codec.render(sheet_of("ein Kreis"), tmp_path / "step-1")
    assert path.name == "step-1.txt"
    assert path.read_text() == "input: ein Kreis\na blue square\ngreen\ntruth: a red circle\n"
    assert codec.preview(sheet_of("ein Kreis")) == "input: ein Kreis | a blue square | truth: a red circle"
    codec = TextFromCodec(texts, ImageInput(ImageSpec(3, 32)))
    assert codec.preview(sheet_of(Image.new("RGB", (32, 32)))) == "a blue square | truth: a red circle"
