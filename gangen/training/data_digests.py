"""Digests of the data that a run plays with, which tell whether it goes on with those that it was begun with."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from textwrap import shorten
from typing import Any

import torch

from gangen.contracts import Codec, Data, HeldOut, training_rows
from gangen.files import file_digests
from gangen.splits import in_chunks

TRAINING, HELD_OUT = "training", "held-out"


def digests_of(data: Data) -> dict[str, Any]:
    """SHA-256 of each file that the codec saves and of each column of rows, with their number, as JSON.

    Training rows are those before any augmentation, and only of data that have them in memory: a stream is not read.
    """
    splits: dict[str, Any] = {TRAINING: training_rows(data), HELD_OUT: data.heldout}
    counted = {name: split for name, split in splits.items() if hasattr(split, "rows") and hasattr(split, "__len__")}
    described = vars(data.codec.spec) if hasattr(data.codec.spec, "__dict__") else {}
    return {
        "codec": _files(data.codec),
        "description": {name: shorten(str(value), 80) for name, value in described.items()},
        "rows": {name: {"count": len(split), "columns": _columns(split)} for name, split in counted.items()},
    }


def changed_codec(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """In words, in what the codec differs from that of before; both are what ``digests_of`` gave."""
    if not (files := _different(before["codec"], now["codec"])):
        return []
    then, today = before["description"], now["description"]
    known = [name for name in _different(then, today) if name in then and name in today]
    fields = [f"{name} is {today[name]} and not {then[name]}" for name in known]
    return [f"the codec differs ({'; '.join(fields or files)})"]


def changed_rows(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """In words, in what rows differ from those of before."""
    found = []
    for name, rows in now["rows"].items():
        then = before["rows"].get(name, rows)
        if rows["count"] != then["count"]:
            found.append(f"{rows['count']:,} {name} row{'s' * (rows['count'] != 1)} and not {then['count']:,}")
        elif columns := _different(then["columns"], rows["columns"]):
            some = f"differ in {', '.join(columns)}" if len(columns) < len(then["columns"]) else "are others"
            found.append(f"the {name} rows {some}, or in another order")
    return found


def _different(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    return [name for name in before if now.get(name) != before[name]] + [name for name in now if name not in before]


def _files(codec: Codec) -> dict[str, str]:
    with TemporaryDirectory() as name:
        folder = Path(name)
        codec.save(folder)
        return file_digests(folder)


def _columns(split: HeldOut) -> dict[str, str]:
    found: dict[str, Any] = {}
    for chunk in in_chunks(split):
        for name, rows in chunk.items():
            kind = f"{rows.dtype} {list(rows.shape[1:])}"
            found.setdefault(name, hashlib.sha256(kind.encode())).update(rows.contiguous().view(torch.uint8).numpy())
    return {name: rows.hexdigest() for name, rows in found.items()}
