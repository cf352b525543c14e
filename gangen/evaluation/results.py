"""What is asked of an evaluation, and what it found."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BeforeValidator, TypeAdapter

from gangen import __version__
from gangen.evaluation.frontier import Comparison, compare, verdict
from gangen.files import to_json, write_atomically
from gangen.metrics.figures import Figure, read_row
from gangen.metrics.tradeoff import Tradeoff

# Null in a file is what was not finite.
Row = Mapping[str, Annotated[float, BeforeValidator(lambda value: math.nan if value is None else value)]]


def _measured(use: Mapping[str, Any]) -> Mapping[str, Any]:
    if not isinstance(use["use"], str) or not isinstance(use.get("protocol", {}), Mapping):
        raise ValueError("a metric has a name, and its protocol is a mapping")
    return use


@dataclass(frozen=True)
class Request:
    """What to evaluate: ``metrics`` instead of the recipe's, with ``samples`` instead of what they say.

    A metric is a name, or a mapping of ``use`` and options as in a recipe.

    ``sweep`` are the values of the setting that trades quality for diversity: without them those of the trade-off, and
    none if empty.
    """

    metrics: Sequence[str | Mapping[str, Any]] = ()
    samples: int | None = None
    sweep: Sequence[float] | None = None


@dataclass(frozen=True)
class Frontier:
    """Figures at every value of the setting of a run's model, and of its baseline: what an earlier phase ended with.

    ``baseline_again`` is the baseline drawn a second time, with other noise. ``real`` has those of the two figures that
    real data have.
    """

    tradeoff: Tradeoff
    model: list[Row]
    baseline_phase: str | None
    baseline: list[Row] | None
    baseline_again: list[Row] | None
    real: Row

    @cached_property
    def comparison(self) -> Comparison | None:
        """How the model stands to its baseline, if it has one."""
        if self.baseline is None:
            return None
        found = compare(self.tradeoff, self.model, self.baseline, self.real)
        itself = compare(self.tradeoff, self.baseline_again or [], self.baseline, self.real)
        return replace(found, noise=abs(itself.gap))

    @property
    def setting(self) -> str:
        """What was swept."""
        return self.tradeoff.setting

    @property
    def axes(self) -> tuple[str, str, str]:
        """The setting, and the figures of quality and diversity; each point has all three."""
        return self.setting, self.tradeoff.quality.figure, self.tradeoff.diversity.figure

    @property
    def sides(self) -> dict[str, list[Row]]:
        """The model's points, and those of the baseline if there is one."""
        return {"model": self.model} | ({} if self.baseline is None else {"baseline": self.baseline})


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
    metrics: list[Annotated[Mapping[str, Any], AfterValidator(_measured)]]
    extractors: Mapping[str, str]
    figures: Mapping[str, Figure]
    warnings: list[str]
    frontier: Frontier | None

    @property
    def verdict(self) -> str | None:
        """In words; None where there is no frontier or no baseline."""
        if self.frontier is None or self.frontier.comparison is None:
            return None
        return verdict(self.frontier.tradeoff, [self.frontier.comparison])

    def write(self, path: Path) -> None:
        """Write ``evaluation.json``, which ``read`` reads; it says also what follows from the rest."""
        frontier = self.frontier and vars(self.frontier) | {"comparison": self.frontier.comparison}
        more = {"frontier": frontier, "verdict": self.verdict, "gangen": __version__}
        write_atomically(path, to_json(vars(self) | more, indent=1))

    @classmethod
    def read(cls, path: Path) -> Self | None:
        """What ``path`` holds; None where there is nothing, or it is damaged."""
        try:
            content = {"recipe": {}} | json.loads(path.read_text(encoding="utf-8"))
            content["figures"] = read_row(content["figures"])
            frontier = content["frontier"]
            if frontier and "tradeoff" not in frontier:  # of an older evaluation
                axes = {side: frontier[side] for side in ("quality", "diversity")}
                ends = {side: {"figure": name, "good": frontier["good"][name]} for side, name in axes.items()}
                content["frontier"] = frontier | {"tradeoff": ends | {"setting": frontier["setting"]}}
            return TypeAdapter(cls).validate_python(content)
        except (OSError, ValueError, TypeError, AttributeError, LookupError):
            return None
