"""What makes a run no good one: it stops there, or goes back to its last good checkpoint."""

from typing import Literal

from gangen.errors import RunError

Remedy = Literal["stop", "roll_back"]


class Fault(RunError):
    """A fault that all processes raise together; the state after step ``since`` is the first that has it.

    ``then`` is what is to follow, None where the recipe says it.
    """

    def __init__(self, what: str, *, since: int, then: Remedy | None = None) -> None:
        super().__init__(what)
        self.since = since
        self.then = then


class NotFinite(Fault):
    """A figure, gradient, weight or average is infinite or no number; nothing of that was saved."""
