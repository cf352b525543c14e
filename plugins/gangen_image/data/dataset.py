"""Any images that ``datasets`` reads: folders with sub-folders as labels, tables, saved sets, names on the hub."""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Annotated, Literal

from annotated_types import Ge, Interval
from torch import Tensor

from gangen import Account, Seed, Split, StreamSplit, TensorSplit, UsageError, with_rows
from gangen_image.codec import ImageCodec
from gangen_image.data.flipped import Flipped
from gangen_image.data.holdout import hold_out, key_of, tell_copies, tell_relabelled
from gangen_image.data.pictures import PictureRows
from gangen_image.data.pixels import MAX_PIXELS, tell_pixels, tell_sizes
from gangen_image.spec import ImageSpec

CHANNELS = {"grey": 1, "rgb": 3}
# What to do where images are nearly black or white.
PIXEL_RANGE = (
    "where files hold other values than their type suggests, "
    "say which are black and white, as in data.pixel_range: [0, 4095] for 12 bits"
)


class Dataset:
    """Images from ``path``: a folder of images, a parquet file, a glob or folder of such files, a folder saved by
    ``datasets``, or a name on the hub. Where it has splits, or sub-folders called so, "train" is trained on.

    ``image_column: auto`` is the only column of images. ``label_column: auto`` is the only column of classes, which
    the sub-folders of a folder are, or the one called "label"; null reads no labels.

    Images are made ``size`` x ``size`` in ``color``. ``fit: crop`` resizes the shorter side and cuts out the centre;
    ``fit: pad`` shrinks images that are larger and puts them in the middle of black. ``flip`` mirrors training images
    at random, anew each time they are seen. ``pixel_range`` are the values that become black and white, as [0, 4095]
    of 12 bits; null takes those of a file's type: [0, 65535] of 16 bits, [0, 1] of floats.

    ``heldout`` is a share, taken of each label and with all copies of an image; or the name of a split, such as "test";
    or a path to other images. Images that cannot be decoded are left out; more than the share ``max_unreadable`` is an
    error. So are those of more than ``max_pixels``, which would take gigabytes to decode; Pillow has a limit of its
    own at 178 million. Labels without an image to train on are left out. ``accounts`` tell of all that was.

    With ``streaming`` the images are never all in memory. Training reads everything, shuffled within a buffer of
    ``buffer`` rows, a folder of images as a whole: a table that is sorted by label should be mixed before. The first so
    many rows give the labels, where the data set does not name them, and the share that is held out (wherever those
    images occur again, they are skipped).

    ``seed`` decides which images are held out.

    Raises:
        DataError: there are no images, too many are unreadable, or labels are missing; the message says what to change.
    """

    codec_class = ImageCodec

    def __init__(
        self,
        *,
        path: str,
        image_column: str = "auto",
        label_column: str | None = "auto",
        size: Annotated[int, Ge(1)] = 64,
        fit: Literal["crop", "pad"] = "crop",
        color: Literal["rgb", "grey"] = "rgb",
        pixel_range: tuple[float, float] | None = None,
        flip: bool = False,
        heldout: Annotated[float, Interval(gt=0, lt=1)] | str = 0.1,
        max_unreadable: Annotated[float, Interval(ge=0, lt=1)] = 0.05,
        max_pixels: Annotated[int, Ge(1)] = MAX_PIXELS,
        streaming: bool = False,
        buffer: Annotated[int, Ge(2)] = 10_000,
        seed: Seed = 0,
    ) -> None:
        if pixel_range is not None and not pixel_range[0] < pixel_range[1]:
            raise UsageError(f"pixel_range is what becomes black, then what becomes white; got {list(pixel_range)}")
        reader = PictureRows(
            path,
            streaming=streaming,
            image_column=image_column,
            label_column=label_column,
            channels=CHANNELS[color],
            size=size,
            fit=fit,
            pixel_range=pixel_range,
            max_unreadable=max_unreadable,
            max_pixels=max_pixels,
        )
        account = Account(path, "images")
        order = {"seed": seed, "epoch": 0, "buffer": buffer} if streaming else {}
        pictures = reader.read(account, buffer if streaming else float("inf"), **order)
        labels = pictures.names()
        columns = pictures.columns(labels, path)
        tell_sizes(pictures.sizes, size, fit, account)
        tell_pixels(columns["image"], account, PIXEL_RANGE)
        self.accounts, sides = [account], [(columns, pictures.places)]
        if isinstance(heldout, str):
            other = Account(f"{path}, held out ({heldout})", "images")
            self.accounts.append(other)
            others = reader.other(heldout).read(other)
            train, held = columns, others.columns(labels, other.source)
            sides.append((held, others.places))
        else:
            train, held = hold_out(columns, heldout, seed, path)
            if len(held["image"]) > 2 * max(heldout * len(columns["image"]), len(labels), 1):
                account.warnings.append(
                    f"{path}: {len(held['image']):,} of {len(columns['image']):,} images are held out, since copies of "
                    "one stay together"
                )
        tell_copies(train, held, account)
        if labels:
            tell_relabelled(sides, account)
        if labels and not streaming:
            labels, train, held = with_rows(labels, train, held, self.accounts)
        account.use("to train on", len(train["image"]))
        self.accounts[-1].use("held out", len(held["image"]))
        self.codec = ImageCodec(ImageSpec(CHANNELS[color], size, labels))
        self.heldout = TensorSplit(**held)
        split: Split = TensorSplit(**train)
        if streaming:
            skipped = frozenset() if isinstance(heldout, str) else frozenset(map(key_of, held["image"]))
            split = StreamSplit(partial(read_epoch, reader, labels, skipped, seed, buffer))
        self.train = Flipped(split) if flip else split


def read_epoch(
    reader: PictureRows, labels: Sequence[str], skipped: frozenset[bytes], seed: int, buffer: int, epoch: int
) -> Iterator[dict[str, Tensor]]:
    """The rows of one epoch, shuffled by ``(seed, epoch)``, without the images whose keys are ``skipped``."""
    for pictures in reader.stream(seed=seed, epoch=epoch, buffer=buffer):
        if not pictures.images:
            continue
        columns = pictures.columns(labels, reader.path)
        for row, image in enumerate(columns["image"]):
            if key_of(image) not in skipped:
                yield {name: tensor[row] for name, tensor in columns.items()}
