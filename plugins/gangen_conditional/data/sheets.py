"""What sheets show of data whose rows are made from something."""

import torch

from gangen import SheetRow, TensorSplit
from gangen_conditional.codecs.output import ImageFromCodec, TextFromCodec

SHOWN = 8


def sheet_of(codec: ImageFromCodec | TextFromCodec, heldout: TensorSplit, n: int = 1) -> list[SheetRow]:
    """``SHOWN`` held-out rows, spread evenly: the input, ``n`` samples and the truth, which is the first column."""
    places = torch.linspace(0, len(heldout) - 1, min(SHOWN, len(heldout))).long()
    rows = {name: column[places] for name, column in heldout.rows().items()}
    inputs, truths = codec.input.decode(rows["input"]), codec.decode(next(iter(rows.values())))
    return [
        SheetRow("", n, {"input": row.expand(n, *row.shape)}, {"input": shown, "truth": truth})
        for row, shown, truth in zip(rows["input"], inputs, truths, strict=True)
    ]
