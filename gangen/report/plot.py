"""The figures of a run as one drawing, for notebooks, which is drawn anew while it trains."""

import math
import sys
import time
from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import Annotated, Any

from annotated_types import Gt

from gangen.contracts import Callback
from gangen.errors import UsageError
from gangen.failures import summary
from gangen.printing import say
from gangen.report.charts import STYLE, draw_lines, several
from gangen.report.figures import panels_of_metrics, panels_of_turns, phases_of
from gangen.report.records import Row

_COLUMNS, _MOST = 3, 12


def plot(rows: Sequence[Row]) -> Any:
    """A figure of matplotlib with a chart of each metric, then of what turns report; of many, the first twelve.

    ``rows`` are those of ``metrics.jsonl``. Notebooks show the figure; ``savefig`` writes it to a file.

    Raises UsageError where matplotlib is missing, or where nothing was logged yet.
    """
    panels = [*panels_of_metrics(list(rows)), *panels_of_turns(list(rows))][:_MOST]
    if not panels:
        raise UsageError("nothing was logged yet that could be drawn")
    rc_context, shown = _matplotlib()
    across, down = min(_COLUMNS, len(panels)), math.ceil(len(panels) / _COLUMNS)
    with rc_context(STYLE):
        figure = shown(figsize=(4.2 * across, 2.8 * down), layout="constrained")
        for place, panel in enumerate(panels, 1):
            axes = figure.add_subplot(down, across, place)
            draw_lines(axes, panel.lines, phases_of(rows))
            axes.set_title(panel.title, fontsize=9, loc="left")
            if several(panel.lines):
                axes.legend(fontsize=7)
    return figure


class LivePlot(Callback):
    """In a notebook, the figures of the run so far, drawn anew as it trains; elsewhere nothing.

    ``seconds`` is the least time from one drawing to the next.
    """

    def __init__(self, *, seconds: Annotated[float, Gt(0)] = 10.0) -> None:
        self.seconds = seconds
        self._display = _notebook()
        if self._display:
            _matplotlib()  # refused before training
        self._rows: list[Row] = []
        self._drawn, self._drawn_at = 0, -math.inf
        self._shown: Any = None

    def watch(self, row: Mapping[str, Any]) -> tuple[str, ...]:
        if self._display:
            self._rows.append(dict(row))
        return ()

    def after_step(self, trainer: Any) -> None:
        if len(self._rows) > self._drawn and time.monotonic() - self._drawn_at >= self.seconds:
            self._draw()

    def finish(self, trainer: Any) -> None:
        if len(self._rows) > self._drawn:
            self._draw()

    def _draw(self) -> None:
        self._drawn = len(self._rows)
        try:
            figure = plot(self._rows)
            if self._shown is None:
                self._shown = self._display(figure, display_id=True)
            else:
                self._shown.update(figure)
        except UsageError:  # nothing to draw yet
            pass
        except Exception as error:  # what only looks at a run does not end it
            say(f"gangen: figures are drawn no further, and training goes on: {summary(error)}", sys.stderr)
            self._display = None
            self._rows.clear()
        self._drawn_at = time.monotonic()


def _notebook() -> Any:
    """What shows something in the notebook that this process is of; None where it is of none."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    if getattr(shell, "kernel", None) is None:
        return None
    from IPython.display import display

    return display


def _matplotlib() -> tuple[Any, Any]:
    """Its ``rc_context``, and a class of figures that notebooks show whether pyplot was imported or not."""
    try:
        from matplotlib import rc_context
        from matplotlib.figure import Figure
    except ImportError as error:
        raise UsageError(f'a plot needs the package matplotlib: pip install "gangen[demo]" ({error})') from None

    class Plot(Figure):
        def _repr_png_(self) -> bytes:
            file = BytesIO()
            self.savefig(file, format="png")
            return file.getvalue()

    return rc_context, Plot
