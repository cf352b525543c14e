"""Labels are numbers in rows, and names to people."""

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from gangen.contracts import Batch
from gangen.errors import DataError, UsageError, did_you_mean

SHOWN = 40


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
        raise UsageError(f"these data have labels: a condition needs a label, one of {', '.join(names)}")
    return label


def label_number(prompt: str, names: Sequence[str]) -> int:
    """The place in ``names`` of the one that a prompt says; another case will do.

    Raises UsageError for another, with the names that there are.
    """
    places = {name.casefold(): place for place, name in enumerate(names)}
    places |= {name: place for place, name in enumerate(names)}
    number = places.get(prompt, places.get(prompt.casefold()))
    if number is None:
        shown = ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")
        raise UsageError(f"there is no label {prompt!r}{did_you_mean(prompt, names)}\nlabels: {shown}")
    return number
