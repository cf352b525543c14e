"""Texts with holes: whole, and with words missing."""

from dataclasses import replace
from typing import Annotated, Any

import torch
import torch.nn.functional as F
from annotated_types import Ge, Interval
from tokenizers import models
from torch import Tensor

from gangen import DataError, Part, Seed, SheetRow, Split, TensorSplit, noise
from gangen_conditional.codecs.holes import HolesInput
from gangen_conditional.codecs.output import TextFromCodec
from gangen_conditional.spec import HolesSpec
from gangen_text import TextCodec

# Rows of a sheet, and samples in each.
SHOWN, FILLS = 8, 3


class Masked:
    """The texts of the data source ``of`` with words missing, which are to be filled in.

    A text has up to ``holes`` holes, and each stands for one to ``longest`` words: how many is for whoever fills it to
    say. All numbers of holes and of words come up as often, as far as no more than the ``share`` of a text goes into
    holes. A hole begins and ends with a word, may have marks within, never an unknown word, and does not touch another.
    Training rows have other holes each time they come up; held-out ones keep theirs, by ``seed``.

    Rows are as ``HolesSpec`` says: "tokens" is the whole text, "input" the one with holes. Labels are left aside.

    Raises:
        DataError: the data are no texts, or their tokens are no words; or no text has a word to hide.
    """

    codec_class = TextFromCodec

    def __init__(
        self,
        *,
        of: Annotated[Any, Part("data")] = {"use": "text/verses", "tokenizer": "words"},  # noqa: B006
        holes: Annotated[int, Ge(1)] = 2,
        longest: Annotated[int, Ge(1)] = 4,
        share: Annotated[float, Interval(gt=0, lt=1)] = 0.5,
        seed: Seed = 0,
    ) -> None:
        codec = of.codec
        if not isinstance(codec, TextCodec):
            raise DataError("conditional/masked needs texts; these data are none")
        if not isinstance(codec.tokenizer.model, models.WordLevel) or codec.spec.end is None:
            raise DataError(
                "conditional/masked hides whole words, and these texts' tokens are parts of words, or numbers: set "
                "tokenizer: words in the data that it is made of"
            )
        # Room for what a hole takes beyond the words that it hides.
        spec = replace(codec.spec, max_length=codec.spec.max_length + holes * (longest - 1), labels=())
        whole = TextCodec(codec.tokenizer, spec, word_by_word=codec.word_by_word)
        self.codec = TextFromCodec(whole, HolesInput(whole, longest))
        self.accounts = getattr(of, "accounts", [])
        hide = _Hiding(self.codec, holes, longest, share)
        self.train = MaskedSplit(of.train, hide, seed)
        self.heldout = _once(of.heldout, hide, seed)
        if not self.codec.spec.input.holes(self.heldout.rows()["input"]).any():
            raise DataError("no held-out text has a word to hide: texts need two known words or more")

    def sheet(self) -> list[SheetRow]:
        """Held-out texts, spread evenly: with holes, filled some times, and whole."""
        places = torch.linspace(0, len(self.heldout) - 1, min(SHOWN, len(self.heldout))).long()
        rows = {name: column[places] for name, column in self.heldout.rows().items()}
        inputs, truths = self.codec.input.decode(rows["input"]), self.codec.decode(rows["tokens"])
        return [
            SheetRow("", FILLS, {"input": row.expand(FILLS, -1)}, {"input": shown, "truth": truth})
            for row, shown, truth in zip(rows["input"], inputs, truths, strict=True)
        ]


class MaskedSplit:
    """Rows of another split, with other holes in each batch.

    ``plain``, where they are in memory, is all of them with holes that stay.
    """

    def __init__(self, texts: Split, hide: "_Hiding", seed: int) -> None:
        self._texts = texts
        self._hide = hide
        if hasattr(texts, "rows"):
            self.plain = _once(texts, hide, seed)

    def batch(
        self, counter: int, rows: range, size: int, *, seed: int, device: torch.device | str
    ) -> dict[str, Tensor]:
        """See ``gangen.Split``."""
        texts = self._texts.batch(counter, rows, size, seed=seed, device="cpu")["tokens"]
        chance = self._hide.chance(size, noise.mix(seed, "holes", counter))[rows.start : rows.stop]
        return {name: column.to(device) for name, column in self._hide(texts, chance).items()}


def _once(texts: Any, hide: "_Hiding", seed: int) -> TensorSplit:
    """All rows of a split, each with holes of its own."""
    tokens = texts.rows()["tokens"]
    return TensorSplit(**hide(tokens, hide.chance(len(tokens), noise.mix(seed, "holes"))))


class _Hiding:
    """How words of texts are hidden; the numbers are options of ``Masked``."""

    def __init__(self, codec: TextFromCodec, holes: int, longest: int, share: float) -> None:
        self.spec: HolesSpec = codec.input.spec
        self.holes, self.longest, self.share = holes, longest, share
        special = {self.spec.start, self.spec.end, self.spec.pad, self.spec.unknown}
        self.may = torch.ones(codec.spec.vocab_size, dtype=torch.bool)
        self.may[[token for token in special if token is not None]] = False
        self.word = torch.zeros_like(self.may)
        for token, number in codec.tokenizer.get_vocab().items():
            self.word[number] = any(map(str.isalnum, token))
        self.word &= self.may

    def chance(self, rows: int, seed: int) -> Tensor:
        """All that is drawn for so many rows, float ``[rows, holes + 1, 2, length]``, uniform on [0, 1)."""
        generator = torch.Generator().manual_seed(seed)
        return torch.rand(rows, self.holes + 1, 2, self.spec.max_length, generator=generator)

    def __call__(self, texts: Tensor, chance: Tensor) -> dict[str, Tensor]:
        """Rows of ``texts``, int64 ``[n, length]``, by what ``chance`` drew; a text of one word has no hole."""
        return self.laid_out(texts, self.hidden(texts, chance[..., : texts.shape[1]]))

    def hidden(self, texts: Tensor, chance: Tensor) -> Tensor:
        """Which tokens go into holes, bool ``[n, length]``."""
        count = self.spec.text(texts).sum(1)
        most = torch.where(count > 1, (count * self.share).long().clamp(min=1), 0)
        holes = (chance[:, 0, 0, 0] * self.holes).long() + 1
        may, word = self.may[texts], self.word[texts]
        hidden = torch.zeros_like(may)
        for hole in range(self.holes + 1):
            size = (chance[:, hole, 0, 1] * self.longest).long() + 1
            size = torch.where(hole < holes, size, 0)
            if hole == self.holes:  # a text without a run of so many words has a single one
                size = (~hidden.any(1)).long()
            size = size.minimum(most - hidden.sum(1)).clamp(min=0)[:, None]
            start = torch.arange(texts.shape[1]).expand_as(texts)
            stop = (start + size).clamp(max=texts.shape[1])
            within = _count(may, start, stop) == size
            apart = _count(hidden, (start - 1).clamp(min=0), (stop + 1).clamp(max=texts.shape[1])) == 0
            fits = word & word.gather(1, (stop - 1).clamp(min=0)) & within & apart & (size > 0)
            best = chance[:, hole, 1].masked_fill(~fits, -1).max(1, keepdim=True)
            hidden |= (best.values >= 0) & (start >= best.indices) & (start < best.indices + size)
        return hidden

    def laid_out(self, texts: Tensor, hidden: Tensor) -> dict[str, Tensor]:
        """Rows int64 ``[n, max_length]``, in which each hole has room for ``longest`` words."""
        places = torch.arange(texts.shape[1]).expand_as(texts)
        begins = hidden & ~F.pad(hidden, (1, 0))[:, :-1]
        begun = torch.where(begins, places, 0).cummax(1).values
        # A token moves by the room of the holes before it less the words that were there.
        before = self.longest * (begins.cumsum(1) - hidden.long()) - (hidden.cumsum(1) - hidden.long())
        places = places + before + torch.where(hidden, places - begun, 0)
        shape, length = (len(texts), self.spec.max_length), self.spec.max_length
        tokens = torch.full(shape, self.spec.pad).scatter(1, places, texts)
        edges = torch.zeros(len(texts), length + 1, dtype=torch.int64).scatter_add(1, places, begins.long())
        edges.scatter_add_(1, (places + self.longest).clamp(max=length), -begins.long())
        return {"tokens": tokens, "input": tokens.masked_fill(edges.cumsum(1)[:, :-1] > 0, self.spec.hole)}


def _count(marks: Tensor, start: Tensor, stop: Tensor) -> Tensor:
    """How many of ``marks``, bool ``[n, length]``, lie from ``start`` up to ``stop``, int64 ``[n, length]``."""
    before = F.pad(marks.cumsum(1), (1, 0))
    return before.gather(1, stop) - before.gather(1, start)
