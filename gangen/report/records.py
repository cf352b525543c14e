"""What a run left behind, as far as it can be read: whatever is damaged counts as missing."""

import json
from pathlib import Path
from typing import Any

from gangen.errors import RecipeError
from gangen.recipe.source import RecipeSource
from gangen.run_directory import RunDirectory

Row = dict[str, Any]


def read_rows(run: RunDirectory) -> list[Row]:
    """Rows of training that have a step, in the order in which they were written."""
    return [row for row in run.read_metrics() if isinstance(row, dict) and isinstance(row.get("step"), int)]


def read_evaluation(run: RunDirectory) -> Row:
    return _read_json(run.root / "evaluation.json")


def read_plugins(run: RunDirectory) -> Row:
    """What each plugin was when the run began, by its name."""
    return _read_json(run.plugins)


def read_recipe(run: RunDirectory) -> Row:
    try:
        tree = RecipeSource.read(run.recipe).tree
    except (OSError, RecipeError):
        return {}
    return tree if isinstance(tree, dict) else {}


def doubts(rows: list[Row], evaluation: Row) -> list[str]:
    """Warnings of training, then those of the evaluation."""
    found = evaluation.get("warnings")
    ours = [f"Step {row['step']:,}: {row['warning']}" for row in rows if "warning" in row]
    return ours + [f"Evaluation: {message}" for message in (found if isinstance(found, list) else [])]


def mapping(value: Any) -> Row:
    """``value`` where it is a mapping; else an empty one."""
    return value if isinstance(value, dict) else {}


def _read_json(path: Path) -> Row:
    try:
        return mapping(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return {}
