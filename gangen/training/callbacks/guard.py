"""A guard: reads along what a run logs, and warns early, in plain words, of what usually ends badly."""

import math
from collections import deque
from collections.abc import Iterator, Mapping
from statistics import median
from typing import Annotated, Any, Literal

import torch
from annotated_types import Ge, Gt, Interval

from gangen.collectives import all_sum
from gangen.contracts import Callback
from gangen.metrics.figures import Figure, is_number
from gangen.training.faults import Fault
from gangen.training.trainer import Trainer

# Fewer readings of a figure say nothing of its course; gradient norms are compared with the median of the newest many.
_FEW, _SOME, _MANY = 3, 10, 50
# Figures that were never higher than this have not much to lose.
_LITTLE = 0.1
# A discriminator this near to a coin, whose logits are as near to each other, has learned nothing yet.
_COIN, _GAP = 0.02, 0.05


class Guard(Callback):
    """Warns of each fault once in a run. All it knows are rows of figures by name.

    - The discriminator wins: ``TURN/accuracy``, its share of right answers on real and fake, was ``accuracy`` or more
      in every reading of ``steps`` steps of a phase.
    - It learns nothing: in ``steps`` steps from its first, accuracy never left one half, nor mean logits each other.
      A coin's accuracy later on is what an even game looks like, and no fault.
    - A gradient explodes: its norm is ``explosion`` times the median of its last 50 readings.
    - The gradient of one of the players ``generators`` vanishes: in three readings in a row its norm was at most
      ``vanishing`` times the median of its first ten.
    - Collapse: the figure ``unique`` of an evaluation, the share of distinct samples, is below ``unique``, and below
      half of that of real data; or one that is good where it is high, or near real data, fell below half of the best
      that it was; what is beyond real data is no better than these. ``keeps`` names those to look at, where not all;
      "coverage" means "coverage_NAME" too.

    ``then`` says what follows a collapse: to "warn" and no more, to "stop" the run, or to "roll_back" to the newest
    checkpoint from before it, and on with smaller steps, as trainer.recovery says.

    Losses that compare logits only with each other (relativistic ones, Wasserstein's) leave it open where zero is, so a
    discriminator may win there without an accuracy that shows it; and Wasserstein's is meant to win.
    """

    def __init__(
        self,
        *,
        accuracy: Annotated[float, Interval(gt=0.5, le=1)] = 0.99,
        steps: Annotated[int, Ge(1)] = 500,
        explosion: Annotated[float, Gt(1)] = 100.0,
        vanishing: Annotated[float, Interval(ge=0, lt=1)] = 1e-3,
        generators: tuple[str, ...] = ("generator",),
        unique: Annotated[float, Interval(ge=0, le=1)] = 0.5,
        keeps: tuple[str, ...] | None = None,
        then: Literal["warn", "stop", "roll_back"] = "warn",
    ) -> None:
        self.accuracy = accuracy
        self.steps = steps
        self.explosion = explosion
        self.vanishing = vanishing
        self.generators = generators
        self.unique = unique
        self.keeps = keeps
        self.then = then
        self._collapse: tuple[int, str] = (0, "")
        self._phase = ""
        self._warned: set[tuple[str, str]] = set()
        self._winning: dict[str, list[int]] = {}
        self._guessing: dict[str, list[int] | None] = {}
        self._norms: dict[str, deque[float]] = {}
        self._first_norms: dict[str, list[float]] = {}
        self._low: dict[str, int] = {}
        self._best: dict[str, float] = {}

    def watch(self, row: Mapping[str, Any]) -> Iterator[str]:
        step = row["step"]
        if row["phase"] != self._phase:
            self._phase = row["phase"]
            self._winning.clear()
        for name, value in row.items():
            if isinstance(value, Figure):
                for words in self._collapses(name, value):
                    self._collapse = step, words.removesuffix(f". {_COLLAPSE}")
                    yield words
            if not is_number(value):
                continue
            turn, _, figure = name.rpartition("/")
            if figure == "accuracy" and turn:
                yield from self._wins(turn, value, step)
                yield from self._learns_nothing(turn, value, row, step)
            elif figure == "gradient_norm":
                yield from self._explodes(turn, value)
                yield from self._vanishes(turn, value)

    def start(self, trainer: Trainer) -> None:
        if self._collapse[0] < trainer.state.total:  # in rows that the run has gone on from
            self._collapse = 0, ""

    def after_step(self, trainer: Trainer) -> None:
        if self.then == "warn":
            return
        step, words = self._collapse
        if since := int(all_sum(torch.tensor(step, device=trainer.device))):  # the main process alone sees rows
            raise Fault(words or "the samples collapse", since=since, then=self.then)

    def finish(self, trainer: Trainer) -> None:
        if not trainer.stopping:
            self.after_step(trainer)

    def _wins(self, turn: str, accuracy: float, step: int) -> Iterator[str]:
        readings = self._winning.setdefault(turn, [])
        if accuracy < self.accuracy:
            readings.clear()
            return
        readings.append(step)
        if _lasted(readings, self.steps) and self._first(turn, "wins"):
            yield (
                f"the discriminator wins: {turn}/accuracy {accuracy:.2f}, at least {self.accuracy:g} for "
                f"{step - readings[0]} steps; the generator may have nothing left to learn from. Try a lower learning "
                "rate of the discriminator or fewer turns of it, a penalty (r1), spectral norm, dropout or "
                "augmentation (with the Wasserstein loss this is as it should be)"
            )

    def _learns_nothing(self, turn: str, accuracy: float, row: Mapping[str, Any], step: int) -> Iterator[str]:
        readings = self._guessing.setdefault(turn, [])
        if readings is None or f"{turn}/real" not in row or f"{turn}/fake" not in row:
            return
        gap = abs(row[f"{turn}/real"] - row[f"{turn}/fake"])
        if abs(accuracy - 0.5) > _COIN or gap > _GAP:
            self._guessing[turn] = None  # it has learned something once
            return
        readings.append(step)
        if _lasted(readings, self.steps) and self._first(turn, "learns nothing"):
            yield (
                f"the discriminator learns nothing: {turn}/accuracy has been that of a coin, {accuracy:.2f}, for "
                f"{step - readings[0]} steps from its first. Try a higher learning rate of the discriminator, more "
                "turns of it or a larger one, and smaller penalties"
            )

    def _explodes(self, what: str, norm: float) -> Iterator[str]:
        norms = self._norms.setdefault(what, deque(maxlen=_MANY))
        usual = median(norms) if len(norms) >= _SOME else 0.0
        norms.append(norm)
        if usual and norm > self.explosion * usual and self._first(what, "explodes"):
            yield (
                f"a gradient explodes: the norm of {_words(what)} is {norm:.3g}, where {usual:.3g} was usual. Try "
                f"clipping (players.{what.rpartition('/')[2]}.clip=1.0), a lower learning rate, or a penalty (r1)"
            )

    def _vanishes(self, what: str, norm: float) -> Iterator[str]:
        player = what.rpartition("/")[2]
        if player not in self.generators:
            return
        first = self._first_norms.setdefault(what, [])
        if len(first) < _SOME:
            first.append(norm)
            usual = max(first)
        else:
            usual = median(first)
        self._low[what] = self._low.get(what, 0) + 1 if norm <= self.vanishing * usual else 0
        if self._low[what] >= _FEW and self._first(what, "vanishes"):
            yield (
                f"a gradient vanishes: the norm of {_words(what)} is {norm:.3g}, where {usual:.3g} was usual. Try the "
                "loss non_saturating, a weaker discriminator (a lower learning rate, fewer turns), or a penalty (r1); "
                f"where it is 0 from the start, no gradient reaches {player} at all"
            )

    def _collapses(self, name: str, figure: Figure) -> Iterator[str]:
        value = figure.value
        usual = 1.0 if figure.real is None else figure.real
        if name == "unique" and value < min(self.unique, usual / 2) and self._first(name, "collapse"):
            beside = "" if figure.real is None else f", where real ones are {usual:.0%}"
            yield f"collapse: {value:.0%} unique samples{beside}. {_COLLAPSE}"
        if self.keeps is None:
            kept = figure.good in ("high", "real")
        else:
            kept = any(name == keep or name.startswith(f"{keep}_") for keep in self.keeps)
        if not kept or not math.isfinite(value):
            return
        reached = value if figure.real is None else min(value, figure.real)
        best = self._best[name] = max(reached, self._best.get(name, reached))
        if value < best / 2 and best > _LITTLE and self._first(name, "collapse"):
            yield f"collapse: {name} fell to {value:.3g} from {best:.3g}. {_COLLAPSE}"

    def _first(self, what: str, fault: str) -> bool:
        """Whether this fault was not warned of before."""
        new = (what, fault) not in self._warned
        self._warned.add((what, fault))
        return new


_COLLAPSE = (
    "Samples become alike, or bad: go back to a model from before, and try a lower learning rate of the generator, "
    "a relativistic loss with the penalties r1 and r2, or a shorter phase"
)


def _lasted(readings: list[int], steps: int) -> bool:
    return len(readings) >= _FEW and readings[-1] - readings[0] >= steps


def _words(what: str) -> str:
    """``TURN/PLAYER`` in words."""
    turn, _, player = what.rpartition("/")
    return f"{player}'s gradient in turn {turn}"
