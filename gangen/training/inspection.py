"""What a recipe's data are, looked at before any training."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from gangen.account import told
from gangen.components.registry import Registry
from gangen.contracts import Codec, Data, SheetRow, training_rows
from gangen.recipe.sections import Recipe
from gangen.run_directory import RunDirectory
from gangen.splits import StreamSplit
from gangen.training.callbacks.sheets import real_sheet, write_sheet
from gangen.training.compatibility import find_few_held_out, find_scarcity

# So many rows of a stream are looked at.
SOME = 256
LABELS = 40


def inspect(recipe: Recipe, registry: Registry) -> list[str]:
    """What became of all that the data were given, what rows are like, and a sheet of them in the run directory."""
    with recipe.building_data():
        data = registry.build(recipe.data)
    codec, accounts = data.codec, told(data, recipe.data.name)
    rows, whose = _rows(data, recipe.seed)
    heldout = data.heldout.rows()
    lines = [f"data {recipe.data.name}", *accounts.lines]
    for name, columns in {whose: rows, "held out": heldout}.items():
        count = len(next(iter(columns.values())))
        lines.append(f"{name}: {count:,} row{'s' * (count != 1)} of {_shapes(columns)}")
    lines += _labels(codec.prompts(), rows, heldout)
    lines += data.describe() if hasattr(data, "describe") else []
    folder = RunDirectory(recipe.run).root
    if hasattr(data, "sheet"):
        lines += _write(data.sheet(), codec, folder / "held-out-rows", "what samples are made from, and the truth")
    elif hasattr(codec, "samples_of"):
        lines += _write(real_sheet(codec, rows), codec, folder / "training-rows", "what networks see")
    warnings = [*accounts.warnings, *find_scarcity(recipe, data), *find_few_held_out(recipe, data)]
    return lines + [f"warning: {warning}" for warning in warnings]


def _rows(data: Data, seed: int) -> tuple[Mapping[str, Tensor], str]:
    """Rows to look at, and what to call them: those to train on, some of a stream, or else those that are held out."""
    split = training_rows(data)
    if hasattr(split, "rows"):
        return split.rows(), "to train on"
    if isinstance(split, StreamSplit):
        return split.batch(0, range(SOME), SOME, seed=seed, device="cpu"), f"the first {SOME} to train on"
    return data.heldout.rows(), "held out"


def _write(sheet: Sequence[SheetRow], codec: Codec, path: Path, what: str) -> list[str]:
    """A sheet into files with the name of ``path``: which they are, and what a terminal shows of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    files, preview = write_sheet(codec, sheet, path)
    return [f"sheet of {what}: {files}", *filter(None, [preview])]


def _shapes(columns: Mapping[str, Tensor]) -> str:
    return ", ".join(
        f"{name} {str(column.dtype).removeprefix('torch.')} {list(column.shape[1:]) or ''}".rstrip()
        for name, column in columns.items()
    )


def _labels(names: Sequence[str], rows: Mapping[str, Tensor], heldout: Mapping[str, Tensor]) -> list[str]:
    """How many rows there are of each label."""
    if not names or "label" not in rows or "label" not in heldout:
        return []
    counts = [torch.bincount(side["label"], minlength=len(names)).tolist() for side in (rows, heldout)]
    shown = [f"{name}: {here:,} + {there:,}" for name, here, there in zip(names, *counts, strict=False)]
    more = [f"and {len(shown) - LABELS:,} more"] if len(shown) > LABELS else []
    return [f"labels (to train on + held out): {', '.join([*shown[:LABELS], *more])}"]
