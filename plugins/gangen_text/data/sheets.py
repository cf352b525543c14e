"""What sheets show of data whose rows are made from something."""

from typing import Any

import torch

from gangen import SheetRow, TensorSplit

ROWS_SHOWN = 8


def sheet_of(codec: Any, heldout: TensorSplit, n: int = 1) -> list[SheetRow]:
    """``ROWS_SHOWN`` held-out rows, spread evenly: input, ``n`` samples and the truth, which is the first column."""
    places = torch.linspace(0, len(heldout) - 1, min(ROWS_SHOWN, len(heldout))).long()
    rows = {name: column[places] for name, column in heldout.rows().items()}
    given = {name: rows[name] for name in ("input", "mask") if name in rows}
    inputs, truths = codec.input.decode(rows["input"]), codec.decode(next(iter(rows.values())))
    return [
        SheetRow(
            "",
            n,
            {name: column[row].expand(n, *column.shape[1:]) for name, column in given.items()},
            {"input": shown, "truth": truth},
        )
        for row, (shown, truth) in enumerate(zip(inputs, truths, strict=True))
    ]
