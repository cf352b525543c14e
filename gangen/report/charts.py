"""Charts of a report: SVG that is part of a page, with its text as text, in colours that suit light and dark pages."""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from io import StringIO
from itertools import cycle
from typing import Any, NamedTuple

from markupsafe import Markup, escape

from gangen.errors import UsageError

Points = Sequence[tuple[Any, ...]]

# Mid-tones, readable on white and on black.
PALETTE = ("#3f87d6", "#e07b39", "#2f9e77", "#b265c9", "#d1495b", "#8f8136", "#4aa3b5", "#8a8a8a")
# Stands for the page's own text colour until the drawing is done: matplotlib knows no currentColor.
_INK = "#010203"
STYLE: dict[Any, Any] = {
    "axes.edgecolor": _INK,
    "axes.labelcolor": _INK,
    "axes.grid": True,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "font.size": 9,
    "grid.alpha": 0.15,
    "grid.color": _INK,
    "legend.frameon": False,
    "lines.linewidth": 1.6,
    "svg.fonttype": "none",
    "text.color": _INK,
    "text.parse_math": False,
    "xtick.color": _INK,
    "ytick.color": _INK,
}
_DASHES = (0, (4, 2))
_SHAPES = ("o", "s", "^", "D", "v", "P", "X")
# Begins the name of a part that is a tip's text, which browsers show where one points at it.
_TIP = "tip: "
# A line of more points than this is thinned, and one of fewer shows each of them.
_MANY, _FEW = 400, 30
# Figures that differ by more than this factor are drawn on a logarithmic axis.
_WIDE = 50.0


class Chart(NamedTuple):
    """A drawing under its title, with a remark beside that."""

    title: str
    svg: Markup
    remark: str = ""


class Mark(NamedTuple):
    """A point that was measured: its shape is that of its ``kind``, and who points at it reads the ``tip``."""

    x: float
    y: float
    kind: str
    tip: str


class Line(NamedTuple):
    """One curve: its name, its points ``(x, y)``, its place in the palette; and of ``runs``, whose mean it is, those.

    ``marks`` lie where it was measured, on the curve or beside it. ``band`` is an interval around it, of points
    ``(x, low, high)``.
    """

    name: str
    points: Points
    colour: int = 0
    dashed: bool = False
    runs: Sequence[Points] = ()
    marks: Sequence[Mark] = ()
    band: Points = ()


def line_chart(title: str, lines: Sequence[Line], phases: Mapping[str, int], *, wide: bool = False) -> Markup:
    """Figures over steps, as SVG; ``phases`` maps the name of each phase to the step that it starts after.

    Raises UsageError where matplotlib is missing.
    """
    with _drawing(title, (5.6, 2.7) if wide else (3.6, 2.3)) as (figure, svg):
        axes = figure.add_subplot()
        draw_lines(axes, lines, phases)
        if several(lines):
            width = max(len(line.name) for line in lines)
            columns = max(1, min(4, (80 if wide else 50) // (width + 8)))
            figure.legend(loc="outside upper left", ncols=columns, fontsize=8)
    return _embedded(svg, title)


def several(lines: Sequence[Line]) -> bool:
    """Whether a legend is of use; dashed lines are those of real data, which go with others."""
    return sum(not line.dashed for line in lines) > 1


def draw_lines(axes: Any, lines: Sequence[Line], phases: Mapping[str, int]) -> None:
    """Draw figures over steps into axes of matplotlib; see ``line_chart``."""
    for line in lines:
        marker = "o" if len(line.points) <= _FEW and not line.dashed else None
        axes.plot(
            *_columns(thinned(line.points)),
            color=PALETTE[line.colour % len(PALETTE)],
            linestyle=_DASHES if line.dashed else "-",
            linewidth=1.2 if line.dashed else None,
            marker=marker,
            markersize=3,
            label=None if line.dashed else f"\u200b{line.name}",  # without it a name in _underscores is hidden
        )
        if line.band:
            x, low, high = zip(*line.band, strict=True)
            axes.fill_between(x, low, high, color=PALETTE[line.colour % len(PALETTE)], alpha=0.2, linewidth=0)
    drawn = [value for line in lines for point in (*line.points, *line.band) for value in point[1:]]
    values = [value for value in drawn if math.isfinite(value)]
    if values and min(values) > 0 and max(values) > _WIDE * min(values):
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter("{x:g}")
    elif len(set(values)) == 1 and values[0]:  # else a tenth of it fills the axis
        axes.set_ylim(*sorted((0, 1.2 * values[0])))
    for phase, start in phases.items():
        if start > 0:
            axes.axvline(start, color=_INK, alpha=0.5, linewidth=0.8, linestyle=":")
            place = {"transform": axes.get_xaxis_transform(), "rotation": 90, "va": "top", "ha": "left"}
            axes.text(start, 0.98, phase, size=7.5, alpha=0.7, **place)
    axes.margins(x=0.02)
    axes.locator_params(axis="x", nbins=5, integer=True)
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.set_xlabel("step")


def frontier_chart(
    quality: str, diversity: str, curves: Sequence[Line], reals: Sequence[tuple[float, float]]
) -> Markup:
    """Quality against diversity, as SVG; ``reals`` are points ``(diversity, quality)`` of real data.

    Of a real point that has quality alone, which leaves NaN for its diversity, the chart shows the height.
    Raises UsageError where matplotlib is missing.
    """
    title = f"{quality} against {diversity}"
    with _drawing(title, (5.6, 3.6)) as (figure, svg):
        axes = figure.add_subplot()
        kinds = dict.fromkeys(mark.kind for curve in curves for mark in curve.marks)
        shapes = dict(zip(kinds, cycle(_SHAPES)))
        for curve in curves:
            look = {"color": PALETTE[curve.colour % len(PALETTE)]}
            line = look | {"linestyle": _DASHES if curve.dashed else "-"}
            for run in curve.runs:
                axes.plot(*_columns(run), linewidth=0.8, alpha=0.45, **line)
            axes.plot(*_columns(curve.points), label=f"\u200b{curve.name}", **line)
            filled = "none" if curve.dashed else None
            for mark in curve.marks:
                shape = {"marker": shapes[mark.kind], "markersize": 4.5, "markerfacecolor": filled, "linestyle": ""}
                axes.plot(mark.x, mark.y, gid=f"{_TIP}{mark.tip}", **look, **shape)
        for kind, marker in shapes.items():
            axes.plot([], [], marker=marker, markersize=4.5, linestyle="", color=_INK, label=f"\u200b{kind}")
        label: str | None = "real data"
        for x, y in reals:
            if math.isfinite(y):
                if math.isfinite(x):
                    axes.plot(x, y, marker="*", markersize=11, linestyle="", color=_INK, label=label)
                else:
                    axes.axhline(y, linewidth=1, linestyle=":", color=_INK, label=label)
                label = None
        axes.set_xlabel(diversity)
        axes.set_ylabel(quality)
        axes.margins(0.12)
        figure.legend(loc="outside upper left", ncols=3, fontsize=8)
    return _embedded(svg, title)


def thinned(points: Points) -> Points:
    """At most about 400 of the points: of each stretch of a longer line its lowest and its highest, so peaks stay."""
    points = [point for point in points if math.isfinite(point[1])]
    if len(points) <= _MANY:
        return points
    size = math.ceil(2 * len(points) / _MANY)
    stretches = (points[start : start + size] for start in range(0, len(points), size))
    return [point for stretch in stretches for point in sorted(_extremes(stretch))]


def _extremes(points: Points) -> set[tuple[Any, ...]]:
    return {min(points, key=lambda point: point[1]), max(points, key=lambda point: point[1])}


def _columns(points: Points) -> tuple[list[float], list[float]]:
    return [point[0] for point in points], [point[1] for point in points]


@contextmanager
def _drawing(title: str, size: tuple[float, float]) -> Iterator[tuple[Any, StringIO]]:
    """An empty figure, and where its SVG will be after the block; no window, no state shared with a user's pyplot."""
    try:
        from matplotlib import rc_context
        from matplotlib.figure import Figure
    except ImportError as error:
        raise UsageError(f'a report needs the package matplotlib: pip install "gangen[demo]" ({error})') from None
    svg = StringIO()
    with rc_context(STYLE | {"svg.hashsalt": title}):
        figure = Figure(figsize=size, layout="constrained")
        yield figure, svg
        nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        figure.savefig(svg, format="svg", transparent=True, metadata=nothing)


def _embedded(svg: StringIO, title: str) -> Markup:
    """The drawing as an element of an HTML page: no header, no namespaces, no size of its own, the page's colour."""
    text = svg.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<!--.*?-->\s*", "", text, flags=re.DOTALL)
    text = re.sub(r"<style.*?</style>", "", text, flags=re.DOTALL)
    head, rest = text.split(">", 1)
    box = re.search(r'viewBox="[^"]*"', head)
    # Names of parts, which charts on one page share; nothing refers to them.
    rest = re.sub(r' id="[\w.]+_\d+"', "", rest).replace(_INK, "currentColor")
    rest = re.sub(rf'<g id="{_TIP}([^"]*)">', r"<g><title>\1</title>", rest)
    return Markup(f'<svg {box[0] if box else ""} role="img" aria-label="{escape(title)}">{rest}')
