"""What an evaluation is doing, what it found so far, and how long it will go on: on standard error."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Self, TypeVar

from rich.text import Text

from gangen.console import Console
from gangen.metrics.figures import Figure
from gangen.printing import visible
from gangen.runs import duration

T = TypeVar("T")

# Seconds between two lines, where there is no terminal for one that changes.
_QUIET = 5.0
_PLAIN: dict[str, Any] = {"soft_wrap": True, "markup": False, "highlight": False}


class Watch:
    """Follows the evaluation of ``run``, as a context manager; with ``quiet`` nothing is shown."""

    def __init__(self, run: str, *, quiet: bool = False) -> None:
        self.run = run
        self.console = Console(stderr=True, quiet=quiet)
        self._status = self.console.status(Text())

    def __enter__(self) -> Self:
        self._status.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._status.stop()

    def over(self, things: Sequence[T], name: Callable[[T], str]) -> Iterator[T]:
        """Go through what there is to do, whose parts take about as long as each other."""
        begun = shown = time.monotonic()
        for done, thing in enumerate(things):
            now = time.monotonic()
            left = f", about {duration((now - begun) / done * (len(things) - done))} left" if done else ""
            words = f"{self.run}: {name(thing)}, {done + 1} of {len(things)}{left}"
            self._status.update(Text(visible(words)))  # of a string rich would read markup
            if not self.console.is_terminal and now - shown >= _QUIET:
                shown = now
                self.console.print(words, **_PLAIN)
            yield thing

    def found(self, figures: Mapping[str, Figure]) -> None:
        if figures:
            words = "  ".join(f"{name} {figure}" for name, figure in figures.items())
            self.console.print(f"{self.run}: {words}", **_PLAIN)
