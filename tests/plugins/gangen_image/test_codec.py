"""Labels become conditions, samples become pictures, and a saved codec is the same codec."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from gangen import TensorSplit
from gangen.contracts import SheetRow
from gangen.errors import DataError, UsageError
from gangen.testing import check_codec
from gangen_image.codec import ImageCodec
from gangen_image.spec import ImageSpec, PointSpec

LABELS = ("cat", "dog", "Sea Lion")


def opened(path):
    with Image.open(path) as picture:
        picture.load()
    return picture


def codec(channels=3, size=8, labels=LABELS):
    return ImageCodec(ImageSpec(channels, size, labels))


def test_a_label_is_the_condition():
    made = codec()
    assert made.prompts() == list(LABELS)
    for prompt in ("Sea Lion", " sea lion ", "SEA LION"):
        assert made.encode(prompt, 3)["label"].tolist() == [2, 2, 2]
    assert made.encode("dog", 2)["label"].dtype == torch.int64


@pytest.mark.parametrize("prompt", [None, "", "  "])
def test_no_prompt_lets_labels_take_turns(prompt):
    assert codec().encode(prompt, 5)["label"].tolist() == [0, 1, 2, 0, 1]
    assert codec(labels=()).encode(prompt, 5) == {}
    assert codec(labels=()).prompts() == [""]


def test_an_unknown_label_is_refused_with_the_known_ones():
    with pytest.raises(UsageError, match="no label 'cats'; did you mean 'cat'") as refusal:
        codec().encode("cats", 1)
    assert "cat, dog, Sea Lion" in str(refusal.value)
    with pytest.raises(UsageError, match="no labels, so 'cat' means nothing"):
        codec(labels=()).encode("cat", 1)


@pytest.mark.parametrize(("channels", "mode"), [(1, "L"), (3, "RGB")])
def test_samples_become_pictures(channels, mode):
    samples = torch.full((2, channels, 8, 8), -1.0)
    samples[0, 0, 2, 5] = 1.0
    samples[1] = 7.0
    first, second = codec(channels).decode(samples)
    assert first.mode == mode and first.size == (8, 8)
    assert np.asarray(first).reshape(8, 8, channels)[2, 5].tolist() == [255, 0, 0][:channels]
    assert np.asarray(second).min() == 255


def test_data_and_what_networks_see_of_it_decode_alike():
    made = codec()
    pixels = torch.arange(192, dtype=torch.uint8).reshape(1, 3, 8, 8)
    prepared = made.spec.prepare(pixels)
    assert prepared.dtype == torch.get_default_dtype()
    assert made.spec.prepare(torch.tensor([0, 255], dtype=torch.uint8)).tolist() == [-1, 1]
    for samples in (pixels, prepared):
        back = np.asarray(made.decode(samples)[0])
        assert (back == pixels[0].permute(1, 2, 0).numpy()).all()


def test_specs_tell_the_shape_of_a_sample():
    assert ImageSpec(3, 8).shape == (3, 8, 8)
    assert PointSpec().shape == (2,)
    assert PointSpec().prepare(torch.tensor([[2.5, -4.0]])).tolist() == [[2.5, -4.0]]


def test_one_sample_is_written_as_it_is(tmp_path):
    made = codec()
    picture = made.decode(torch.randint(256, (1, 3, 8, 8), dtype=torch.uint8))
    made.write(picture, tmp_path / "one.PNG")
    assert (np.asarray(opened(tmp_path / "one.PNG")) == np.asarray(picture[0])).all()


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp"])
@pytest.mark.parametrize("channels", [1, 3])
def test_several_samples_are_written_as_a_grid(suffix, channels, tmp_path):
    made = codec(channels)
    made.write(made.decode(torch.zeros(5, channels, 8, 8)), tmp_path / f"some{suffix}")
    width, height = opened(tmp_path / f"some{suffix}").size
    assert 3 * 8 <= width < 4 * 8 + 8 and 2 * 8 <= height < 3 * 8


def test_grids_are_read_like_text(tmp_path):
    made = codec(1)
    samples = torch.full((4, 1, 8, 8), -1.0)
    samples[1] = 0.0
    made.write(made.decode(samples), tmp_path / "grid.png")
    grid = np.asarray(opened(tmp_path / "grid.png"))
    assert grid[6, 16] == 128 and grid[16, 6] == 0


def test_rows_are_written_as_long_as_asked_for(tmp_path):
    made = codec(1)
    dark, light = torch.zeros(1, 8, 8, dtype=torch.uint8), torch.full((1, 8, 8), 200, dtype=torch.uint8)
    made.write(made.decode(torch.stack([dark, light, light] * 2)), tmp_path / "rows.png", columns=3)
    pixels = np.asarray(opened(tmp_path / "rows.png"))
    assert pixels.shape == (2 + 2 * 10, 2 + 3 * 10)
    assert pixels[4::10, 4::10].tolist() == [[0, 200, 200]] * 2


@pytest.mark.parametrize("name", ["samples.txt", "samples", "samples.xyz"])
def test_an_unknown_format_is_refused(name, tmp_path):
    made = codec()
    with pytest.raises(UsageError, match=r"no image format; use \.png"):
        made.write(made.decode(torch.zeros(1, 3, 8, 8)), tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_a_sheet_has_a_named_row_for_each_label(tmp_path):
    made = codec(1)
    shades = {"cat": 0, "dog": 100, "Sea Lion": 200}
    flat = {name: torch.full((4, 1, 8, 8), shade, dtype=torch.uint8) for name, shade in shades.items()}
    sheet = [SheetRow(name, samples=made.decode(images)) for name, images in flat.items()]
    path = made.render(sheet, tmp_path / "step-0.5")
    assert path == tmp_path / "step-0.5.png"
    pixels = np.asarray(opened(path))
    third = pixels.shape[0] // 3
    right = pixels[third // 2 :: third, -100:]
    assert [row.min() for row in right] == [0, 100, 200]
    names = pixels[:, :20].reshape(3, -1)
    assert (names[2] < 128).any(), "the longest name begins at the left edge"


def test_a_sheet_without_labels_is_a_square(tmp_path):
    made = codec(3, labels=())
    path = made.render([SheetRow("", samples=made.decode(torch.zeros(made.per_prompt, 3, 8, 8)))], tmp_path / "sheet")
    width, height = opened(path).size
    assert width == height
    assert codec().per_prompt < made.per_prompt


def test_labels_of_any_length_and_script_can_be_drawn(tmp_path):
    made = codec(3, labels=("", "x" * 500, "\ue000\n\udcff"))
    sheet = [SheetRow(name, samples=made.decode(torch.zeros(2, 3, 8, 8))) for name in made.prompts()]
    picture, legend = made.render(sheet, tmp_path / "sheet")
    assert opened(picture).width < 600
    assert legend.name == "sheet.txt"
    assert legend.read_text(encoding="utf-8") == f"#2 = {'x' * 500}\n#3 = \ue000 \\udcff\n"


def test_numbers_of_rows_are_explained_on_the_screen():
    made = codec(3, labels=("cat", "\ue000", "\ue001 dog"))
    sheet = [SheetRow(name, samples=made.decode(torch.zeros(2, 3, 8, 8))) for name in made.prompts()]
    assert made.preview(sheet) == "#2 = \ue000, #3 = \ue001 dog"
    assert made.preview(sheet[:1]) == ""


def test_a_sheet_of_some_labels_says_of_how_many(tmp_path):
    made = codec(3, labels=("cat", "dog", "eel"))
    sheet = [SheetRow(name, samples=made.decode(torch.zeros(1, 3, 8, 8))) for name in made.prompts()]
    some, everything = (opened(made.render(rows, tmp_path / "sheet")) for rows in (sheet[:2], sheet))
    line = some.height - everything.height * 2 // 3
    assert 14 <= line < 30
    below = np.asarray(some.convert("L"))[-line:]
    assert (below < 128).any(), "2 of 3 labels"
    others = [SheetRow("sample", samples=sheet[0].samples), SheetRow("nearest", samples=sheet[0].samples)]
    assert opened(made.render(others, tmp_path / "sheet")).height == everything.height * 2 // 3


def test_a_sheet_may_lack_images_of_a_label(tmp_path):
    made = codec(1)
    sheet = [SheetRow("cat", samples=made.decode(torch.zeros(2, 1, 8, 8))), SheetRow("dog")]
    assert opened(made.render(sheet, tmp_path / "reals")).height < 2 * 64


def test_a_sheet_shows_input_sample_and_truth_side_by_side(tmp_path):
    made = codec(3, 64)
    images = {name: Image.new("RGB", (64, 64), name) for name in ("red", "lime", "blue")}
    beside = {"truth": images["blue"], "input": images["red"].resize((32, 32))}
    path = made.render([SheetRow("", beside=beside, samples=[images["lime"]])] * 2, tmp_path / "sheet")
    pixels = np.asarray(opened(path))
    middle = pixels[pixels.shape[0] // 4 + 8]
    solid = [tuple(int(value) for value in middle[-66 * (3 - column) + 32]) for column in range(3)]
    assert solid == [(255, 0, 0), (0, 255, 0), (0, 0, 255)]
    assert (pixels[:16, :66].min(2) < 128).any(), "the input is named above"
    colours = made.render([SheetRow("", beside={"input": images["red"].convert("L")}, samples=[images["lime"]])], path)
    assert opened(colours).mode == "RGB"


def test_a_saved_codec_is_the_same_codec(tmp_path):
    made = codec(1, 32, ("naïve", "犬"))
    images = TensorSplit(image=torch.randint(256, (8, 1, 32, 32), dtype=torch.uint8))
    check_codec(SimpleNamespace(codec=made, codec_class=ImageCodec, train=images))
    (tmp_path / "codec.json").write_text("{}")
    with pytest.raises(DataError, match=r"codec\.json cannot be read"):
        ImageCodec.load(tmp_path)
