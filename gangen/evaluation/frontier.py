"""Quality against diversity over a sweep, and which of two such curves is the better one.

A lower temperature raises the quality of samples and lowers their diversity, so one point says nothing of a model
(Caccia et al., 2020, "Language GANs Falling Short"). What counts is the quality that is reached at equal diversity.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np

from gangen.metrics.tradeoff import Row, Tradeoff

# Diversities at which two curves are compared, besides their own points.
GRID = 101
# Differences of quality up to this come from interpolation.
ROUNDING = 1e-12


Outcome = Literal["dominates", "is dominated by", "crosses", "equals", "cannot be compared with"]


@dataclass(frozen=True)
class Comparison:
    """How a curve stands to another at equal diversity.

    ``gap`` is the mean by which its quality is better (negative: worse) where figures of diversity are between ``low``
    and ``high``, the range that both reach. Where there is none, all three are nan. ``noise`` is the size of the gap
    that the other curve has to itself when it is drawn a second time: one reading of what sampling alone makes.
    """

    outcome: Outcome
    gap: float = math.nan
    low: float = math.nan
    high: float = math.nan
    noise: float = math.nan


def compare(tradeoff: Tradeoff, curve: Sequence[Row], other: Sequence[Row], real: Row) -> Comparison:
    """``curve`` against ``other``, both in order of the setting that was swept; neighbours are joined by lines.

    Quality at a diversity is the best that is reached at it or above, so that a branch which loses both counts for
    nothing. Quality beyond that of real data (figures of ``real``) is no gain: it counts as that of real data.
    """
    ours, theirs = (_points(tradeoff, rows, real) for rows in (curve, other))
    if not len(ours) or not len(theirs):
        return Comparison("cannot be compared with")
    low, high = max(ours[:, 0].min(), theirs[:, 0].min()), min(ours[:, 0].max(), theirs[:, 0].max())
    if low > high:
        return Comparison("cannot be compared with")
    grid = np.linspace(low, high, GRID)
    corners = np.concatenate([ours[:, 0], theirs[:, 0]])
    places = np.concatenate([grid, corners[(corners >= low) & (corners <= high)]])
    everywhere = _reached(ours, places) - _reached(theirs, places)
    outcome: Outcome = "crosses"
    if (abs(everywhere) <= ROUNDING).all():
        outcome = "equals"
    elif (everywhere >= -ROUNDING).all():
        outcome = "dominates"
    elif (everywhere <= ROUNDING).all():
        outcome = "is dominated by"
    ends = sorted(tradeoff.diversity.score(float(end)) for end in (low, high))
    return Comparison(outcome, float(everywhere[:GRID].mean()), *ends)


def verdict(tradeoff: Tradeoff, comparisons: Sequence[Comparison]) -> str:
    """In words how one run, or the runs of several seeds, stand to their baselines."""
    counts = Counter(each.outcome for each in comparisons)
    if len(counts) > 1:
        parts = ", ".join(f"{outcome} it in {count}" for outcome, count in counts.items())
        words = f"no verdict against its baseline, the runs disagree ({parts})"
    else:
        words = f"{comparisons[0].outcome} its baseline"
        words += f" in each of {len(comparisons)} runs" if len(comparisons) > 1 else ""
    known = [each for each in comparisons if math.isfinite(each.gap)]
    diversity = tradeoff.diversity.figure
    if not known:
        return f"{words}: the two have no {diversity} in common; sweep further with --sweep"
    mean, spread = spread_of([each.gap for each in known])
    ends = f"{min(each.low for each in known):.3g} to {max(each.high for each in known):.3g}"
    size = f"{abs(mean):.3g} ± {spread:.2g}" if len(known) > 1 else f"{abs(mean):.3g}"
    side = f"is {size} {'better' if mean > 0 else 'worse'} on average" if mean else "is the same"
    words += f": at equal {diversity} ({ends}), {tradeoff.quality.figure} {side}"
    if len(comparisons) > 1:
        return words
    if math.isfinite(noise := comparisons[0].noise):
        words += f"; drawn twice, the baseline differs from itself by {noise:.2g}"
    return f"{words}; one run, which may be chance: the spread over seeds is not known"


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
