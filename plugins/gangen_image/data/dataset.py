"""Any images that ``datasets`` reads: folders with sub-folders as labels, tables, saved sets, names on the hub."""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Annotated, Literal

from annotated_types import Ge, Interval
from torch import Tensor

from gangen import StreamSplit, TensorSplit
from gangen_image.codec import ImageCodec
from gangen_image.data.flipped import Flipped
from gangen_image.data.holdout import hold_out
from gangen_image.data.pictures import PictureRows
from gangen_image.spec import ImageSpec

CHANNELS = {"grey": 1, "rgb": 3}


class Dataset:
    """Images from ``path``: a folder of images, a parquet file, a glob or folder of such files, a folder saved by
    ``datasets``, or a name on the hub. Where it has splits, or sub-folders called so, "train" is trained on.

    ``image_column: auto`` is the only column of images. ``label_column: auto`` is the only column of classes, which
    the sub-folders of a folder are, or the one called "label"; null reads no labels.

    Images are made ``size`` x ``size`` in ``color``. ``fit: crop`` resizes the shorter side and cuts out the centre;
    ``fit: pad`` shrinks images that are larger and puts them in the middle of black. ``flip`` mirrors training images
    at random, anew each time they are seen.

    ``heldout`` is a share, taken of each label and with all copies of an image; or the name of a split, such as "test";
    or a path to other images. Images that cannot be decoded are left out and counted in the log; more than the share
    ``max_unreadable`` of them is an error.

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
        flip: bool = False,
        heldout: Annotated[float, Interval(gt=0, lt=1)] | str = 0.1,
        max_unreadable: Annotated[float, Interval(ge=0, lt=1)] = 0.05,
        streaming: bool = False,
        buffer: Annotated[int, Ge(2)] = 10_000,
        seed: int = 0,
    ) -> None:
        reader = PictureRows(
            path,
            streaming=streaming,
            image_column=image_column,
            label_column=label_column,
            channels=CHANNELS[color],
            size=size,
            fit=fit,
            max_unreadable=max_unreadable,
        )
        pictures = reader.read(buffer, seed=seed, epoch=0, buffer=buffer) if streaming else reader.read()
        labels = pictures.names()
        self.codec = ImageCodec(ImageSpec(CHANNELS[color], size, labels))
        columns = pictures.columns(labels, path)
        if isinstance(heldout, str):
            train = TensorSplit(**columns)
            other = reader.other(heldout).read()
            self.heldout = TensorSplit(**other.columns(labels, f"{path}, held out ({heldout})"))
            skipped = frozenset()
        else:
            train, self.heldout = hold_out(columns, heldout, seed, path)
            skipped = frozenset(image.tobytes() for image in self.heldout.rows()["image"].numpy())
        if streaming:
            train = StreamSplit(partial(read_epoch, reader, labels, skipped, seed, buffer))
        self.train = Flipped(train) if flip else train


def read_epoch(
    reader: PictureRows, labels: Sequence[str], skipped: frozenset[bytes], seed: int, buffer: int, epoch: int
) -> Iterator[dict[str, Tensor]]:
    """The rows of one epoch, shuffled by ``(seed, epoch)``, without the images whose bytes are ``skipped``."""
    for pictures in reader.stream(seed=seed, epoch=epoch, buffer=buffer):
        if not pictures.images:
            continue
        columns = pictures.columns(labels, reader.path)
        for row, image in enumerate(columns["image"].numpy()):
            if image.tobytes() not in skipped:
                yield {name: tensor[row] for name, tensor in columns.items()}
