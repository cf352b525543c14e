"""Labels are numbers in rows, and names to people."""

import datetime
import math
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from itertools import combinations
from typing import Any

import torch
from torch import Tensor

from gangen.account import NAMED, Account, few, listed
from gangen.contracts import Batch
from gangen.errors import DataError, UsageError, did_you_mean


def label_name(value: Any) -> str | None:
    """What a cell says as a label; None for one that says nothing.

    Numbers are called as people write them: 3, also for 3.0. Names are composed (NFC) and stripped.

    Raises:
        ValueError: it holds several labels, or a measurement.
    """
    if isinstance(value, float) and not math.isnan(value) and value.is_integer():
        value = int(value)
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if not isinstance(value, str | int | datetime.date | datetime.time):
        what = f"{len(value)} labels" if isinstance(value, list | tuple) else f"a {type(value).__name__}"
        raise ValueError(f"a label is one name, and here is {what}: {str(value)[:40]}")
    return unicodedata.normalize("NFC", str(value)).strip() or None


def in_order(labels: Iterable[str]) -> list[str]:
    """Each label once; numbers as numbers before names as names: "9", "10", "cat"."""
    return sorted(
        set(labels), key=lambda label: (not label.isdecimal(), Decimal(label) if label.isdecimal() else 0, label)
    )


def with_rows(
    names: Sequence[str], train: Mapping[str, Tensor], heldout: Mapping[str, Tensor], accounts: Sequence[Account]
) -> tuple[tuple[str, ...], dict[str, Tensor], dict[str, Tensor]]:
    """The labels that have a row to train on, and both sides with these alone.

    ``train`` and ``heldout`` have "label", int64 ``[n]``, numbers in ``names``. The first of ``accounts`` is told what
    is doubtful: labels without a row on one side, of hardly any row, or that may be meant to be one; and the last, of
    the held-out rows, how many are left out.
    """
    account = accounts[0]
    trained, held = (torch.bincount(side["label"], minlength=len(names)) for side in (train, heldout))
    kept = trained > 0
    if absent := [name for name, rows in zip(names, kept.tolist(), strict=True) if not rows]:
        account.warnings.append(f"{account.source}: {_labels(absent)} left out, without a row to train on")
        numbers = kept.cumsum(0) - 1
        stay = kept[heldout["label"]]
        accounts[-1].leave_out("held-out rows of labels that no other row has", [], int((~stay).sum()))
        if not stay.any():
            raise DataError(
                f"{account.source}: no held-out row has a label that is trained on; {_labels(absent)} had no other"
            )
        heldout = {name: column[stay] for name, column in heldout.items()}
        train, heldout = (dict(side) | {"label": numbers[side["label"]]} for side in (train, heldout))
    names = tuple(name for name, rows in zip(names, kept.tolist(), strict=True) if rows)
    if unheld := [name for name, rows in zip(names, held[kept].tolist(), strict=True) if not rows]:
        account.warnings.append(
            f"{account.source}: {_labels(unheld)} without a held-out row, for figures to know what real ones are like"
        )
    if alike := _alike(names):
        account.warnings.append(f"{account.source}: are these meant to be one label? {', '.join(alike)}")
    if 2 * len(names) > len(train["label"]):
        account.warnings.append(
            f"{account.source}: {len(names):,} labels for {len(train['label']):,} rows; is that the right label_column?"
        )
    return names, dict(train), dict(heldout)


def _labels(names: Sequence[str]) -> str:
    shown = few(list(map(repr, names)))
    return f"{len(names):,} labels ({shown})" if len(names) > 1 else f"label {shown}"


def _alike(names: Sequence[str]) -> list[str]:
    """Pairs of names that differ in case alone, or in how a number is written."""
    meanings: dict[Any, list[str]] = {}
    for name in names:
        try:
            number = Decimal(name)
        except InvalidOperation:
            number = Decimal("nan")
        meaning: Any = number if number.is_finite() else " ".join(name.casefold().split())
        meanings.setdefault(meaning, []).append(name)
    pairs = (pair for same in meanings.values() for pair in combinations(same, 2))
    return [f"{one!r} and {other!r}" for one, other in pairs][:NAMED]


def numbered(labels: Sequence[str], names: Sequence[str], where: str) -> Tensor:
    """The place of each label in ``names``, int64 ``[n]``. Raises DataError for one that is not among them."""
    places = {name: place for place, name in enumerate(names)}
    strangers = sorted(set(labels) - set(places))
    if strangers:
        raise DataError(f"{where}: label {strangers[0]!r} does not occur in what the labels were taken from")
    return torch.tensor([places[label] for label in labels], dtype=torch.int64)


def labels_shown(titles: Iterable[str], names: Sequence[str]) -> str:
    """In words, how many of ``names`` stand in a sheet whose rows have ``titles``; nothing where all do."""
    shown = set(titles)
    return f"{len(shown):,} of {len(names):,} labels" if shown < set(names) else ""


def label_of(condition: Batch | None, names: Sequence[str]) -> Tensor | None:
    """The labels that a condition asks for, int64 ``[n]``; None for a network that knows no ``names`` of labels.

    Raises UsageError where one that does is not told any.
    """
    if not names:  # the condition is not looked at: a compiled network would be compiled anew for each kind of it
        return None
    label = condition.get("label") if condition else None
    if label is None:
        raise UsageError(f"these data have labels: a condition needs a label, one of {listed(names)}")
    return label


def label_number(prompt: str, names: Sequence[str]) -> int:
    """The place in ``names`` of the one that a prompt says; another case will do.

    Raises UsageError for another, with the names that there are.
    """
    places = {name.casefold(): place for place, name in enumerate(names)}
    places |= {name: place for place, name in enumerate(names)}
    prompt = unicodedata.normalize("NFC", prompt)
    number = places.get(prompt, places.get(prompt.casefold()))
    if number is None:
        raise UsageError(f"there is no label {prompt!r:.80}{did_you_mean(prompt, names)}\nlabels: {listed(names)}")
    return number
