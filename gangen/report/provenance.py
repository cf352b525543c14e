"""Where figures come from: how they were measured, the recipe, the plugins, the packages."""

import platform
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib.metadata import version
from typing import Any

from gangen import __version__
from gangen.report.groups import Group, name_of_data, settings
from gangen.report.records import Row, read_recipe
from gangen.run_directory import RunDirectory, read_record
from gangen.runs import duration, read_beat

# Enough of a digest to tell two apart.
_DIGITS = 8


def facts(run: RunDirectory, rows: list[Row]) -> dict[str, Any]:
    """What a run is in short: its data, phases, seed and plugins; how long it trained what, and where."""
    recipe, beat = read_recipe(run), None
    with suppress(OSError, ValueError):
        beat = read_beat(run)
    ends = {row["phase"]: row["step"] for row in rows if isinstance(row.get("phase"), str)}
    known = {
        "data": name_of_data(recipe),
        "phases": ", ".join(f"{phase} to step {end:,}" for phase, end in ends.items()),
        "seed": recipe.get("seed"),
        "plugins": ", ".join(map(str, read_record(run.plugins))),
        "parameters": ", ".join(f"{name} {count:,}" for name, count in beat.parameters.items()) if beat else "",
        "trained for": duration(beat.seconds) if beat and beat.seconds else "",
        "trained on": beat.machine if beat else "",
    }
    return {name: fact for name, fact in known.items() if fact not in (None, "")}


def measured(groups: Sequence[Group]) -> list[tuple[list[str], list[list[str]]]]:
    """Rows of metrics with all of their options and the digests of extractors; each with the groups that share them."""
    names: dict[tuple[tuple[str, ...], ...], list[str]] = {}
    for group in groups:
        for result in group.results:
            if rows := tuple(_metrics(result.metrics, result.extractors)):
                names.setdefault(rows, []).append(group.name)
    return [(list(dict.fromkeys(shared)), [list(row) for row in rows]) for rows, shared in names.items()]


def measured_in_training(run: RunDirectory) -> list[tuple[list[str], list[list[str]]]]:
    """The metrics of a run's recipe, with all of their options, as ``measured`` has those of evaluations."""
    uses = read_recipe(run).get("metrics")
    known = [use for use in uses if isinstance(use, Mapping)] if isinstance(uses, list) else []
    return [([""], [list(row) for row in _metrics(known, {})])] if known else []


def reproduction(runs: Sequence[RunDirectory]) -> dict[str, list[tuple[str, str]]]:
    """The complete recipe of each run; what each plugin was, and the packages of here and now."""
    recipes = [
        (
            "The complete recipe" if len(runs) == 1 else f"The complete recipe of {run.root}",
            run.recipe.read_text(encoding="utf-8", errors="replace"),
        )
        for run in runs
        if run.recipe.is_file()
    ]
    plugins = {(f"plugin {name}", str(what)): None for run in runs for name, what in read_record(run.plugins).items()}
    here = [("Python", platform.python_version()), ("gangen", __version__)]
    here += [(name, version(name)) for name in ("torch", "accelerate", "numpy")]
    return {"recipes": recipes, "packages": [*plugins, *here]}


def _metrics(uses: Sequence[Mapping[str, Any]], extractors: Mapping[str, str]) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for use in uses:
        options = dict(use)
        name, protocol = options.pop("use", "-"), dict(options.pop("protocol", {}))
        if digest := extractors.get(str(protocol.get("extractor"))):
            protocol["extractor"] = f"{protocol['extractor']}, SHA-256 {digest[:_DIGITS]}…"
        rows.append((str(name), _written(options) or "none", _written(protocol) or "-"))
    return rows


def _written(options: Mapping[str, Any]) -> str:
    """An option a line."""
    return "\n".join(f"{path}: {value}" for path, value in settings(options)) if options else ""
