"""Quality against diversity over sweeps, and which of two such frontiers is the better one.

A lower temperature raises the quality of samples and lowers their diversity, so one point says nothing of a model
(Caccia et al., 2020, "Language GANs Falling Short"). What counts is the quality that is reached at equal diversity, by
whatever setting of sampling reaches most: temperature alone is not the best that a model can do.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
from scipy.special import stdtrit

from gangen.metrics.tradeoff import Row, Tradeoff

# Diversities at which two frontiers are compared, besides their own points.
GRID = 101
# Differences of quality up to this come from interpolation.
ROUNDING = 1e-12
# The share of intervals that hold the mean which they are about.
CONFIDENCE = 0.95

# Points by the setting that was swept, in order of its values.
Curves = Mapping[str, Sequence[Row]]
Outcome = Literal["dominates", "is dominated by", "crosses", "equals", "cannot be compared with"]


@dataclass(frozen=True)
class Comparison:
    """How a frontier stands to another at equal diversity.

    ``gap`` is the mean by which its quality is better (negative: worse) where figures of diversity are between ``low``
    and ``high``, the range that both reach. Where there is none, all three are nan. ``noise`` is the size of the gap
    that the other has to itself when one of its sweeps is drawn a second time: a reading of what sampling alone makes.
    """

    outcome: Outcome
    gap: float = math.nan
    low: float = math.nan
    high: float = math.nan
    noise: float = math.nan


class Envelope:
    """The best quality at each diversity that any of ``curves`` reaches, neighbours of each being joined by lines.

    Quality at a diversity is the best that is reached at it or above, so that a branch which loses both counts for
    nothing. Quality beyond that of real data (figures of ``real``) is no gain: it counts as that of real data.
    All of it is in scores, see ``Axis``: more is better.
    """

    def __init__(self, tradeoff: Tradeoff, curves: Curves, real: Row | None = None) -> None:
        points = {setting: _points(tradeoff, rows, real or {}) for setting, rows in curves.items()}
        self._points = {setting: it for setting, it in points.items() if len(it)}

    def __bool__(self) -> bool:
        """Whether any point has both figures."""
        return bool(self._points)

    @property
    def corners(self) -> np.ndarray:
        """Diversities of all points, float ``[points]``."""
        return np.concatenate([points[:, 0] for points in self._points.values()])

    def at(self, diversities: np.ndarray) -> tuple[np.ndarray, list[str]]:
        """The best quality at each of ``diversities``, float ``[n]``, and the setting by which it is reached.

        It is -inf beyond what is reached.
        """
        reached = np.stack([_reached(points, diversities) for points in self._points.values()])
        settings = list(self._points)
        return reached.max(axis=0), [settings[best] for best in reached.argmax(axis=0)]


def shared(envelopes: Sequence[Envelope]) -> tuple[float, float] | None:
    """The range of diversities, as scores, that all of ``envelopes`` reach; None where there is none."""
    if not envelopes or not all(envelopes):
        return None
    low = max(float(each.corners.min()) for each in envelopes)
    high = min(float(each.corners.max()) for each in envelopes)
    return (low, high) if low <= high else None


def compare(tradeoff: Tradeoff, curves: Curves, others: Curves, real: Row) -> Comparison:
    """The envelope of ``curves`` against that of ``others``."""
    ours, theirs = Envelope(tradeoff, curves, real), Envelope(tradeoff, others, real)
    both = shared([ours, theirs])
    if both is None:
        return Comparison("cannot be compared with")
    low, high = both
    corners = np.concatenate([ours.corners, theirs.corners])
    places = np.concatenate([np.linspace(low, high, GRID), corners[(corners >= low) & (corners <= high)]])
    everywhere = ours.at(places)[0] - theirs.at(places)[0]
    outcome: Outcome = "crosses"
    if (abs(everywhere) <= ROUNDING).all():
        outcome = "equals"
    elif (everywhere >= -ROUNDING).all():
        outcome = "dominates"
    elif (everywhere <= ROUNDING).all():
        outcome = "is dominated by"
    ends = sorted(tradeoff.diversity.score(end) for end in both)
    return Comparison(outcome, float(everywhere[:GRID].mean()), *ends)


def verdict(tradeoff: Tradeoff, comparisons: Sequence[Comparison]) -> str:
    """In words how one run, or the runs of several seeds, stand to their baselines.

    It is "better" or "worse" only where an interval of the mean over runs excludes 0; one run has figures alone.
    """
    quality, diversity = tradeoff.figures
    known = [each for each in comparisons if math.isfinite(each.gap)]
    if not known:
        return f"no verdict: model and baseline have no {diversity} in common; sweep further with --sweep"
    mean, spread = spread_of([each.gap for each in known])
    ends = f"{min(each.low for each in known):.3g} to {max(each.high for each in known):.3g}"
    size = f"{abs(mean):.2g} {'better' if mean > 0 else 'worse'} than" if mean else "the same as"
    words = f"at equal {diversity} ({ends}), {quality} is {size} its baseline's on average"
    if len(known) == 1:
        noise = known[0].noise
        itself = f"; drawn twice, the baseline differs from itself by {noise:.2g}" if math.isfinite(noise) else ""
        seeds = "evaluate runs of other seeds with it"
        return f"no verdict on one run, which {known[0].outcome} its baseline: {words}{itself}; {seeds}"
    half = float(stdtrit(len(known) - 1, (1 + CONFIDENCE) / 2)) * spread / math.sqrt(len(known))
    low, high = mean - half, mean + half
    head = "better than its baseline" if low > 0 else "worse than its baseline" if high < 0 else "no verdict"
    interval = f"{100 * CONFIDENCE:.0f} % interval over {len(known)} seeds {low:.2g} to {high:.2g}"
    holds = ", which holds 0" if low <= 0 <= high else ""
    counts = Counter(each.outcome for each in comparisons).items()
    lies = ", ".join(f"{outcome} it in {count}" for outcome, count in counts)
    return f"{head}: {words} ({interval}{holds}); {lies} of {len(comparisons)} runs"


def spread_of(values: Sequence[float]) -> tuple[float, float]:
    """Mean and standard deviation (that of a sample, n - 1; 0 for one value)."""
    return float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else 0.0


def _points(tradeoff: Tradeoff, rows: Sequence[Row], real: Row) -> np.ndarray:
    """Scores of diversity and quality, float ``[n, 2]``, without rows that lack one or hold anything infinite."""
    quality, diversity = tradeoff.quality, tradeoff.diversity
    ceiling = quality.score(real[quality.figure]) if quality.figure in real else math.inf
    points = [
        (diversity.score(x), min(quality.score(y), ceiling))
        for x, y in ((row.get(diversity.figure, math.nan), row.get(quality.figure, math.nan)) for row in rows)
    ]
    return np.array([point for point in points if all(map(math.isfinite, point))]).reshape(-1, 2)


def _reached(points: np.ndarray, diversities: np.ndarray) -> np.ndarray:
    """The best quality on the line through ``points`` at each diversity or above it, float ``[len(diversities)]``."""
    best = np.where(points[:, 0] >= diversities[:, None], points[:, 1], -np.inf).max(axis=1)
    for (x0, y0), (x1, y1) in pairwise(points):
        between = (diversities >= min(x0, x1)) & (diversities <= max(x0, x1))
        if x0 != x1:
            here = y0 + (diversities - x0) / (x1 - x0) * (y1 - y0)
            best = np.where(between, np.maximum(best, here), best)
    return best
