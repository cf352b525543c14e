"""Any text that ``datasets`` reads: a line of a file, or a column of a table, is a text."""

from collections.abc import Iterator
from functools import partial
from typing import Annotated, Any

from annotated_types import Ge, Interval
from torch import Tensor

from gangen import Account, StreamSplit, in_order
from gangen_text.data.corpus import Corpus, fit
from gangen_text.data.files import TextRows


class Lines(Corpus):
    """Texts from ``path``: a file (txt, csv, tsv, json, jsonl, parquet; .gz too), a glob, a folder of such files, a
    folder saved by ``datasets``, or a name on the hub. Where it has splits, or files called so, "train" is read.

    ``column`` of a table is the text; ``label_column`` its label, where texts are to be asked for by label. Texts are
    stripped and blank ones left out. ``heldout_path`` has the texts that are held out, or is the name of a split,
    such as "test"; null holds out a share.

    ``tokenizer`` and the options after it are those of every corpus, see ``gangen_text.data.corpus``.

    With ``streaming`` the texts are never all in memory: the first ``buffer`` rows train the tokenizer, give the labels
    and the share that is held out (wherever those texts occur again, they are skipped); training reads everything,
    shuffled within a buffer of so many rows.

    ``encoding`` is that of text files. More texts left out than the share ``max_left_out`` are an error.

    Raises:
        DataError: there are no texts, or none fits; the message says what to change.
    """

    def __init__(
        self,
        *,
        path: str,
        column: str = "text",
        label_column: str | None = None,
        encoding: str = "utf-8",
        heldout_path: str | None = None,
        streaming: bool = False,
        buffer: Annotated[int, Ge(2)] = 10_000,
        max_left_out: Annotated[float, Interval(ge=0, le=1)] = 0.5,
        **options: Any,
    ) -> None:
        columns = {"column": column, "label_column": label_column, "encoding": encoding}
        self.source = TextRows(path, streaming=streaming, **columns)
        account = Account(path, "texts")
        texts = self.source.read(account, buffer if streaming else None)
        held = None
        if heldout_path is not None:
            other = Account(f"{path}, held out ({heldout_path})", "texts")
            held = self.source.other(heldout_path).read(other), other
        super().__init__(texts, in_order(texts.labels or ()), account, held, max_left_out=max_left_out, **options)
        if streaming:
            self.train = StreamSplit(partial(self._epoch, buffer))

    def _epoch(self, buffer: int, epoch: int) -> Iterator[dict[str, Tensor]]:
        heldout = {row.tobytes() for row in self.heldout.rows()["tokens"].numpy()}
        for texts in self.source.stream(seed=self.seed, epoch=epoch, buffer=buffer):
            columns = fit(self.codec, texts, self.codec.tokenize(texts.texts), self.fitting, self.source.path)
            for row, tokens in enumerate(columns["tokens"].numpy()):
                if tokens.tobytes() not in heldout:
                    yield {name: tensor[row] for name, tensor in columns.items()}
