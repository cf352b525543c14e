"""Rows with images from folders, tables, saved sets and the hub, all read by ``datasets``."""

import glob
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple, Self

from PIL import Image

from gangen import DataError, did_you_mean

AUTO = "auto"
FOLDERS = "label"  # what `datasets` calls the names of sub-folders
ROWS_AT_ONCE = 256
ALL_NAMES = 10**9


class Rows(NamedTuple):
    """Some rows: the cells of the image column, each {"bytes", "path"}; the labels, where there are any; and all the
    classes in their order, where the data set names them.
    """

    cells: list[dict[str, Any]]
    labels: list[str] | None
    classes: tuple[str, ...] | None


@dataclass(frozen=True)
class Source:
    """``path``: a folder of images, whose sub-folders are labels; a parquet file, or a glob or folder of such; a folder
    that ``datasets`` saved; a name on the hub.

    ``split`` is read of what has splits: the sub-folder of that name, parquet files called that, the split of a saved
    set or of one on the hub. What has none is read whole. A set on the hub is fetched and kept unless ``streaming``.
    Reading raises DataError where there is nothing, nothing readable, no such column or a row without a label.
    """

    path: str
    image_column: str = AUTO
    label_column: str | None = AUTO
    split: str = "train"
    streaming: bool = False

    def other(self, name: str) -> Self:
        """The source of what is held out: split ``name`` of this one where it has such a split, else the path ``name``.

        Raises:
            DataError: there is neither, or the split lies inside what this source reads.
        """
        if not re.fullmatch(r"\w+", name):
            return replace(self, path=name)
        here = Path(self.path).expanduser()
        if _of_split(here, name):
            if not _of_split(here, self.split):
                raise DataError(
                    f"{self.path} as a whole includes its {name!r}; put what to train on into {here / self.split}"
                )
            return replace(self, split=name)
        if not here.exists() and not glob.has_magic(self.path):  # on the hub
            return replace(self, split=name)
        if not Path(name).exists():
            raise DataError(f"{self.path} has no split {name!r}, and there is no file or folder of that name")
        return replace(self, path=name)

    def rows(self, *, seed: int = 0, epoch: int | None = None, buffer: int = 1) -> Iterator[Rows]:
        """Every row, some at a time: in order, or, for an epoch's number, shuffled by ``(seed, epoch)`` within a buffer
        of so many rows; images in a folder are shuffled as a whole.
        """
        with self._explaining():
            import datasets  # a second of imports that a trained model does not need

            opened = self._open()
            image, label = self._columns(opened.features or {})
            feature = opened.features.get(label)
            # Pictures are decoded by the caller, who can go on after a damaged one.
            opened = opened.select_columns([image, label] if label else [image])
            opened = opened.cast_column(image, datasets.Image(decode=False))
            if epoch is not None:
                # Of a folder only the names are held, so there is room for all: they come label by label.
                size = ALL_NAMES if opened.info.builder_name == "imagefolder" else buffer
                opened = opened.shuffle(seed=seed, buffer_size=size)
                opened.set_epoch(epoch)
            classes = tuple(feature.names) if isinstance(feature, datasets.ClassLabel) else None
            for batch in opened.iter(batch_size=ROWS_AT_ONCE):
                labels = [self._label(value, classes) for value in batch[label]] if label else None
                yield Rows(batch[image], labels, classes)

    def _columns(self, features: Mapping[str, Any]) -> tuple[str, str | None]:
        """The names of the image column and the label column."""
        image = self._image_column(features) if self.image_column == AUTO else self.image_column
        label = self._label_column(features) if self.label_column == AUTO else self.label_column
        for name in (image, label):
            if name is not None and name not in features:
                hint = "; sub-folders of images are labels, if no image is outside" if name == FOLDERS else ""
                raise DataError(
                    f"{self.path} has no column {name!r}{did_you_mean(name, features) or hint}\n"
                    f"it has: {', '.join(features)}"
                )
        if not _holds_images(features[image]):
            raise DataError(f"{self.path}: column {image!r} holds no images")
        return image, label

    def _image_column(self, features: Mapping[str, Any]) -> str:
        found = [name for name, feature in features.items() if _holds_images(feature, certainly=True)]
        if len(found) == 1:
            return found[0]
        if not found:
            raise DataError(f"{self.path} has no column of images\nit has: {', '.join(features)}")
        raise DataError(f"{self.path} has several columns of images: {', '.join(found)}\nname one with image_column")

    def _label_column(self, features: Mapping[str, Any]) -> str | None:
        from datasets import ClassLabel, Value

        found = [name for name, feature in features.items() if isinstance(feature, ClassLabel)]
        if not found or "label" in found:
            return "label" if isinstance(features.get("label"), ClassLabel | Value) else None
        if len(found) > 1:
            raise DataError(
                f"{self.path} has several columns of labels: {', '.join(found)}\nname one with label_column"
            )
        return found[0]

    def _label(self, value: Any, classes: Sequence[str] | None) -> str:
        if isinstance(value, list | dict | bytes | float):
            raise DataError(
                f"{self.path}: the labels are {type(value).__name__}s, not names; choose another label_column, or null"
            )
        if classes is not None:
            value = None if value is None or value < 0 else classes[value]
        name = "" if value is None else str(value).strip()
        if not name:
            raise DataError(
                f"{self.path} has a row without a label; leave it out of the data, or set label_column: null"
            )
        return name

    def _open(self) -> Any:
        """A ``datasets.IterableDataset``. Local files are read where they are: no cache can be stale or left behind."""
        import datasets

        here = Path(self.path).expanduser()
        if (here / "state.json").is_file() or (here / "dataset_dict.json").is_file():
            rows = self._of(datasets.load_from_disk(here))
        elif found := find_files(self.path, self.split):
            reader, patterns = found
            rows = datasets.load_dataset(reader, data_files=patterns, split="train", streaming=True)
        else:
            rows = self._of(datasets.load_dataset(self.path, streaming=self.streaming))
        return rows if isinstance(rows, datasets.IterableDataset) else rows.to_iterable_dataset()

    def _of(self, rows: Any) -> Any:
        """The split that is wanted of what may have several."""
        if not isinstance(rows, dict):
            return rows
        if self.split not in rows and (len(rows) > 1 or self.split != "train"):
            raise DataError(f"{self.path} has no split {self.split!r}\nit has: {', '.join(rows)}")
        return rows[self.split] if self.split in rows else next(iter(rows.values()))

    @contextmanager
    def _explaining(self) -> Iterator[None]:
        """Turn what the readers raise into one DataError, and keep them from talking meanwhile."""
        from datasets.utils import logging

        verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
        logging.set_verbosity(logging.CRITICAL)
        logging.disable_progress_bar()
        try:
            yield
        except (DataError, GeneratorExit):
            raise
        except Exception as error:  # each reader raises its own library's errors
            while error.__cause__ is not None:
                error = error.__cause__
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise DataError(f"{self.path} cannot be read: {reason}") from error
        finally:
            logging.set_verbosity(verbosity)
            if bars:
                logging.enable_progress_bar()


def find_files(path: str, split: str) -> tuple[str, list[str]] | None:
    """The reader of ``datasets`` and the patterns of files that ``path`` stands for; None for a name on the hub.

    Raises:
        DataError: no such file, or a folder with nothing to read.
    """
    here = Path(path).expanduser().absolute()
    if here.is_dir():
        parts = _of_split(here, split) or [here]
        if parts[0].is_file():
            return "parquet", [glob.escape(str(part)) for part in parts]
        files = [file for file in parts[0].rglob("*") if file.is_file()]
        if any(_is_image(file) for file in files):
            # One pattern for all, because `datasets` would take folders called "val" or "test_tube" for splits.
            return "imagefolder", [f"{glob.escape(str(parts[0]))}/**"]
        tables = sorted(file for file in files if file.suffix == ".parquet")
        if not tables:
            raise DataError(f"folder {parts[0] if parts[0] != here else path} holds no image and no parquet file")
        return "parquet", [glob.escape(str(file)) for file in tables]
    files = [here] if here.is_file() else sorted(map(Path, glob.glob(str(here), recursive=True)))
    if any(file.suffix != ".parquet" for file in files):
        raise DataError(f"{path} is no parquet file; images are read from a folder, not one by one")
    if files:
        return "parquet", [glob.escape(str(file)) for file in files]
    if here.suffix == ".parquet" or not re.fullmatch(r"[\w-][\w.-]*(/[\w.-]+)?", path):
        raise DataError(f"no file or folder {path}")
    return None


def _of_split(folder: Path, split: str) -> Sequence[Path]:
    """What ``folder`` holds of a split: a sub-folder, or parquet files named as the hub names them."""
    if (folder / split).is_dir():
        return [folder / split]
    whole = [folder / f"{split}.parquet"] if (folder / f"{split}.parquet").is_file() else []
    return whole or sorted(folder.glob(f"{glob.escape(split)}-*-of-*.parquet"))


def _is_image(file: Path) -> bool:
    return file.suffix.lower() in Image.registered_extensions()


def _holds_images(feature: Any, *, certainly: bool = False) -> bool:
    """Whether a column can be read as images; ``certainly``, where plain bytes or paths might be something else."""
    from datasets import Image as ImageFeature
    from datasets import Value

    if isinstance(feature, ImageFeature) or (isinstance(feature, dict) and set(feature) == {"bytes", "path"}):
        return True
    return not certainly and isinstance(feature, Value) and feature.dtype in ("binary", "large_binary")
