"""Any text that ``datasets`` reads: a line of a file, or a column of a table, is a text."""

from collections.abc import Iterator
from typing import Annotated, Literal

from annotated_types import Ge, Interval
from torch import Tensor

from gangen import StreamSplit
from gangen_text.codec import TextCodec
from gangen_text.data.corpus import fit, hold_out, make_codec, to_rows, without
from gangen_text.data.files import TextRows


class Lines:
    """Texts from ``path``: a file (txt, csv, tsv, json, jsonl, parquet; .gz too), a glob, a folder of such files, a
    folder saved by ``datasets``, or a name on the hub. Where it has splits, or files called so, "train" is read.

    ``column`` of a table is the text; ``label_column`` its label, where texts are to be asked for by label. Texts are
    stripped and blank ones left out.

    ``tokenizer`` is trained on the training texts with at most ``vocab_size`` tokens, or is the name of a saved one: a
    tokenizer.json, a folder, a name on the hub. ``lowercase`` and ``drop_spaces`` (for characters with spaces between
    them) act on what is trained here. ``max_length`` counts tokens with the end token; longer texts are left out, or
    cut (``too_long``), and counted in the log.

    Held out is the share ``heldout`` of the distinct texts, so that no copy of one is trained on, or all of
    ``heldout_path``. Held-out rows whose tokens occur in training are left out, and counted in the log.

    With ``streaming`` the texts are never all in memory: the first ``buffer`` rows train the tokenizer, give the labels
    and the share that is held out (wherever those texts occur again, they are skipped); training reads everything,
    shuffled within a buffer of so many rows.

    Raises:
        DataError: there are no texts, or none fits; the message says what to change.
    """

    codec_class = TextCodec

    def __init__(
        self,
        *,
        path: str,
        column: str = "text",
        label_column: str | None = None,
        encoding: str = "utf-8",
        tokenizer: Literal["byte_bpe", "bpe", "words", "characters"] | str = "byte_bpe",
        vocab_size: Annotated[int, Ge(1)] = 4000,
        lowercase: bool = False,
        drop_spaces: bool = False,
        max_length: Annotated[int, Ge(2)] = 32,
        too_long: Literal["drop", "cut"] = "drop",
        heldout: Annotated[float, Interval(gt=0, lt=1)] = 0.05,
        heldout_path: str | None = None,
        streaming: bool = False,
        buffer: Annotated[int, Ge(2)] = 10_000,
        seed: int = 0,
    ) -> None:
        options = {"column": column, "label_column": label_column, "encoding": encoding}
        source = TextRows(path, streaming=streaming, **options)
        texts = source.read(buffer if streaming else None)
        if heldout_path is None:
            train, held = hold_out(texts, heldout, seed)
        else:
            train, held = texts, TextRows(heldout_path, **options).read()
        self.codec = make_codec(
            train.texts,
            sorted(set(texts.labels or ())),
            tokenizer=tokenizer,
            vocab_size=vocab_size,
            lowercase=lowercase,
            drop_spaces=drop_spaces,
            max_length=max_length,
        )
        rows = to_rows(self.codec, train, too_long, path)
        self.heldout = without(to_rows(self.codec, held, too_long, heldout_path or f"{path}, held out"), rows, path)
        self.train = (
            rows if not streaming else StreamSplit(lambda epoch: self._epoch(source, too_long, seed, epoch, buffer))
        )

    def _epoch(
        self, source: TextRows, too_long: Literal["drop", "cut"], seed: int, epoch: int, buffer: int
    ) -> Iterator[dict[str, Tensor]]:
        heldout = {row.tobytes() for row in self.heldout.rows()["tokens"].numpy()}
        for texts in source.stream(seed=seed, epoch=epoch, buffer=buffer):
            columns = fit(self.codec, texts, self.codec.tokenize(texts.texts), too_long)
            for row, tokens in enumerate(columns["tokens"].numpy()):
                if tokens.tobytes() not in heldout:
                    yield {name: tensor[row] for name, tensor in columns.items()}
