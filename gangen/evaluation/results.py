"""What is asked of an evaluation, and what it found."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any

from gangen import __version__
from gangen.evaluation.frontier import Comparison, compare, verdict
from gangen.metrics.tradeoff import Row, Tradeoff

SETTING = "temperature"


@dataclass(frozen=True)
class Request:
    """What to evaluate: ``metrics`` instead of the recipe's, with ``samples`` instead of what they say.

    A metric is a name, or a mapping of ``use`` and options as in a recipe.

    ``temperatures`` are swept where the generator samples at one: without them those of ``TEMPERATURES``, and none if
    empty.
    """

    metrics: Sequence[str | Mapping[str, Any]] = ()
    samples: int | None = None
    temperatures: Sequence[float] | None = None


@dataclass(frozen=True)
class Frontier:
    """Figures at every temperature of a run's model, and of its baseline: what an earlier phase ended with.

    ``again`` is the baseline drawn a second time, with other noise. ``real`` has those of the two figures that real
    data have.
    """

    tradeoff: Tradeoff
    model: list[Row]
    phase: str | None
    baseline: list[Row] | None
    again: list[Row] | None
    real: Row

    @cached_property
    def comparison(self) -> Comparison | None:
        """How the model stands to its baseline, if it has one."""
        if self.baseline is None:
            return None
        found, itself = (compare(self.tradeoff, rows, self.baseline, self.real) for rows in (self.model, self.again))
        return replace(found, noise=None if itself.gap is None else abs(itself.gap))

    def to_plain(self) -> dict[str, Any]:
        return {
            "setting": SETTING,
            "quality": self.tradeoff.quality.figure,
            "diversity": self.tradeoff.diversity.figure,
            "good": {axis.figure: axis.good for axis in (self.tradeoff.quality, self.tradeoff.diversity)},
            "model": self.model,
            "baseline": self.baseline,
            "baseline_again": self.again,
            "baseline_phase": self.phase,
            "real": self.real,
            "comparison": asdict(self.comparison) if self.comparison else None,
        }


@dataclass(frozen=True)
class Result:
    """What was found out about one run.

    ``metrics`` are named with all options and their ``protocol``; ``extractors`` are digests by name.
    """

    run: str
    seed: int
    step: int
    recipe: Mapping[str, Any]
    recipe_sha256: str
    metrics: list[Mapping[str, Any]]
    extractors: Mapping[str, str]
    figures: Row
    warnings: list[str]
    frontier: Frontier | None

    @property
    def verdict(self) -> str | None:
        """In words; None where there is no frontier or no baseline."""
        found = self.frontier and self.frontier.comparison
        return verdict(self.frontier.tradeoff, [found]) if found else None

    def to_plain(self) -> dict[str, Any]:
        """What stands in ``evaluation.json``."""
        return {
            "run": self.run,
            "seed": self.seed,
            "step": self.step,
            "recipe_sha256": self.recipe_sha256,
            "gangen": __version__,
            "metrics": self.metrics,
            "extractors": self.extractors,
            "figures": self.figures,
            "warnings": self.warnings,
            "frontier": self.frontier and self.frontier.to_plain(),
            "verdict": self.verdict,
        }
