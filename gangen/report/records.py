"""What a run left behind, as far as it can be read: whatever is damaged counts as missing."""

from typing import Any

from gangen.errors import RecipeError
from gangen.evaluation.results import Result
from gangen.recipe.source import RecipeSource
from gangen.run_directory import RunDirectory

Row = dict[str, Any]


def read_recipe(run: RunDirectory) -> Row:
    try:
        tree = RecipeSource.read(run.recipe).tree
    except (OSError, RecipeError):
        return {}
    return tree if isinstance(tree, dict) else {}


def warnings_of(rows: list[Row], result: Result | None) -> list[str]:
    """Those of training, then those of the evaluation that training did not have."""
    ours = [row for row in rows if "warning" in row]
    known = {str(row["warning"]) for row in ours}
    others = [message for message in (result.warnings if result else []) if message not in known]
    return [f"Step {row['step']:,}: {row['warning']}" for row in ours] + [f"Evaluation: {it}" for it in others]
