"""Runs that differ in nothing but their seed are one group, whose figures are a mean and a spread."""

import json
import math
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from gangen.evaluation.frontier import spread_of
from gangen.evaluation.results import Result
from gangen.metrics.figures import Figure, is_number, titled
from gangen.report.page import number

Side = Literal["value", "real"]


@dataclass(frozen=True)
class Group:
    """Runs of one recipe with different seeds."""

    name: str
    results: list[Result]

    @property
    def folders(self) -> list[str]:
        return [result.run for result in self.results]

    @property
    def recipe(self) -> dict[str, Any]:
        """What the runs share of their recipe."""
        return _shared(self.results[0])

    @property
    def steps(self) -> str:
        """The steps at which the runs were evaluated, most often one."""
        return ", ".join(f"{step:,}" for step in dict.fromkeys(result.step for result in self.results))

    @property
    def data(self) -> Any:
        """What the recipe names as its data."""
        return name_of_data(self.results[0].recipe)

    @property
    def sides(self) -> tuple[Side, ...]:
        """Those that figures have: there may be nothing of real data beside any."""
        real = any(figure.real is not None for result in self.results for figure in result.figures.values())
        return ("value", "real") if real else ("value",)

    def cell(self, name: str, side: Side = "value") -> str:
        """Mean and standard deviation of a figure, or of that of real data, over the runs that have it."""
        found = [getattr(result.figures[name], side) for result in self.results if name in result.figures]
        return cell([value for value in found if value is not None])


def grouped(results: Iterable[Result]) -> list[Group]:
    """Groups in the order of their first runs, whose names they have."""
    groups: dict[str, list[Result]] = {}
    for result in results:
        groups.setdefault(json.dumps(_shared(result), sort_keys=True), []).append(result)
    names = _short([members[0].run for members in groups.values()])
    return [
        Group(name if len(members) == 1 else f"{name} ({len(members)} runs)", members)
        for name, members in zip(names, groups.values(), strict=True)
    ]


def titles_of(groups: Iterable[Group]) -> dict[str, str]:
    """The name of each figure, in the order in which they first appear, with a sign of where it is good."""
    figures: dict[str, Figure] = {}
    for group in groups:
        for result in group.results:
            figures |= {name: figure for name, figure in result.figures.items() if name not in figures}
    return {name: titled(name, figure.good) for name, figure in figures.items()}


def name_of_data(recipe: Mapping[str, Any]) -> Any:
    """What a recipe names as its data."""
    data = recipe.get("data")
    return data.get("use") if isinstance(data, Mapping) else data


def differences(groups: Sequence[Group]) -> dict[str, list[str]]:
    """The settings in which the recipes of groups differ: dotted path to a value for each group."""
    recipes = [dict(settings(group.recipe)) for group in groups]
    paths = dict.fromkeys(path for recipe in recipes for path in recipe)
    values = {path: [recipe.get(path, "-") for recipe in recipes] for path in paths}
    return {path: found for path, found in values.items() if len(set(found)) > 1}


def settings(value: Any, path: str = "") -> Iterable[tuple[str, str]]:
    """Values as text by dotted path; entries of a list that are components go by the names of these."""
    entries: Mapping[str, Any] = {}
    if isinstance(value, Mapping):
        entries = value
    elif isinstance(value, list) and value and all(isinstance(entry, Mapping) for entry in value):
        names = [str(entry.get("use", place)) for place, entry in enumerate(value)]
        entries = dict(zip(names if len(set(names)) == len(names) else map(str, range(len(value))), value, strict=True))
    if not entries:
        yield path, value if _plain(value) else json.dumps(value, ensure_ascii=False)
    for name, part in entries.items():
        yield from settings(part, f"{path}.{name}" if path else str(name))


def _plain(value: Any) -> bool:
    """Whether it is words on one line that nobody would take for a number, a list or nothing."""
    if not isinstance(value, str) or len(value.splitlines()) > 1:
        return False
    try:
        json.loads(value)
    except ValueError:
        return True
    return False


def disagreements(groups: Sequence[Group]) -> list[str]:
    """Warnings of figures that do not compare: of other data or extractors, of metrics with other options."""
    seeds = Counter((group.name, result.seed) for group in groups for result in group.results)
    twice = [seed for seed, count in seeds.items() if count > 1]
    results = [result for group in groups for result in group.results]
    extractors = ((name, digest, result) for result in results for name, digest in result.extractors.items())
    metrics = ((name, options, result) for result in results for name, options in _options(result))
    data = (("data", str(name_of_data(result.recipe)), result) for result in results)
    return [
        *(
            "runs on different data do not compare: " + "; ".join(f"{name} in {runs}" for name, runs in which.items())
            for which in _disagreements(data).values()
        ),
        *(f"{name} has seed {seed} more than once: its spread is not that of seeds" for name, seed in twice),
        *(
            f"extractor {name} is not the same in all runs, figures with its name do not compare: "
            + "; ".join(f"{digest[:8]} in {runs}" for digest, runs in which.items())
            for name, which in _disagreements(extractors).items()
        ),
        *(
            f"{name} was measured with other options, counts or data in {' than in '.join(which.values())}: "
            "its figures do not compare"
            for name, which in _disagreements(metrics).items()
        ),
    ]


def cell(values: Sequence[Any]) -> str:
    """Mean and standard deviation of the values that are finite, and how many these are where others are not.

    Four digits of a mean; with a spread as many as the spread's first two leave certain.
    """
    finite = [value for value in values if is_number(value)]
    if not finite:
        return "-"
    mean, spread = spread_of(finite)
    if spread <= abs(mean) * 1e-9:  # one value, or the same but for rounding
        text = number(finite[0])
    elif not mean:  # of which there is no log
        text = f"0±{spread:.2g}"
    else:
        decimals = max(0, min(1 - math.floor(math.log10(spread)), 3 - math.floor(math.log10(abs(mean)))))
        text = f"{mean:,.{decimals}f}±{spread:,.{decimals}f}"
    return text if len(finite) == len(values) else f"{text} ({len(finite)} of {len(values)})"


def _options(result: Result) -> Iterable[tuple[str, str]]:
    """Each metric of an evaluation, with the options of all its uses."""
    uses: dict[str, list[Mapping[str, Any]]] = {}
    for use in result.metrics:
        uses.setdefault(use["use"], []).append(use)
    return [(name, json.dumps(options, sort_keys=True, default=str)) for name, options in uses.items()]


def _disagreements(seen: Iterable[tuple[str, str, Result]]) -> dict[str, dict[str, str]]:
    """Of triples ``(name, key, result)`` the names with several keys: each key with its runs, as text."""
    found: dict[str, dict[str, list[str]]] = {}
    for name, key, result in seen:
        found.setdefault(name, {}).setdefault(key, []).append(result.run)
    return {name: {key: ", ".join(runs) for key, runs in keys.items()} for name, keys in found.items() if len(keys) > 1}


def _shared(result: Result) -> dict[str, Any]:
    """A recipe without what changes nothing but chance: folder, seed and number of threads."""
    recipe = {key: value for key, value in result.recipe.items() if key not in ("run", "seed")}
    trainer = {key: value for key, value in recipe.get("trainer", {}).items() if key != "threads"}
    return recipe | {"trainer": trainer}


def _short(folders: Sequence[str]) -> list[str]:
    """The last parts of folders, or all of them where these are not enough to tell them apart."""
    names = [Path(os.path.abspath(folder)).name for folder in folders]
    return names if len(set(names)) == len(names) else list(folders)
