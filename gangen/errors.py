"""The errors that gangen raises on purpose; each carries one message for the person at the keyboard."""

import difflib
from collections.abc import Iterable
from itertools import islice
from typing import NamedTuple

# How many things that are wrong one message names, and how many characters it has for each.
SHOWN, LONGEST = 20, 1000


class GangenError(Exception):
    """Something that the user can act on.

    The command line prints it without a traceback, after ``word``, and ends with ``exit_code``. Where several processes
    play, ``shared`` says that all of them raise it alike, so that the main one speaks for all.
    """

    word = "error"
    exit_code = 1
    shared = False


class UsageError(GangenError):
    """What was asked for cannot be asked for: a wrong argument, name, option or recipe."""

    exit_code = 2


class Problem(NamedTuple):
    """One thing wrong in a recipe: where (``file:line:col``, or the command line's words) and what."""

    where: str
    message: str

    def __str__(self) -> str:
        return f"{self.where}: {self.message}"


class RecipeError(UsageError):
    """Everything that is wrong with one recipe, a line each of the first twenty."""

    shared = True

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        words = (str(problem) for problem in self.problems[:SHOWN])
        lines = [it if len(it) <= LONGEST else f"{it[:LONGEST]} ..." for it in words]
        more = len(self.problems) - SHOWN
        super().__init__("\n".join([*lines, f"and {more:,} more"] if more > 0 else lines))


class PluginError(UsageError):
    """A plugin, or a local file that acts as one, does not keep to the plugin contract."""


class DataError(GangenError):
    """The data cannot be read, or is not what the recipe says it is."""


class RunError(GangenError):
    """A run cannot start, go on or be read."""

    shared = True


class CheckpointError(RunError):
    """A checkpoint is missing, incomplete or belongs to another game."""

    shared = False


def did_you_mean(word: str, choices: Iterable[str]) -> str:
    """``"; did you mean 'x'?"`` for the choice nearest to ``word``, or an empty string where none is near."""
    # Who has more to choose from, or longer words, waits for minutes.
    known = [choice for choice in islice(choices, 2000) if len(choice) <= 60] if len(word) <= 60 else []
    near = difflib.get_close_matches(word, known, n=1)
    return f"; did you mean {near[0]!r}?" if near else ""
