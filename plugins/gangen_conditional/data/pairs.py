"""Pairs of pictures: one to start from, "input", and the one to be made of it, "image"."""

from typing import Annotated, Any, Literal

import torch
from annotated_types import Ge, Interval
from torch import Tensor

from gangen import Account, DataError, Part, Seed, SheetRow, Split, TensorSplit, UsageError, did_you_mean
from gangen_conditional.codecs.inputs import ImageInput
from gangen_conditional.codecs.output import ImageFromCodec
from gangen_conditional.data.derived import DERIVED, mask_halves
from gangen_conditional.data.pair_rows import AUTO, DEFAULT, PairRows
from gangen_image import Digits, ImageSpec, Pictures, hold_out, tell_copies, tell_sizes
from gangen_text import sheet_of

CHANNELS = {"grey": 1, "rgb": 3}
MASK = "mask"


class Pairs:
    """Pairs of pictures from ``path``; or the images of another data source, each with an input derived from it.

    ``path`` is what image/dataset takes: a table with two columns of pictures, or a folder with two sub-folders (where
    it has splits, in "train") whose files are matched by their names without the suffix; or pictures by themselves.
    ``image`` is the column or sub-folder of what is to be made. ``input`` is that of what it is made from, or how it is
    derived: "edges", "grey", "inverted", "low_resolution", or "same", the image itself. ``auto`` takes the one called
    "input", or not called "image", of two; where there is but one kind of pictures, and for ``of``, edges are derived.

    Pictures are made ``size`` x ``size``: the shorter side is resized, the centre cut out. ``color`` is that of images,
    ``input_color`` that of inputs. ``heldout`` is a share, with all copies of an image; or the name of a split, such as
    "test"; or a path to other pairs. Pairs of which one cannot be decoded are left out; more than the share
    ``max_unreadable`` is an error. ``seed`` decides which are held out.

    Where there is no path, ``of`` is a data source of images in memory, by default image/digits, whose size, color and
    labels remain. Of these ``input`` may also be "mask": half of the image is grey, and 255 in a further column,
    "mask".

    Raises:
        DataError: there are no pairs, a picture has no partner or one of other proportions, or too many are unreadable.
        UsageError: an input that is derived in no known way.
    """

    codec_class = ImageFromCodec

    def __init__(
        self,
        *,
        path: str | None = None,
        of: Annotated[Any, Part("data")] | None = None,
        input: str = AUTO,
        image: str = AUTO,
        size: Annotated[int, Ge(4)] = 64,
        color: Literal["rgb", "grey"] = "rgb",
        input_color: Literal["rgb", "grey"] = "rgb",
        heldout: Annotated[float, Interval(gt=0, lt=1)] | str = 0.1,
        max_unreadable: Annotated[float, Interval(ge=0, lt=1)] = 0.05,
        seed: Seed = 0,
    ) -> None:
        if path is None:
            self._derive(Digits() if of is None else of, DEFAULT if input == AUTO else input)
            return
        reader = PairRows(
            path,
            image_column=image,
            input=input,
            channels=CHANNELS[color],
            input_channels=CHANNELS[input_color],
            size=size,
            max_unreadable=max_unreadable,
        )
        account = Account(path, "pairs")
        self.accounts = [account]
        pairs = reader.read(account)
        tell_sizes(pairs.sizes, size, reader.fit, account)
        train = _columns(pairs, reader.channels)
        if isinstance(heldout, str):
            other = Account(f"{path}, held out ({heldout})", "pairs")
            self.accounts.append(other)
            held = _columns(reader.other(heldout).read(other), reader.channels)
        else:
            train, held = hold_out(train, heldout, seed, path)
        tell_copies(train, held, account)
        account.use("to train on", len(train["image"]))
        self.accounts[-1].use("held out", len(held["image"]))
        self._keep(ImageSpec(reader.channels, size), TensorSplit(**train), TensorSplit(**held))

    def _derive(self, of: Any, how: str) -> None:
        if how not in (ways := (*DERIVED, MASK)):
            raise UsageError(
                f"conditional/pairs derives no input {how!r}{did_you_mean(how, ways)}; choose one of "
                f"{', '.join(ways)}, or give it a path with pictures of that name"
            )
        self.accounts = getattr(of, "accounts", [])
        splits = (_with_inputs(split, how) for split in (of.train, of.heldout))
        # What gives back a picture may also make one of nothing.
        self._keep(of.codec.spec, *splits, optional=how == "same")

    def _keep(self, spec: ImageSpec, train: TensorSplit, heldout: TensorSplit, *, optional: bool = False) -> None:
        self.train, self.heldout = train, heldout
        _, channels, size, _ = heldout.rows(range(1))["input"].shape
        self.codec = ImageFromCodec(spec, ImageInput(ImageSpec(channels, size), optional=optional))

    def sheet(self) -> list[SheetRow]:
        """Inputs that are held out, with the truth."""
        return sheet_of(self.codec, self.heldout)


def _columns(pairs: Pictures, channels: int) -> dict[str, Tensor]:
    both = torch.stack(pairs.images)
    return {"image": both[:, :channels].contiguous(), "input": both[:, channels:].contiguous()}


def _with_inputs(split: Split, how: str) -> TensorSplit:
    if not hasattr(split, "rows") or "image" not in (columns := split.rows()):
        raise DataError("conditional/pairs needs images that are in memory, neither streamed nor flipped")
    images = columns["image"]
    inputs = mask_halves(images) if how == MASK else {"input": DERIVED[how](images)}
    return TensorSplit(**{"image": images} | inputs | columns)
