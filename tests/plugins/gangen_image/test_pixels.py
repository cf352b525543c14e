"""What becomes of pictures is told: ranges, sizes, copies, labels; nothing is lost silently."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from datasets import ClassLabel, Features
from datasets import Dataset as Table
from datasets import Image as ImageFeature
from PIL import Image

from gangen import Account
from gangen.errors import DataError
from gangen_image.data.arrays import Arrays
from gangen_image.data.dataset import Dataset
from gangen_image.data.pixels import tell_pixels, to_pixels


@pytest.fixture
def save(tmp_path):
    """Save noise as a picture: ``save("a/1.png", low, high, dtype)``."""
    generator = np.random.default_rng(0)

    def save(name, low=0, high=256, dtype=np.uint8, size=(8, 8)):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(generator.uniform(low, high, size[::-1]).astype(dtype)).save(path)
        return path

    return save


def read(path, **options):
    data = Dataset(**{"path": str(path), "size": 8, "color": "grey", **options})
    return data, [str(it) for it in data.accounts], [warning for it in data.accounts for warning in it.warnings]


@pytest.mark.parametrize(
    ("low", "high", "dtype", "options", "brightest"),
    [
        (0, 65535, np.uint16, {}, 240),
        (0, 4095, np.uint16, {"pixel_range": (0, 4095)}, 240),
        (0, 1, np.float32, {}, 240),
        (0, 255, np.float32, {"pixel_range": (0, 255)}, 240),
        (-1000, 3000, np.int32, {"pixel_range": (-1000, 3000)}, 240),
        (0, 2, np.uint8, {"pixel_range": (0, 1)}, 255),
    ],
)
def test_ranges_of_pixels(tmp_path, save, low, high, dtype, options, brightest):
    for number in range(4):
        save(f"set/{number}.tif", low, high, dtype)
    data, _, warnings = read(tmp_path / "set", **options)
    pixels = data.train.rows()["image"]
    assert pixels.min() < 15 and pixels.max() >= brightest and not warnings


@pytest.mark.parametrize(
    ("low", "high", "message"), [(0, 255, "its values go from .* not from 0 to 1; say"), (np.nan, 1, "not finite")]
)
def test_floats_that_cannot_be_placed_are_refused(tmp_path, save, low, high, message):
    for number in range(3):
        save(f"set/{number}.tif", 0, 1, np.float32)
    Image.fromarray(np.full((8, 8), low if np.isnan(low) else high, dtype=np.float32)).save(tmp_path / "set/3.tif")
    with pytest.raises(DataError, match=message):
        read(tmp_path / "set")


def test_twelve_bits_in_sixteen_are_noticed(tmp_path, save):
    for number in range(4):
        save(f"set/{number}.tif", 0, 4095, np.uint16)
    assert "images are nearly black: the brightest pixel" in read(tmp_path / "set")[2][0]


def test_arrays_have_advice_of_their_own(tmp_path):
    np.save(tmp_path / "masks.npy", np.random.default_rng(0).integers(0, 2, (8, 8, 8), dtype=np.uint8))
    (warning,) = Arrays(images=str(tmp_path / "masks.npy")).accounts[0].warnings
    assert "multiply them in the file" in warning and "pixel_range" not in warning


def test_sizes_are_told_and_what_is_enlarged(tmp_path, save):
    save("set/small.png", size=(4, 6))
    save("set/large.png", size=(2000, 20))
    save("set/other.png", size=(20, 30))
    assert "4 x 6 to 2,000 x 20 made 8 x 8; 1 of them enlarged" in read(tmp_path / "set")[1][0]
    assert "enlarged" not in read(tmp_path / "set", fit="pad")[1][0]


def test_held_out_copies_of_training_images_are_told(tmp_path, save):
    for number in range(3):
        save(f"train/{number}.png")
        save(f"val/{number}.png")
    assert not read(tmp_path, heldout="val")[2]
    (tmp_path / "val/copy.png").write_bytes((tmp_path / "train/0.png").read_bytes())
    assert "1 of 4 held-out images are trained on as well" in read(tmp_path, heldout="val")[2][0]
    np.save(tmp_path / "x.npy", np.random.default_rng(0).integers(0, 256, (4, 8, 8), dtype=np.uint8))
    same = Arrays(images=str(tmp_path / "x.npy"), heldout_images=str(tmp_path / "x.npy"))
    assert "4 of 4 held-out images" in same.accounts[0].warnings[0]


def test_copies_with_other_labels_are_told(tmp_path, save):
    for label in "ab":
        for number in range(4):
            save(f"{label}/{number}.png")
    (tmp_path / "b/copy.png").write_bytes((tmp_path / "a/0.png").read_bytes())
    words = "an image has copies with other labels: a/0.png and b/copy.png"
    assert words in read(tmp_path)[2][0].replace(f"{tmp_path}/", "")
    images = np.random.default_rng(0).integers(0, 256, (6, 8, 8), dtype=np.uint8)
    np.save(tmp_path / "x.npy", images[[0, 1, 2, 3, 4, 1, 5, 2]])
    np.save(tmp_path / "y.npy", np.array([0, 0, 1, 1, 0, 1, 1, 0]))
    warning = Arrays(images=str(tmp_path / "x.npy"), labels=str(tmp_path / "y.npy")).accounts[0].warnings[-1]
    where = f"2 images have copies with other labels: {tmp_path}/x.npy[1] and {tmp_path}/x.npy[5], {tmp_path}/x.npy[2]"
    assert where in warning


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize(
    ("label", "result"),
    [
        ([True, False], ("False", "True")),
        ([1.0, 2.0], ("1", "2")),
        ([0.5, 2.0], "a label is one name, and here is a float"),
        ([["a"], ["b", "c"]], "a label is one name, and here is 1 labels"),
        (["a", None], "4 rows have no label in column 'label'"),
        (["a", " "], "4 rows have no label in column 'label'"),
    ],
)
def test_labels_of_tables(tmp_path, save, label, result, streaming):
    images = [{"bytes": save(f"{number}.png").read_bytes(), "path": None} for number in range(8)]
    pq.write_table(pa.table({"image": images, "label": label * 4}), tmp_path / "set.parquet")
    if isinstance(result, tuple):
        assert read(tmp_path / "set.parquet", streaming=streaming)[0].codec.spec.labels == result
    else:
        with pytest.raises(DataError, match=result):
            read(tmp_path / "set.parquet", streaming=streaming)


def test_classes_of_tables_that_are_missing_or_never_seen(tmp_path, save):
    images = [{"bytes": save(f"{number}.png").read_bytes(), "path": None} for number in range(8)]
    features = Features({"image": ImageFeature(), "kind": ClassLabel(names=["a", "b", "c"])})
    for name, kinds in (("seen", [0, 1] * 4), ("missing", [0, 1, -1, 1] * 2)):
        Table.from_dict({"image": images, "kind": kinds}, features=features).to_parquet(tmp_path / f"{name}.parquet")
    data, _, warnings = read(tmp_path / "seen.parquet")
    assert data.codec.spec.labels == ("a", "b") and "label 'c' left out, without a row" in warnings[0]
    with pytest.raises(DataError, match=r"2 rows have no label in column 'kind': .*row 3"):
        read(tmp_path / "missing.parquet")


def test_files_that_are_no_pictures_are_named(tmp_path, save):
    for number in range(4):
        save(f"set/{number}.png")
    (tmp_path / "set/0.png").rename(tmp_path / "set/0.JPG")
    (tmp_path / "set/empty.png").touch()
    (tmp_path / "set/page.jpg").write_text("<html>404</html>")
    (tmp_path / "set/phone.HEIC").write_bytes(b"ftypheic")
    account = read(tmp_path / "set", max_unreadable=0.5)[1][0]
    assert "7 images: 3 to train on, 1 held out, 3 unreadable" in account
    assert "page.jpg (no image)" in account and "phone.HEIC (Pillow reads no .heic)" in account


def test_labels_of_arrays_may_count_from_one(tmp_path):
    np.save(tmp_path / "x.npy", np.random.default_rng(0).integers(0, 256, (8, 8, 8), dtype=np.uint8))
    np.save(tmp_path / "y.npy", np.array([1, 2] * 4))
    data = Arrays(images=str(tmp_path / "x.npy"), labels=str(tmp_path / "y.npy"))
    assert data.codec.spec.labels == ("1", "2") and torch.bincount(data.train.rows()["label"]).tolist() == [3, 3]


def test_a_range_beyond_eight_bits_is_for_deeper_pictures_alone():
    plain = Image.new("L", (4, 4), 200)
    deep = Image.fromarray(np.full((4, 4), 4095, dtype=np.uint16))
    assert (to_pixels(plain, 1, 4, "crop", (0, 4095)) == 200).all()
    assert (to_pixels(deep, 1, 4, "crop", (0, 4095)) == 255).all()
    assert (to_pixels(Image.new("L", (4, 4), 9), 1, 4, "crop", (0, 9)) == 255).all()


def test_some_black_images_among_others_are_noted():
    account = Account("x")
    tell_pixels(torch.tensor([3, 150, 90], dtype=torch.uint8).view(3, 1, 1, 1).expand(3, 1, 2, 2), account, "")
    assert "1 nearly black or white" in account.notes and account.warnings == []
