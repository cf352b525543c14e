"""Points of known mixtures in the plane, where it can be counted what a generator leaves out."""

import csv
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypedDict

import torch
from annotated_types import Ge, Gt
from torch import Tensor, nn

from gangen import (
    Batch,
    DataError,
    Extractor,
    Seed,
    SheetRow,
    TensorSplit,
    UsageError,
    read_fields,
    replacing,
    write_atomically,
)
from gangen_image.extractors.identity import Identity
from gangen_image.networks.mlp import MLPDiscriminator
from gangen_image.spec import PointSpec

# As in VEEGAN (Srivastava et al., 2017) and PacGAN (Lin et al., 2018).
STANDARD_DEVIATIONS = {"ring": 0.01, "grid": 0.05, "normal": 1.0}
Point = tuple[float, float]


class Fields(TypedDict):
    """What codec.json holds: pairs of numbers, and how far plots reach."""

    dimensions: Literal[2]
    limit: Annotated[float, Gt(0)]


class PointCodec:
    """Points as pairs of numbers, or as scatter plots of [-limit, limit] squared; they have no labels to ask for."""

    takes = "nothing"
    per_prompt = 2000
    suffix = ".png"

    def __init__(self, spec: PointSpec, limit: float) -> None:
        self.spec = spec
        self.limit = limit

    def prompts(self) -> list[str]:
        """Only ``[""]``."""
        return [""]

    def encode(self, prompt: str | None, n: int) -> dict[str, Tensor]:
        """An empty condition.

        Raises:
            UsageError: any prompt.
        """
        if prompt:
            raise UsageError(f"points have no labels, so {prompt!r:.80} means nothing here; leave the prompt out")
        return {}

    def samples_of(self, batch: Batch) -> Tensor:
        """The points of a batch in the default dtype."""
        return self.spec.prepare(batch["image"])

    def batch_of(self, samples: Tensor) -> dict[str, Tensor]:
        """Points as they are, under "image"."""
        return {"image": samples}

    def extractor(self) -> Extractor:
        """The points themselves."""
        return Identity()

    def discriminator(self) -> nn.Module:
        """Layers of both numbers."""
        return MLPDiscriminator(self.spec)

    def decode(self, samples: Tensor) -> list[Point]:
        """Pairs of numbers of float ``[n, 2]``."""
        return [tuple(point) for point in samples.tolist()]

    def write(self, samples: Sequence[Point], path: Path, columns: int | None = None) -> None:
        """Numbers, a point a line, into a .csv; a scatter plot into a file of any format that matplotlib writes.

        Neither has ``columns``.

        Raises:
            UsageError: a suffix that stands for neither.
        """
        if path.suffix.lower() == ".csv":
            with replacing(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
                csv.writer(file).writerows(samples)
            return
        self._plot({"": samples}, path)

    def render(self, sheet: Sequence[SheetRow], path: Path) -> Path:
        """Write a scatter plot to ``path``.png, a colour for each row."""
        path = path.with_name(f"{path.name}.png")
        self._plot({row.title: row.samples for row in sheet}, path)
        return path

    def save(self, folder: Path) -> None:
        """Write codec.json."""
        fields = {"dimensions": self.spec.dimensions, "limit": self.limit}
        write_atomically(folder / "codec.json", json.dumps(fields, indent=1) + "\n")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """What ``save`` wrote.

        Raises:
            DataError: the file is missing or damaged.
        """
        fields = read_fields(folder / "codec.json", Fields)
        return cls(PointSpec(fields["dimensions"]), fields["limit"])

    def _plot(self, sheet: Mapping[str, Sequence[Point]], path: Path) -> None:
        figure = _figure()
        formats = figure.canvas.get_supported_filetypes()
        if path.suffix[1:].lower() not in formats:
            raise UsageError(f"cannot write points to {path}; use .csv for numbers, or .png, .svg or .pdf for a plot")
        axes = figure.add_subplot(aspect="equal")
        axes.set(xlim=(-self.limit, self.limit), ylim=(-self.limit, self.limit))
        for name, points in sheet.items():
            axes.scatter(*zip(*points, strict=True), s=3, alpha=0.4, linewidths=0, label=name)
        if any(sheet):
            axes.legend()
        with replacing(path) as temporary:
            figure.savefig(temporary, format=path.suffix[1:].lower())


class Points:
    """Points, float ``[n, 2]``, under the key "image": what plays with images plays with them.

    ``shape: ring`` is 8 Gaussians on the unit circle, ``grid`` 25 at (-4, -2, 0, 2, 4) squared, ``normal`` one at the
    origin; ``sd`` is their standard deviation (null: 0.01, 0.05 and 1, as in the literature). There are no labels.
    ``modes`` float ``[m, 2]`` and ``sd`` are kept for metrics.

    ``size`` points are trained on, and ``heldout_size`` others held out; ``seed`` draws them.

    Raises:
        DataError: ``matplotlib``, which draws the sheets, is missing.
    """

    codec_class = PointCodec

    def __init__(
        self,
        *,
        shape: Literal["ring", "grid", "normal"] = "ring",
        sd: Annotated[float, Gt(0)] | None = None,
        size: Annotated[int, Ge(1)] = 100_000,
        heldout_size: Annotated[int, Ge(1)] = 10_000,
        seed: Seed = 0,
    ) -> None:
        _figure()  # a run should not find out at its first sheet
        self.modes = modes_of(shape)
        self.sd = STANDARD_DEVIATIONS[shape] if sd is None else sd
        generator = torch.Generator().manual_seed(seed)
        count = size + heldout_size
        centres = self.modes[torch.randint(len(self.modes), (count,), generator=generator)]
        points = centres + self.sd * torch.randn(count, 2, generator=generator)
        self.train, self.heldout = TensorSplit(image=points[:size]), TensorSplit(image=points[size:])
        self.codec = PointCodec(PointSpec(), limit=1.2 * float(self.modes.abs().max()) + 3 * self.sd)


def modes_of(shape: Literal["ring", "grid", "normal"]) -> Tensor:
    """The centres of the Gaussians, float ``[m, 2]``."""
    if shape == "ring":
        angles = torch.arange(8) * (2 * math.pi / 8)
        return torch.stack([angles.cos(), angles.sin()], dim=1)
    if shape == "grid":
        ticks = torch.arange(-4.0, 5.0, 2.0)
        return torch.cartesian_prod(ticks, ticks)
    return torch.zeros(1, 2)


def _figure() -> Any:
    """An empty matplotlib figure on the Agg canvas, whatever the display.

    Raises:
        DataError: ``matplotlib`` is not installed.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise DataError(f'image/points needs the package matplotlib: pip install "gangen[demo]" ({error})') from None
    figure = Figure(figsize=(5, 5), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    return figure
