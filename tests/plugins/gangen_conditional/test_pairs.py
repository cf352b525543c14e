"""Pairs of pictures: from tables and folders, or derived; which is which, what is matched, each fault named."""

import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from gangen import DataError, TensorSplit, UsageError
from gangen_conditional.data.derived import DERIVED
from gangen_conditional.data.pairs import Pairs
from gangen_image import ImageCodec, ImageSpec


def picture(number, size=(16, 16), mode="RGB"):
    """Of a single shade that says which it is, but for a bright stripe at the left."""
    image = Image.new(mode, size, (10 + 5 * number,) * 3 if mode == "RGB" else 10 + 5 * number)
    image.paste(Image.new(mode, (size[0] // 4, size[1]), "white"))
    return image


def encoded(image):
    stream = io.BytesIO()
    image.save(stream, format="PNG")
    return {"bytes": stream.getvalue(), "path": None}


def table(path, **columns):
    pq.write_table(pa.table(columns), path)
    return str(path)


def folders(path, count=10, names=("input", "image"), offset=20, suffixes=(".png", ".png")):
    for side, (name, suffix) in enumerate(zip(names, suffixes, strict=True)):
        (path / name).mkdir(parents=True)
        for number in range(count):
            picture(number + side * offset).save(path / name / f"{number:02}{suffix}")
    return path


def shades(data):
    """(input, image) of each row, as the numbers of their pictures."""
    rows = [side.rows() for side in (data.train, data.heldout)]
    columns = [torch.cat([it[name] for it in rows])[:, 0, -1, -1] for name in ("input", "image")]
    return sorted(zip(*(((column.int() - 10) // 5).tolist() for column in columns), strict=True))


def test_two_columns_of_a_table_are_pairs(tmp_path):
    photos, labels = ([encoded(picture(number + side)) for number in range(10)] for side in (0, 20))
    path = table(tmp_path / "pairs.parquet", photo=photos, labels=labels)
    data = Pairs(path=path, input="labels", size=16)
    assert shades(data) == [(number + 20, number) for number in range(10)]
    assert (len(data.train), len(data.heldout)) == (9, 1)
    assert str(data.accounts[0]) == f"{path}: 10 pairs: 9 to train on, 1 held out"
    assert shades(Pairs(path=path, image="labels", size=16)) == [(number, number + 20) for number in range(10)]


def test_files_of_two_sub_folders_are_matched_by_their_names(tmp_path):
    data = Pairs(path=str(folders(tmp_path / "pairs", suffixes=(".png", ".webp"))), size=16, color="grey")
    assert all(abs(image - given - 20) <= 1 for given, image in shades(data))
    assert data.codec.spec.channels == 1
    assert data.codec.spec.input == ImageSpec(3, 16)


def test_splits_of_a_folder_are_told_apart(tmp_path):
    folders(tmp_path / "pairs/train", 6)
    folders(tmp_path / "pairs/test", 4)
    data = Pairs(path=str(tmp_path / "pairs"), heldout="test", size=16)
    assert (len(data.train), len(data.heldout)) == (6, 4)


@pytest.mark.parametrize("options", [{"input": "b", "image": "a"}, {"input": "b"}, {"image": "a"}])
def test_sides_are_named(options, tmp_path):
    data = Pairs(path=str(folders(tmp_path / "pairs", names=("b", "a"))), size=16, **options)
    assert shades(data) == [(number, number + 20) for number in range(10)]


def test_a_sub_folder_called_as_a_way_to_derive_is_read(tmp_path):
    data = Pairs(path=str(folders(tmp_path / "pairs", names=("edges", "photos"))), input="edges", size=16)
    assert shades(data) == [(number, number + 20) for number in range(10)]


@pytest.mark.parametrize("how", ["auto", "edges", "grey", "low_resolution", "same"])
def test_an_input_is_derived_from_pictures_by_themselves(how, tmp_path):
    for number in range(10):
        picture(number).save(tmp_path / f"{number}.png")
    rows = Pairs(path=str(tmp_path), input=how, size=16).train.rows()
    assert torch.equal(rows["input"], DERIVED["edges" if how == "auto" else how](rows["image"]))


def test_a_path_goes_before_another_source(tmp_path):
    black = _Of(torch.zeros(2, 1, 8, 8, dtype=torch.uint8))
    data = Pairs(path=str(folders(tmp_path / "pairs")), of=black, size=16)
    assert shades(data) == [(number, number + 20) for number in range(10)]


def test_an_input_is_derived_from_one_of_two_columns(tmp_path):
    photos, labels = ([encoded(picture(number + side)) for number in range(10)] for side in (0, 20))
    path = table(tmp_path / "pairs.parquet", photo=photos, labels=labels)
    assert shades(Pairs(path=path, image="photo", input="same", size=16)) == [(number, number) for number in range(10)]


def test_a_small_picture_as_a_prompt_is_read_as_low_resolution_is_derived():
    small = torch.randint(256, (1, 3, 4, 4), dtype=torch.uint8)
    image = small.repeat_interleave(4, 2).repeat_interleave(4, 3)
    derived = DERIVED["low_resolution"](image)
    prompt = Image.fromarray(small[0].permute(1, 2, 0).numpy())
    data = Pairs(of=_Of(image.expand(4, -1, -1, -1)), input="low_resolution")
    assert torch.equal(data.codec.encode(prompt, 1)["input"], derived)


class _Of:
    """A data source of images that are all the same."""

    def __init__(self, images):
        self.codec = ImageCodec(ImageSpec(*images.shape[1:3]))
        self.train = self.heldout = TensorSplit(image=images)


def test_digits_are_built_in_and_keep_their_labels():
    data = Pairs()
    assert data.codec.spec.labels == tuple("0123456789")
    assert data.codec.spec.input == ImageSpec(1, 32)
    assert set(data.train.rows(range(2))) == {"image", "input", "label"}
    assert next(iter(data.train.rows(range(2)))) == "image"


def test_files_without_a_partner_are_named(tmp_path):
    path = folders(tmp_path / "pairs")
    (path / "image" / "03.png").unlink()
    with pytest.raises(DataError) as error:
        Pairs(path=str(path), size=16)
    assert "1 of 10 pictures in input have none of the same name in image: " in str(error.value)
    assert str(path / "input" / "03.png") in str(error.value)


def test_two_files_of_one_name_are_named(tmp_path):
    path = folders(tmp_path / "pairs")
    picture(0).save(path / "input" / "00.bmp")
    with pytest.raises(DataError, match="input has several pictures called 00"):
        Pairs(path=str(path), size=16)


def test_a_pair_of_other_proportions_is_named(tmp_path):
    path = folders(tmp_path / "pairs")
    picture(4, (16, 24)).save(path / "input" / "04.png")
    with pytest.raises(DataError, match=r"image/04.png has 16 x 16 pixels and its input 16 x 24: of a pair both"):
        Pairs(path=str(path), size=16)
    for file in (path / "input").iterdir():
        Image.open(file).resize((8, 8)).save(file)
    assert len(Pairs(path=str(path), size=16).train) == 9


def test_pairs_of_which_one_cannot_be_read_are_left_out_together(tmp_path):
    path = folders(tmp_path / "pairs")
    (path / "input" / "03.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"1 of 10 images cannot be read: .*image/03.png \(input: no image\)"):
        Pairs(path=str(path), size=16)
    data = Pairs(path=str(path), size=16, max_unreadable=0.2)
    assert shades(data) == [(number, number + 20) for number in range(10) if number != 3]
    assert "1 unreadable" in str(data.accounts[0])


@pytest.mark.parametrize(
    ("names", "options", "said"),
    [
        (("cats", "dogs"), {}, "has pictures called cats, dogs: say which to make and which to start from, as in "
         "data.image=cats data.input=dogs, or data.input=edges"),
        (("photo", "labels"), {"input": "label"}, "no column or sub-folder of pictures called 'label'; did you mean "
         "'labels'?\nit has: labels, photo; an input can also be derived: edges"),
        (("photo", "labels"), {"image": "photos"}, "pictures called 'photos'; did you mean 'photo'?"),
    ],
)  # fmt: skip
def test_what_is_no_side_is_asked_for(names, options, said, tmp_path):
    with pytest.raises(DataError) as error:
        Pairs(path=str(folders(tmp_path / "pairs", names=names)), size=16, **options)
    assert said in str(error.value)


def test_a_folder_without_pictures_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("none")
    with pytest.raises(DataError, match="holds no image"):
        Pairs(path=str(tmp_path))
    picture(0).save(tmp_path / "one.png")
    with pytest.raises(DataError, match="no column or sub-folder of pictures called 'labels'\nit has: none"):
        Pairs(path=str(tmp_path), input="labels")


def test_an_input_that_is_derived_in_no_known_way_is_refused():
    with pytest.raises(UsageError, match=r"derives no input 'edge'; did you mean 'edges'\?; choose one of edges, grey"):
        Pairs(input="edge")


def test_edges_are_white_where_brightness_changes():
    image = torch.zeros(1, 1, 8, 8, dtype=torch.uint8)
    image[:, :, :, 4:] = 255
    expected = np.zeros((8, 8), dtype=np.uint8)
    expected[:, 3:5] = 255
    assert (DERIVED["edges"](image)[0, 0].numpy() == expected).all()
    blue = torch.cat([torch.zeros(1, 2, 8, 8, dtype=torch.uint8), image], dim=1)
    assert (DERIVED["edges"](blue)[0].numpy() == expected).all()
