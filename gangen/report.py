"""The report of a run: one page without anything outside it, for any browser and for paper."""

import hashlib
import json
import platform
import re
from base64 import b64encode
from html import escape
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from string import Template
from typing import Any

import yaml

from gangen.errors import RecipeError, RunError
from gangen.recipe_source import RecipeSource
from gangen.report_figures import curves, frontier, table
from gangen.report_samples import samples
from gangen.run_directory import RunDirectory, write_atomically

# What a page may not contain, and models of bytes write: control characters and lone surrogates.
_UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")

Row = dict[str, Any]


def write_report(run: RunDirectory) -> Path:
    """Write ``report.html`` into the run directory, from what lies there; a page that was there before is replaced.

    Raises RunError where there is no run, UsageError where matplotlib is missing.
    """
    if not run.recipe.is_file() and not run.metrics.is_file():
        raise RunError(f"{run.root} is not a run directory: it has neither {run.recipe.name} nor {run.metrics.name}")
    rows = [row for row in run.read_metrics() if isinstance(row, dict) and isinstance(row.get("step"), int)]
    evaluation = _read_json(run.root / "evaluation.json")
    recipe = _read_recipe(run.recipe)
    template = Path(__file__).with_name("report.html").read_text(encoding="utf-8")
    page = Template(template).substitute(
        script_hash=_script_hash(template),
        name=escape(run.root.resolve().name),
        verdict=escape(_verdict(run, rows, evaluation)),
        warnings=_warnings(rows),
        facts=_facts(run, rows, recipe),
        figures=table(rows + _measured(evaluation)),
        frontier=frontier(evaluation.get("frontier")),
        samples=samples(run.samples),
        curves=curves(rows),
        environment=_environment(run, evaluation),
    )
    path = run.root / "report.html"
    try:
        write_atomically(path, _UNPRINTABLE.sub("\ufffd", page))
    except OSError as error:
        raise RunError(f"cannot write {path}: {error.strerror}") from None
    return path


def _verdict(run: RunDirectory, rows: list[Row], evaluation: Row) -> str:
    steps, evaluated = max((row["step"] for row in rows), default=0), evaluation.get("step")
    older = isinstance(evaluated, int) and evaluated < steps
    if evaluation.get("verdict"):
        gone_on = f"\nThis was found at step {evaluated:,}; the run has gone on to step {steps:,}." if older else ""
        verdict = str(evaluation["verdict"])
        return f"{verdict[0].upper()}{verdict[1:]}{gone_on}"
    if isinstance(evaluated, int):
        return f"Played {steps:,} steps; evaluated at step {evaluated:,}, without a baseline to compare with."
    return f"Played {steps:,} steps; not evaluated yet: gangen eval {run.root}"


def _measured(evaluation: Row) -> list[Row]:
    """What an evaluation found, as a row like those of training; none where there was no evaluation."""
    step, figures = evaluation.get("step"), evaluation.get("figures")
    return [{"step": step} | figures] if isinstance(step, int) and isinstance(figures, dict) else []


def _warnings(rows: list[Row]) -> str:
    items = [f"<li>Step {row['step']:,}: {escape(str(row['warning']))}</li>" for row in rows if "warning" in row]
    return f'<ul class="warnings" aria-label="warnings">{"".join(items)}</ul>' if items else ""


def _facts(run: RunDirectory, rows: list[Row], recipe: Row) -> str:
    ends = {row["phase"]: row["step"] for row in rows if isinstance(row.get("phase"), str)}
    data = recipe.get("data")
    facts = {
        "data": data.get("use") if isinstance(data, dict) else data,
        "phases": ", ".join(f"{phase} to step {end:,}" for phase, end in ends.items()),
        "seed": recipe.get("seed"),
        "plugins": ", ".join(map(str, _read_json(run.plugins))),
    }
    known = "".join(
        f"<div><dt>{name}</dt><dd>{escape(str(fact))}</dd></div>"
        for name, fact in facts.items()
        if fact not in (None, "")
    )
    return f'<dl class="facts">{known}</dl>' if known else ""


def _environment(run: RunDirectory, evaluation: Row) -> str:
    recipe = run.recipe.read_text(encoding="utf-8", errors="replace") if run.recipe.is_file() else ""
    plugins = {f"plugin {name}": what for name, what in _read_json(run.plugins).items()}
    here = {name: _version(name) for name in ("gangen", "torch", "accelerate", "numpy")}
    lines = "".join(
        f'<tr><th scope="row">{escape(str(name))}</th><td>{escape(str(what))}</td></tr>'
        for name, what in {**plugins, "Python": platform.python_version(), **here}.items()
    )
    parts = f"<details><summary>The complete recipe</summary><pre>{escape(recipe)}</pre></details>" if recipe else ""
    if measured := evaluation.get("metrics"):
        found = yaml.safe_dump(measured, sort_keys=False, allow_unicode=True)
        parts += f"<details><summary>How the evaluation measured</summary><pre>{escape(found)}</pre></details>"
    return (
        f"<section><h2>How to make it again</h2>{parts}<details><summary>Environment</summary>"
        '<p class="note">Plugins as the run recorded them; packages as they were where this page was written.</p>'
        f"<table><tbody>{lines}</tbody></table></details></section>"
    )


def _read_json(path: Path) -> Row:
    """The object in a file; empty where there is none that can be read."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _read_recipe(path: Path) -> Row:
    try:
        tree = RecipeSource.read(path).tree
    except (OSError, RecipeError):
        return {}
    return tree if isinstance(tree, dict) else {}


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "-"


def _script_hash(template: str) -> str:
    """Names the page's only script, so that a browser runs no other."""
    script = re.search(r"<script>(.*?)</script>", template, re.DOTALL)
    return "sha256-" + b64encode(hashlib.sha256(script[1].encode()).digest()).decode()
