"""What is asked of an evaluation, and what it found."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BeforeValidator, TypeAdapter

from gangen import __version__
from gangen.bounded import read_json
from gangen.evaluation.frontier import Comparison, compare, verdict
from gangen.files import to_json, write_atomically
from gangen.metrics.figures import Figure, read_row
from gangen.metrics.tradeoff import Tradeoff

# Of an evaluation that can be read.
MOST_BYTES = 2**26

# Null in a file is what was not finite.
Row = Mapping[str, Annotated[float, BeforeValidator(lambda value: math.nan if value is None else value)]]
# Points by the setting that was swept: see gangen.evaluation.frontier.
Sweeps = dict[str, list[Row]]


def _measured(use: Mapping[str, Any]) -> Mapping[str, Any]:
    if not isinstance(use["use"], str) or not isinstance(use.get("protocol", {}), Mapping):
        raise ValueError("a metric has a name, and its protocol is a mapping")
    return use


def _played(recipe: Mapping[str, Any]) -> Mapping[str, Any]:
    if not isinstance(recipe.get("metrics", []), list) or not isinstance(recipe.get("trainer", {}), Mapping):
        raise ValueError("the metrics of a recipe are a list, and its trainer is a mapping")
    return recipe


@dataclass(frozen=True)
class Request:
    """What to evaluate: ``metrics`` instead of the recipe's, with ``samples`` instead of what they say.

    A metric is a name, or a mapping of ``use`` and options as in a recipe.

    ``sweep`` are settings of sampling, each with values, instead of those that a trade-off names; none if empty. The
    name "" stands for the first of these.
    """

    metrics: Sequence[str | Mapping[str, Any]] = ()
    samples: int | None = None
    sweep: Mapping[str, Sequence[float]] | None = None


@dataclass(frozen=True)
class Frontier:
    """Figures of a trade-off at every value of every setting that was swept, of a run's model and of its baseline.

    A point has its setting and both figures. The baseline is what the phase ``baseline_phase`` ended with, drawn by its
    generator alone; ``baseline_again`` is the same drawn a second time, with other noise, over the first setting alone.
    ``real`` has those of the two figures that real data have.
    """

    tradeoff: Tradeoff
    model: Sweeps
    baseline_phase: str | None
    baseline: Sweeps | None
    baseline_again: Sweeps | None
    real: Row

    @cached_property
    def comparison(self) -> Comparison | None:
        """How the model stands to its baseline, if it has one."""
        if self.baseline is None:
            return None
        found = compare(self.tradeoff, self.model, self.baseline, self.real)
        again = self.baseline_again or {}
        itself = compare(self.tradeoff, again, {setting: self.baseline[setting] for setting in again}, self.real)
        return replace(found, noise=abs(itself.gap))

    @property
    def verdict(self) -> str | None:
        """In words; None where there is no baseline."""
        return None if self.comparison is None else verdict(self.tradeoff, [self.comparison])

    @property
    def sides(self) -> dict[str, Sweeps]:
        """The model's points, and those of the baseline if there is one."""
        return {"model": self.model} | ({} if self.baseline is None else {"baseline": self.baseline})


@dataclass(frozen=True)
class Result:
    """What was found out about one run.

    ``metrics`` are named with all options and their ``protocol``; ``extractors`` are digests by name. ``remarks`` say
    what figures mean.
    """

    run: str
    seed: int
    step: int
    recipe: Annotated[Mapping[str, Any], AfterValidator(_played)] = field(repr=False)
    recipe_sha256: str = field(repr=False)
    metrics: list[Annotated[Mapping[str, Any], AfterValidator(_measured)]] = field(repr=False)
    extractors: Mapping[str, str] = field(repr=False)
    figures: Mapping[str, Figure]
    warnings: list[str]
    frontiers: list[Frontier] = field(repr=False)
    remarks: list[str] = field(default_factory=list)

    def write(self, path: Path) -> None:
        """Write ``evaluation.json``, which ``read`` reads; it says also what follows from the rest."""
        frontiers = [vars(it) | {"comparison": it.comparison, "verdict": it.verdict} for it in self.frontiers]
        write_atomically(path, to_json(vars(self) | {"frontiers": frontiers, "gangen": __version__}, indent=1))

    @classmethod
    def read(cls, path: Path) -> Self | None:
        """What ``path`` holds; None where there is nothing, or it is damaged."""
        try:
            content = {"recipe": {}} | read_json(path, MOST_BYTES)
            content["figures"] = read_row(content["figures"])
            if "frontiers" not in content:
                content["frontiers"] = [_of_one_sweep(content["frontier"])] if content["frontier"] else []
            return TypeAdapter(cls).validate_python(content)
        except (OSError, ValueError, TypeError, AttributeError, LookupError):
            return None


def _of_one_sweep(frontier: Mapping[str, Any]) -> dict[str, Any]:
    """The one frontier of an older evaluation, over values of one setting."""
    tradeoff = frontier.get("tradeoff")
    if tradeoff is None:
        axes = {side: frontier[side] for side in ("quality", "diversity")}
        tradeoff = {side: {"figure": name, "good": frontier["good"][name]} for side, name in axes.items()}
    setting = tradeoff.get("setting", frontier.get("setting"))
    sides = {side: frontier[side] for side in ("model", "baseline", "baseline_again")}
    swept = {setting: [row[setting] for row in sides["model"]]}
    ends = {side: tradeoff[side] for side in ("quality", "diversity")}
    points = {side: rows if rows is None else {setting: rows} for side, rows in sides.items()}
    return {**frontier, **points, "tradeoff": {**ends, "sweeps": swept}}
