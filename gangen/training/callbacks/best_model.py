"""The best model of a run, by one figure of its evaluations."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path

from gangen.bounded import read_json
from gangen.components.messages import show
from gangen.errors import RunError, did_you_mean
from gangen.failures import summary
from gangen.files import write_atomically
from gangen.metrics.figures import Figure, is_number
from gangen.recipe.keep_best import KeepBest


class BestModel:
    """The best model so far, in ``folder``; best.json in it says by which figure, its value and the step."""

    def __init__(self, rule: KeepBest, folder: Path, export: Callable[[Path], None]) -> None:
        self.rule = rule
        self.folder = folder
        self.export = export
        self.about = folder / "best.json"
        self.name = {side: figure for side, figure in rule.to_plain().items() if figure}
        self.value: float | None = None

    def recall(self) -> None:
        """Take over the value of the model that is kept, where it was chosen by the same figure.

        A run that goes on finds that value again, and leaves the model as it is; one that went back to a checkpoint and
        on in another way keeps it until it finds a better one.

        Raises RunError where best.json cannot be read.
        """
        try:
            about = read_json(self.about)
            if all(about.get(side) == figure for side, figure in self.name.items()):
                if not is_number(about["value"]):
                    raise ValueError(f"its value is {show(about['value'])}")
                self.value = float(about["value"])
        except FileNotFoundError:
            return
        except (OSError, ValueError, AttributeError, KeyError) as error:
            raise RunError(
                f"{self.about} cannot be read: {summary(error)}\nmove {self.folder} away to choose the best model anew"
            ) from None

    def offer(self, figures: Mapping[str, Figure], step: int) -> None:
        """Export the model of ``step`` where ``figures`` are better than all before.

        Raises:
            RunError: the figure is not among them, or nobody knows where it is good.
        """
        wanted = self.rule.name
        if wanted not in figures:
            longer = [name for name in figures if name.startswith(wanted)]
            hint = f"; did you mean {longer[0]!r}?" if longer else did_you_mean(wanted, figures)
            raise RunError(
                f"keep_best: no metric reports {wanted!r}{hint}\n"
                f"there are: {', '.join(figures)}; the run may go on with another keep_best"
            )
        if not (self.rule.good or figures[wanted].good):
            raise RunError(
                f"keep_best: neither end of {wanted} is known to be good\n"
                f"write {{lowest: {wanted}}} or {{highest: {wanted}}}; the run may go on so"
            )
        if not self.rule.prefers(figures[wanted], self.value):
            return
        self.value = figures[wanted].value
        self.about.unlink(missing_ok=True)  # killed in between, nothing false is said of the new weights
        self.export(self.folder)
        write_atomically(self.about, json.dumps(self.name | {"value": self.value, "step": step}, indent=1) + "\n")
