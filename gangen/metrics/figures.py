"""Figures: what metrics find, beside what real data have; and how rows and files hold them."""

import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from gangen.errors import PluginError

Good = Literal["high", "low", "real"]
ENDS = ("high", "low", "real")

SIGNS: dict[Good, str] = {"high": "↑", "low": "↓", "real": "≈"}
SIGNS_EXPLAINED = "↑ more is better and ↓ less is, up to what real data have; ≈ the nearer to real data the better"

# Entries of a row that are no figures.
STAMP = ("step", "phase", "event", "warning")


@dataclass(frozen=True)
class Figure:
    """What a metric found: the ``value`` of samples, what ``real`` data have in their place, and where it is ``good``.

    ``good`` is "high" or "low", and values beyond that of real data are then not better than it; or "real" where both
    sides of that are as bad, which needs ``real``. It is None where nobody can say. ``real`` is None where there is
    nothing to compare with. A metric may give any numbers, also tensors and
    arrays without dimensions; what it returned are floats from then on.
    """

    value: float
    real: float | None = None
    good: Good | None = None

    @property
    def shortfall(self) -> float:
        """How far it is from the best that can be wanted of it, less being better: 0 where it is beyond real data.

        Without real data beside it only differences mean something. It is nan where nobody can say.
        """
        if self.good is None:
            return math.nan
        if self.good == "real":
            return math.nan if self.real is None else abs(self.value - self.real)
        sign = -1.0 if self.good == "high" else 1.0
        return sign * self.value if self.real is None else max(0.0, sign * (self.value - self.real))

    def __str__(self) -> str:
        return f"{self.value:.4f}" if self.real is None else f"{self.value:.4f} (real {self.real:.4f})"


def titled(name: str, good: Good | None) -> str:
    """A figure's name with a sign of where it is good, where it has one; ``SIGNS_EXPLAINED`` belongs beside it."""
    return f"{name} {SIGNS[good]}" if good else name


def checked(metric: str, found: Any) -> dict[str, Figure]:
    """What a metric returned, as figures by name; a bare number stands for one without anything beside it.

    Raises PluginError for what is no mapping of figures.
    """
    if not isinstance(found, Mapping):
        raise PluginError(f"{metric} returned {_shown(found)}; it returns figures by name, as in {{'name': 0.5}}")
    figures = {}
    for name, entry in found.items():
        if not isinstance(name, str) or "/" in name or name in STAMP:
            raise PluginError(
                f"{metric} returned a figure called {name!r}; its name is text without '/', and not that of a step"
            )
        figure = entry if isinstance(entry, Figure) else Figure(entry)
        try:
            real = None if figure.real is None else _float(figure.real)
            figures[name] = replace(figure, value=_float(figure.value), real=real)
        except (TypeError, ValueError, RuntimeError, OverflowError):
            raise PluginError(
                f"{metric} returned {_shown(entry)} as {name}; a figure is a number, or a gangen.Figure of numbers"
            ) from None
        if figure.good not in (*ENDS, None):
            ends = ", ".join(map(repr, ENDS))
            raise PluginError(f"{metric}: {name} is good at {figure.good!r}, which is none of {ends} and None")
        if figure.good == "real" and figure.real is None:
            raise PluginError(f"{metric}: {name} is good near real data, and says nothing of them: Figure(value, real)")
    return figures


def is_row(entry: Any) -> bool:
    """Whether what stands in a line of ``metrics.jsonl`` is a row: a mapping with a step and a phase."""
    known = isinstance(entry, Mapping) and isinstance(entry.get("phase"), str)
    return known and type(step := entry.get("step")) is int and 0 <= step < 2**53


def read_row(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row of ``metrics.jsonl`` as callbacks saw it: figures of metrics as ``Figure``, those of turns as numbers.

    Figures that were not finite, and null in the file, are nan. Rows of older runs hold plain numbers, and those of
    real data beside them under names with ``_real``.
    """
    found = {}
    for name, entry in row.items():
        if isinstance(entry, Mapping):
            good = entry.get("good")
            found[name] = _read(entry.get("value"), entry.get("real"), good if good in ENDS else None)
        elif name in STAMP or "/" in name:
            found[name] = entry
        elif not (name.endswith("_real") and name.removesuffix("_real") in row):
            found[name] = _read(entry, row.get(f"{name}_real"))
    return found


def is_number(value: Any) -> bool:
    """Whether ``value`` is a finite number, and no truth value."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max


def _read(value: Any, real: Any, good: Good | None = None) -> Figure:
    return Figure(float(value) if is_number(value) else math.nan, float(real) if is_number(real) else None, good)


def _float(value: Any) -> float:
    """A number of any kind; ``float`` alone would also read text, and take the one element of a vector."""
    if isinstance(value, str | bytes) or getattr(value, "shape", ()) != ():
        raise TypeError
    return float(value)


def _shown(value: Any) -> str:
    text = repr(value)
    return f"{type(value).__name__} {text if len(text) <= 40 else text[:37] + '...'}"
