"""Images in arrays: IDX files as MNIST ships them, .npz and .npy."""

import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import torch
from annotated_types import Ge, Interval
from PIL import Image
from torch import Tensor
from torch.nn.functional import pad

from gangen import Account, DataError, Seed, TensorSplit, did_you_mean, listed, most_unpacked, unpacked, with_rows
from gangen_image.codec import ImageCodec
from gangen_image.data.flipped import Flipped
from gangen_image.data.holdout import hold_out, tell_copies, tell_relabelled
from gangen_image.data.pixels import MODES, Fit, tell_pixels, to_pixels
from gangen_image.spec import ImageSpec

# Two zeros, the type (8: unsigned bytes), the number of dimensions; then each dimension as a big-endian int32.
IDX_BYTES = b"\0\0\x08"


class Arrays:
    """Images in files of arrays: IDX (also .gz), .npy, or an array of an .npz, written ``file.npz:key``.

    ``images`` are uint8 ``[n, height, width]``, or ``[n, height, width, channels]`` with 1 or 3 channels; ``labels``
    are integers ``[n]``. ``label_names`` are the names of 0, 1, 2 and so on, or where they are found
    (``file.npz:key``); without them labels are called by the numbers that occur.

    Images are made ``size`` x ``size``; null leaves them as they are. ``fit: pad`` puts them in the middle of black
    (and shrinks larger ones): digits of 28 x 28 become 32 x 32 without a loss. ``fit: crop`` resizes the shorter side
    and cuts out the centre. ``flip`` mirrors training images at random, anew each time they are seen.

    Held out is the share ``heldout`` of each label, with all copies of an image, or all of ``heldout_images`` with
    ``heldout_labels``.

    ``seed`` decides which images are held out.

    Raises:
        DataError: a file is missing, damaged or holds something else, or images and labels do not fit each other.
    """

    codec_class = ImageCodec

    def __init__(
        self,
        *,
        images: str,
        labels: str | None = None,
        label_names: list[str] | str | None = None,
        size: Annotated[int, Ge(1)] | None = None,
        fit: Literal["pad", "crop"] = "pad",
        flip: bool = False,
        heldout: Annotated[float, Interval(gt=0, lt=1)] = 0.1,
        heldout_images: str | None = None,
        heldout_labels: str | None = None,
        seed: Seed = 0,
    ) -> None:
        if heldout_labels and not heldout_images:
            raise DataError("image/arrays was given heldout_labels without heldout_images")
        pictures = to_images(read_array(images), images, size, fit)
        numbers = None if labels is None else read_labels(labels, len(pictures))
        known = known_labels(numbers, label_names)
        train = to_columns(pictures, numbers, known, labels)
        account = Account(images, "images")
        tell_pixels(pictures, account, "multiply them in the file where 255 is not what is white")
        self.accounts, sides = [account], [(train, rows_of(images, len(pictures)))]
        if heldout_images is None:
            train, held = hold_out(train, heldout, seed, images)
        else:
            self.accounts.append(Account(heldout_images, "images"))
            others = to_images(read_array(heldout_images), heldout_images, size or pictures.shape[2], fit)
            if others.shape[1] != pictures.shape[1]:
                raise DataError(f"{heldout_images} and {images} differ in the number of channels")
            if (labels is None) != (heldout_labels is None):
                raise DataError("labels and heldout_labels go together: give both or neither")
            numbers = None if heldout_labels is None else read_labels(heldout_labels, len(others))
            held = to_columns(others, numbers, known, heldout_labels)
            sides.append((held, rows_of(heldout_images, len(others))))
        tell_copies(train, held, account)
        names = tuple(known.values())
        if names:
            tell_relabelled(sides, account)
            names, train, held = with_rows(names, train, held, self.accounts)
        account.use("to train on", len(train["image"]))
        self.accounts[-1].use("held out", len(held["image"]))
        self.codec = ImageCodec(ImageSpec(pictures.shape[1], pictures.shape[2], names))
        self.heldout = TensorSplit(**held)
        self.train = Flipped(TensorSplit(**train)) if flip else TensorSplit(**train)


def rows_of(name: str, count: int) -> list[str]:
    """Where each row of an array stands, as numpy has it."""
    return [f"{name}[{row}]" for row in range(count)]


def read_array(name: str) -> np.ndarray:
    """The array in a file of IDX (also .gz) or .npy, or, as ``file.npz:key``, in an .npz; its only one needs no key.

    Raises:
        DataError: no such file or key, or a file that holds something else; pickled objects are refused.
    """
    file, key = _file_and_key(name)
    if not file.is_file():
        raise DataError(f"no file {file}")
    try:
        if file.suffix == ".npy":
            return np.load(file, allow_pickle=False)
        if file.suffix == ".npz":
            return _from_npz(file, key)
        with unpacked(file) as content:
            return _from_idx(content.read())
    except DataError:
        raise
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise DataError(f"{name} cannot be read: {error}") from None
    except Exception as error:  # a damaged .npz raises errors of zipfile and others
        raise DataError(f"{name} cannot be read: {type(error).__name__}: {error}") from None


def _file_and_key(name: str) -> tuple[Path, str]:
    file, colon, key = name.rpartition(":")
    if colon and file.endswith(".npz"):
        return Path(file).expanduser(), key
    return Path(name).expanduser(), ""


def _from_npz(file: Path, key: str) -> np.ndarray:
    with np.load(file, allow_pickle=False) as arrays:
        if not key and len(arrays.files) > 1:
            raise DataError(
                f"{file} has several arrays: {listed(arrays.files)}\nname one, as in {file}:{arrays.files[0]}"
            )
        key = key or arrays.files[0]
        if key not in arrays.files:
            raise DataError(
                f"{file} has no array {key!r}{did_you_mean(key, arrays.files)}\nit has: {listed(arrays.files)}"
            )
        packed = arrays.zip.getinfo(f"{key}.npy")
        if packed.file_size > most_unpacked(packed.compress_size):
            many = f"{packed.file_size:,} bytes of {packed.compress_size:,}"
            raise DataError(f"{file}: {key} unpacks to {many}; save it by numpy.savez, if that is right")
        return arrays[key]


def _from_idx(content: bytes) -> np.ndarray:
    if content[:3] != IDX_BYTES or len(content) < 4:
        raise ValueError("it is no IDX file of unsigned bytes")
    dimensions = content[3]
    shape = np.frombuffer(content, ">i4", count=dimensions, offset=4)
    start, count = 4 + 4 * dimensions, int(shape.prod(dtype=np.int64))
    if len(content) - start != count:
        raise ValueError(f"it should hold {count} bytes and holds {len(content) - start}")
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)


def to_images(array: np.ndarray, name: str, size: int | None, fit: Fit) -> Tensor:
    """uint8 ``[n, channels, size, size]`` of uint8 ``[n, height, width]`` or ``[n, height, width, channels]``.

    Raises:
        DataError: another shape or type, or images that are not square where ``size`` is None.
    """
    pixels = array[..., None] if array.ndim == 3 else array
    if pixels.ndim != 4 or pixels.shape[3] not in MODES or not pixels.size or array.dtype != np.uint8:
        raise DataError(
            f"{name} holds {array.dtype} {list(array.shape)}, not images: "
            "uint8 [n, height, width], or [n, height, width, channels] with 1 or 3 channels"
        )
    height, width, channels = pixels.shape[1:]
    if size is None and height != width:
        raise DataError(f"{name} holds images of {width} x {height} pixels; set size to make them square")
    size = size or height
    if (fit == "crop" and (height, width) != (size, size)) or max(height, width) > size:
        rows = (Image.fromarray(row.squeeze(2) if channels == 1 else row) for row in pixels)
        return torch.stack([to_pixels(row, channels, size, fit) for row in rows])
    images = torch.from_numpy(pixels.transpose(0, 3, 1, 2).copy())
    left, top = (size - width) // 2, (size - height) // 2
    return pad(images, (left, size - width - left, top, size - height - top))


def read_labels(name: str, count: int) -> Tensor:
    """int64 ``[count]``.

    Raises:
        DataError: there are not ``count``, or they are no labels.
    """
    array = read_array(name)
    if array.ndim != 1 or not np.issubdtype(array.dtype, np.integer) or (array < 0).any():
        raise DataError(f"{name} holds {array.dtype} {list(array.shape)}, not labels: integers from 0, one an image")
    if len(array) != count:
        raise DataError(f"{name} has {len(array)} labels for {count} images")
    return torch.from_numpy(array.astype(np.int64))


def known_labels(numbers: Tensor | None, given: Sequence[str] | str | None) -> dict[int, str]:
    """The name of each number that is a label: those ``given``, of 0, 1, 2 and so on, or of those that occur.

    Raises:
        DataError: names without labels.
    """
    if numbers is None:
        if given:
            raise DataError("image/arrays was given label_names without labels")
        return {}
    if isinstance(given, str):
        given = read_array(given).tolist()
    return {int(number): str(number.item()) for number in numbers.unique()} if given is None else dict(enumerate(given))


def to_columns(
    images: Tensor, numbers: Tensor | None, known: Mapping[int, str], where: str | None
) -> dict[str, Tensor]:
    """The tensors of a split, labels numbered by their place in ``known``.

    Raises:
        DataError: a label that is not known.
    """
    if numbers is None:
        return {"image": images}
    places = {number: place for place, number in enumerate(known)}
    if strange := [int(number) for number in numbers.unique() if int(number) not in places]:
        named = f"{len(known)} labels are known, the numbers {min(known)} to {max(known)}"
        raise DataError(f"{where} has a label {strange[0]}, and {named}; label_names name 0 first")
    return {"image": images, "label": torch.tensor([places[int(number)] for number in numbers])}
