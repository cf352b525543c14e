"""Where figures come from: how they were measured, the recipe, the plugins, the packages."""

import platform
from collections.abc import Mapping, Sequence
from html import escape
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from gangen.report.page import folded, note, section, table
from gangen.report.records import Row, mapping, read_plugins, read_recipe
from gangen.run_directory import RunDirectory

# Enough of a digest to tell two apart.
_DIGITS = 8


def facts(run: RunDirectory, rows: list[Row]) -> str:
    """A run in a line: its data, phases, seed and plugins."""
    recipe = read_recipe(run)
    ends = {row["phase"]: row["step"] for row in rows if isinstance(row.get("phase"), str)}
    known = {
        "data": data_of(recipe),
        "phases": ", ".join(f"{phase} to step {end:,}" for phase, end in ends.items()),
        "seed": recipe.get("seed"),
        "plugins": ", ".join(map(str, read_plugins(run))),
    }
    items = "".join(
        f"<div><dt>{name}</dt><dd>{escape(str(fact))}</dd></div>"
        for name, fact in known.items()
        if fact not in (None, "")
    )
    return f'<dl class="facts">{items}</dl>' if items else ""


def data_of(recipe: Mapping[str, Any]) -> Any:
    """What a recipe names as its data."""
    data = recipe.get("data")
    return data.get("use") if isinstance(data, Mapping) else data


def measured(groups: Mapping[str, Sequence[Row]]) -> str:
    """Metrics with all of their options, and the digests of extractors, from evaluations by group.

    Groups that were measured alike share one table.
    """
    tables: dict[str, list[str]] = {}
    for name, evaluations in groups.items():
        for evaluation in evaluations:
            names = tables.setdefault(_table_of(evaluation), [])
            if name not in names:
                names.append(name)
    parts = [
        (note(", ".join(names)) if len(tables) > 1 else "") + metrics for metrics, names in tables.items() if metrics
    ]
    return section("How it was measured", *parts)


def again(runs: Sequence[RunDirectory]) -> str:
    """The complete recipe of each run, what each plugin was, and the packages of here and now."""
    recipes = [
        folded("The complete recipe" if len(runs) == 1 else f"The complete recipe of {run.root}", _recipe(run))
        for run in runs
        if run.recipe.is_file()
    ]
    plugins = {(f"plugin {name}", str(what)): None for run in runs for name, what in read_plugins(run).items()}
    here = {name: _version(name) for name in ("gangen", "torch", "accelerate", "numpy")}
    packages = [("Python", platform.python_version()), *here.items()]
    return section(
        "How to make it again",
        *recipes,
        folded(
            "Environment",
            note("Plugins as the run recorded them; packages as they were where this page was written."),
            table(("", ""), [*plugins, *packages]),
        ),
    )


def _table_of(evaluation: Row) -> str:
    digests = mapping(evaluation.get("extractors"))
    uses = evaluation.get("metrics")
    rows = []
    for use in uses if isinstance(uses, list) else []:
        options = dict(mapping(use))
        name, protocol = options.pop("use", "-"), dict(mapping(options.pop("protocol", None)))
        if digest := digests.get(str(protocol.get("extractor"))):
            protocol["extractor"] = f"{protocol['extractor']}, SHA-256 {str(digest)[:_DIGITS]}…"
        rows.append([str(name), _words(options) or "none", _words(protocol, "\n") or "-"])
    return table(("metric", "options", "measured on"), rows)


def _words(options: Mapping[str, Any], between: str = ", ") -> str:
    """Options as people read them: "samples 1,000, unit words"."""
    return between.join(f"{name} {_value(value)}" for name, value in options.items())


def _value(value: Any) -> str:
    match value:
        case {"use": name, **options}:
            return f"{name} ({_words(options)})" if options else str(name)
        case dict():
            return f"({_words(value)})"
        case list():
            return f"[{', '.join(map(_value, value))}]"
        case None:
            return "none"
        case bool():
            return "yes" if value else "no"
        case int():
            return f"{value:,}"
    return str(value)


def _recipe(run: RunDirectory) -> str:
    return f"<pre>{escape(run.recipe.read_text(encoding='utf-8', errors='replace'))}</pre>"


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "-"
