"""What became of all that a data source was given: told before training, with a warning where it is not all used."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from operator import length_hint
from typing import NamedTuple

from gangen.contracts import Data, training_rows

# How many of those that are left out are named.
NAMED = 3
# How many are where somebody has to choose among them, and how long they are then.
LISTED, LONGEST = 40, 60


@dataclass(eq=False)
class Account:
    """Counts of what ``source`` gave, ``what`` it calls these in the plural, and what became of them: a line in all.

    ``warnings`` are what else the user should know before training; ``notes`` are good to know.
    """

    source: str
    what: str = "rows"
    warnings: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    _used: dict[str, int] = field(default_factory=dict)
    _left_out: dict[str, tuple[int, list[str]]] = field(default_factory=dict)
    _passed_over: dict[str, tuple[int, list[str]]] = field(default_factory=dict)
    _skipped: dict[str, int] = field(default_factory=dict)

    def use(self, purpose: str, count: int) -> None:
        """``count`` of them are used, as in "to train on"."""
        self._used[purpose] = self._used.get(purpose, 0) + count

    def leave_out(self, why: str, names: Sequence[str], count: int | None = None) -> None:
        """These are not used, as in "longer than 32 tokens (data.max_length)". ``names`` may be some of ``count``."""
        _add(self._left_out, why, names, count)

    def skip(self, what: str, count: int) -> None:
        """So many of ``what`` hold nothing and are none of them, as "blank lines": no cause for a warning."""
        self._skipped[what] = self._skipped.get(what, 0) + count

    def pass_over(self, what: str, names: Sequence[str]) -> None:
        """These lie there as well and are not read at all, as ``what`` says: "files passed over"."""
        _add(self._passed_over, what, names, None)

    @property
    def left_out(self) -> int:
        """How many are not used."""
        return sum(count for count, _ in self._left_out.values())

    @property
    def given(self) -> int:
        """How many there were in all."""
        return sum(self._used.values()) + self.left_out

    @property
    def complete(self) -> bool:
        """Whether nothing was left out, and nothing else lies beside it."""
        return not self._left_out and not self._passed_over

    def __str__(self) -> str:
        parts = [f"{count:,} {purpose}" for purpose, count in self._used.items()]
        parts += [f"{count:,} {why}{_named(names, count)}" for why, (count, names) in self._left_out.items()]
        line = f"{self.source}: {self.given:,} {self.what}: {', '.join(parts)}"
        passed = (f"; {count:,} {what}{_named(names, count)}" for what, (count, names) in self._passed_over.items())
        skipped = (f"; {what}: {count:,}" for what, count in self._skipped.items())
        return line + "".join(passed) + "".join(skipped) + "".join(f"; {note}" for note in self.notes)


class Told(NamedTuple):
    """Lines of accounts of which nothing is missing, and warnings: all others, and what else there is to know."""

    lines: list[str]
    warnings: list[str]


def told(data: Data, name: str) -> Told:
    """What the accounts of a data source say; of one that keeps none, by its ``name``, how many rows it has."""
    accounts: Sequence[Account] = getattr(data, "accounts", ())
    if not accounts:
        accounts = [Account(name)]
        if trained := length_hint(training_rows(data), 0):
            accounts[0].use("to train on", trained)
        accounts[0].use("held out", len(data.heldout))
    lines = [str(account) for account in accounts if account.complete]
    warnings = [str(account) for account in accounts if not account.complete]
    return Told(lines, warnings + [warning for account in accounts for warning in account.warnings])


def _add(entries: dict[str, tuple[int, list[str]]], why: str, names: Sequence[str], count: int | None) -> None:
    former, named = entries.get(why, (0, []))
    total = former + (len(names) if count is None else count)
    if total:
        entries[why] = total, [*named, *names][:NAMED]


def _named(names: Sequence[str], count: int) -> str:
    return f": {few(names, count)}" if names else ""


def listed(names: Iterable[str]) -> str:
    """Those that there are, where one of them may be meant: forty at most, each cut after sixty characters."""
    names = list(names)
    words = [name if len(name) <= LONGEST else f"{name[: LONGEST - 3]}..." for name in names[:LISTED]]
    return ", ".join(words) + (f" and {len(names) - LISTED:,} more" if len(names) > LISTED else "")


def few(names: Sequence[str], count: int | None = None) -> str:
    """The first of ``names``, which may be some of ``count``, as they stand in messages."""
    more = (len(names) if count is None else count) > NAMED
    return ", ".join(names[:NAMED]) + (", ..." if more else "")
