"""Folders of media: a file is a row, with the sub-folder that it is in as its class, and what a table says of it."""

import os
import unicodedata
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

from gangen.account import NAMED, Account, few
from gangen.errors import DataError
from gangen.reading.formats import READERS, ROWS_AT_ONCE, Choose, Chunk
from gangen.reading.paths import Found

LABEL = "label"
FILE_NAME = "file_name"
# Tables of what is known of the files below the folder that they are in.
TABLES = {"metadata.csv": "csv", "metadata.jsonl": "json", "metadata.parquet": "parquet"}


def read_media(
    found: Found, medium: str, choose: Choose, account: Account, *, classes: bool, order: Random | None = None
) -> Iterator[Chunk]:
    """A row for each file: column ``medium``, as ``datasets`` calls it; "label", where sub-folders are ``classes``; and
    those of its tables.

    The rows come in the order of the files, or as ``order`` shuffles them all.

    Raises:
        DataError: two sub-folders would be one class.
    """
    import datasets

    features: dict[str, Any] = {medium: getattr(datasets, medium.capitalize())()}
    labels, why = classes_of(found, account) if classes else ({}, "")
    if labels:
        features[LABEL] = datasets.ClassLabel(names=sorted(set(labels.values())))
    elif not classes and (folders := {file.parent for file in found.files} - {found.folder}):
        account.notes.append(f"sub-folders are no labels here: {few(sorted(found.shown(list(folders))))}")
    table = _tables(found, account)
    told = dict.fromkeys(name for row in table.values() for name in row if name != medium)
    features |= told
    wanted = choose(features, {LABEL: why and f": {why}"})
    if unused := [name for name in told if name not in wanted]:
        account.notes.append(f"columns of its table that are not read: {few(unused)}")
    files = found.files
    unnamed = [file for file in files if table and _key(file) not in table]
    if unnamed and told.keys() & set(wanted):
        files = [file for file in files if _key(file) in table]
        if not files:
            raise DataError(
                f"{account.source}: its table of files names none of those that are there, "
                f"as {found.shown(unnamed)[0]}; {FILE_NAME} is to be the path from the table's folder"
            )
        account.leave_out("not named in the table of files", found.shown(unnamed))
    elif unnamed:
        account.warnings.append(
            f"{account.source}: its table of files says nothing of {len(unnamed):,} of {len(files):,}: "
            f"{few(found.shown(unnamed))}"
        )
    if order:
        files = order.sample(files, len(files))
    names = {LABEL: tuple(features[LABEL].names)} if LABEL in wanted and features[LABEL] else {}
    iterator = iter(files)
    while some := list(islice(iterator, ROWS_AT_ONCE)):
        rows = [
            {**table.get(_key(file), {}), medium: {"bytes": None, "path": str(file)}}
            | ({LABEL: labels[file]} if names else {})
            for file in some
        ]
        columns = {name: [row.get(name) for row in rows] for name in wanted}
        yield Chunk(columns, names, [(str(file), "") for file in some])


def classes_of(found: Found, account: Account) -> tuple[dict[Path, str], str]:
    """The class of each file, the first sub-folder in which they differ; or nothing, and why there are none.

    Raises:
        DataError: two sub-folders would be one class.
    """
    start = len(found.folder.parts) if found.folder else 0
    folders = {file: file.parts[start:-1] for file in found.files}
    first, last = min(folders.values()), max(folders.values())
    level = next(
        (place for place, (one, other) in enumerate(zip(first, last, strict=False)) if one != other), len(first)
    )
    level = min(level, *map(len, folders.values()))
    strays = [file for file, parts in folders.items() if len(parts) == level]
    tops = sorted({parts[level] for parts in folders.values() if len(parts) > level})
    if strays and tops:
        shown = found.shown(strays[:NAMED])
        more = f" and {len(strays) - NAMED:,} more" if len(strays) > NAMED else ""
        why = f"{', '.join(shown)}{more} lie{'s' if len(strays) == 1 else ''} outside of the sub-folders ({few(tops)})"
        account.warnings.append(
            f"{account.source}: sub-folders are no labels, since {why}; move what is outside, or set label_column: null"
        )
        return {}, why
    if not tops:
        only = {parts[-1] for parts in folders.values() if parts} if level and found.folder else ()
        why = f"there is but one sub-folder, {', '.join(only)}, and one label is no condition; set label_column: null"
        return {}, why if only else "sub-folders would be labels, and there are none"
    named = {top: unicodedata.normalize("NFC", top).strip() for top in tops}
    for top, name in named.items():
        if twin := next((other for other in tops if other != top and named[other] == name), None):
            raise DataError(
                f"{account.source}: sub-folders {top!a} and {twin!a} would be one label; rename one of them"
            )
    deeper: dict[str, set[str]] = {}
    for parts in folders.values():
        deeper.setdefault(parts[level], set()).add("/".join(parts[level + 1 :]))
    if merged := sorted(set().union(*(inner for inner in deeper.values() if len(inner) > 1)) - {""}):
        what = f"labels are the sub-folders ({few(tops)}); deeper ones ({few(merged)}) are not told apart"
        account.warnings.append(f"{account.source}: {what}")
    return {file: named[parts[level]] for file, parts in folders.items()}, ""


def _tables(found: Found, account: Account) -> dict[str, dict[str, Any]]:
    """What tables say of files, by the key of each: values by column."""
    rows: dict[str, dict[str, Any]] = {}
    for path in [file for file in found.others if file.name.lower() in TABLES]:
        told: dict[str, dict[str, Any]] = {}
        for chunk in READERS[TABLES[path.name.lower()]](
            path, "utf-8", lambda features, hints=None: list(features), account
        ):
            if FILE_NAME not in chunk.columns:
                account.warnings.append(
                    f"{path} is passed over: it has no column {FILE_NAME!r}, but {few(list(chunk.columns))}"
                )
                break
            columns = {name: values for name, values in chunk.columns.items() if name != FILE_NAME}
            for number, name in enumerate(chunk.columns[FILE_NAME]):
                values = {it: column[number] for it, column in columns.items()}
                if name is None:
                    raise DataError(f"{chunk.place(number)} has no {FILE_NAME}")
                # Tables that were written on Windows part folders by backslashes.
                if told.setdefault(_key(path.parent / str(name).replace("\\", "/")), values) != values:
                    raise DataError(f"{chunk.place(number)}: {name} is named before, and with other values")
        else:
            found.others.remove(path)
            there = [*found.files, *found.other_splits, *found.outside]
            absent = sorted(told.keys() - set(map(_key, there)))
            if absent:
                account.warnings.append(
                    f"{path} names {len(absent):,} that {'is' if len(absent) == 1 else 'are'} not there: "
                    f"{few([Path(it).name for it in absent])}"
                )
            rows |= told
    return rows


def _key(file: Path) -> str:
    return unicodedata.normalize("NFC", os.path.normpath(file))
