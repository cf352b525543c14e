"""How fast a run trains."""

import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

# The newest so many steps say how fast a phase is played.
STRETCH = 200


class Pace:
    """Seconds that steps take, without what lies between them: evaluations, sheets and checkpoints."""

    def __init__(self) -> None:
        self._ends: deque[float] = deque(maxlen=STRETCH + 1)
        self._paused = 0.0

    def begin(self) -> None:
        """A phase begins, whose steps may take longer or shorter than those before."""
        self._ends.clear()
        self.count()

    def count(self) -> None:
        """A step has ended."""
        self._ends.append(time.monotonic() - self._paused)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """What takes place here is no part of any step."""
        begun = time.monotonic()
        try:
            yield
        finally:
            self._paused += time.monotonic() - begun

    @property
    def steps_per_second(self) -> float:
        """Over the newest steps of the phase; its first, for which much is made ready, counts only where it is alone.

        0 before that.
        """
        ends = list(self._ends)[1 if len(self._ends) > 2 else 0 :]
        return (len(ends) - 1) / max(ends[-1] - ends[0], 1e-9) if len(ends) > 1 else 0.0
