"""The best model of a run, by one figure of its evaluations."""

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from gangen.errors import RunError, did_you_mean
from gangen.files import write_atomically
from gangen.recipe.keep_best import KeepBest


class Best:
    """The best model so far, in ``folder``; best.json in it says by which figure, its value and the step."""

    def __init__(self, rule: KeepBest, folder: Path, export: Callable[[Path], None]) -> None:
        self.rule = rule
        self.folder = folder
        self.export = export
        self.about = folder / "best.json"
        self.name = {side: figure for side, figure in rule.to_plain().items() if figure}
        self.value: float | None = None

    def recall(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Take over the best value of the evaluations in ``rows`` of ``metrics.jsonl``, if its model was kept.

        A run that goes on has cut rows back to its checkpoint, so what it finds again it writes again, to the bit.
        """
        if self.about.exists() and json.loads(self.about.read_text(encoding="utf-8")).items() >= self.name.items():
            for row in rows:
                self._improves(row)

    def offer(self, figures: Mapping[str, float], step: int) -> None:
        """Export the model of ``step`` where ``figures`` are better than all before.

        Raises:
            RunError: the figure is not among them.
        """
        if self.rule.figure not in figures:
            names = [name for name in figures if not name.endswith("_real")]
            longer = [name for name in names if name.startswith(self.rule.figure)]
            hint = f"; did you mean {longer[0]!r}?" if longer else did_you_mean(self.rule.figure, names)
            raise RunError(
                f"keep_best: no metric reports {self.rule.figure!r}{hint}\n"
                f"there are: {', '.join(names)}; the run may go on with another keep_best"
            )
        if not self._improves(figures):
            return
        self.about.unlink(missing_ok=True)  # killed in between, nothing false is said of the new weights
        self.export(self.folder)
        write_atomically(self.about, json.dumps(self.name | {"value": self.value, "step": step}, indent=1) + "\n")

    def _improves(self, figures: Mapping[str, Any]) -> bool:
        value = figures.get(self.rule.figure)  # None where it was not finite
        better = value is not None and self.rule.prefers(value, self.value)
        if better:
            self.value = figures[self.rule.figure]
        return better
