"""Between text and rows of tokens: prompts into conditions, samples into sentences, sheets and files."""

import json
import logging
import unicodedata
from collections.abc import Sequence
from dataclasses import fields, replace
from itertools import chain
from mimetypes import MimeTypes
from pathlib import Path
from typing import Annotated, Self, TypedDict

import torch
from annotated_types import Ge, Interval
from tokenizers import Tokenizer
from torch import Tensor, nn

from gangen import (
    Batch,
    DataError,
    Extractor,
    SheetRow,
    UsageError,
    label_number,
    labels_shown,
    read_fields,
    visible,
    write_atomically,
)
from gangen_text.data.tokenization import UNKNOWN, WORD_WITH_SPACES, read_tokenizer, refusing
from gangen_text.data.unknown import of_prompt, unknown_token
from gangen_text.extractors.encoder import Encoder
from gangen_text.networks.cnn import CNNDiscriminator
from gangen_text.spec import TextSpec

log = logging.getLogger(__name__)

PREVIEW_LINES = 12
PREVIEW_WIDTH = 160


Token = Annotated[int, Ge(0)]


class Fields(TypedDict):
    """What codec.json holds; see ``TextSpec``."""

    vocab_size: Annotated[int, Interval(ge=1, le=2**24)]
    max_length: Annotated[int, Interval(ge=1, le=2**20)]
    start: Token
    end: Token | None
    pad: Token | None
    labels: list[str]


class TextCodec:
    """A tokenizer with the shape of the rows it makes; see ``gangen.Codec``.

    A prompt is a label ("psalms"), a label with text to continue ("psalms: The LORD is"), or, where the data has no
    labels, just the text to continue. Nothing at all asks for any text, with the labels taking turns.

    ``word_by_word`` says that no token reaches across a space: then much text is tokenized four times faster.
    """

    per_prompt = 8

    def __init__(self, tokenizer: Tokenizer, spec: TextSpec, *, word_by_word: bool = False) -> None:
        # A text that spells out "<end>" does not end there.
        tokenizer.encode_special_tokens = True
        self.tokenizer = tokenizer
        self.spec = replace(spec, tokenizer=tokenizer)
        self.word_by_word = word_by_word
        self._told: set[str] = set()  # prompts with words that are unknown, which is said once

    @property
    def takes(self) -> str:
        return "a label, or one with text to continue behind a colon" if self.spec.labels else "text to continue"

    def tokenize(self, texts: Sequence[str]) -> list[list[int]]:
        """The tokens of each text, without end or padding."""
        if not self.word_by_word:
            return self._tokenize(texts)
        words = [WORD_WITH_SPACES.findall(text) for text in texts]
        distinct = list(dict.fromkeys(chain.from_iterable(words)))
        tokens = dict(zip(distinct, self._tokenize(distinct), strict=True))
        return [[token for word in row for token in tokens[word]] for row in words]

    def _tokenize(self, texts: Sequence[str]) -> list[list[int]]:
        return [encoding.ids for encoding in self.tokenizer.encode_batch_fast(texts, add_special_tokens=False)]

    def pack(self, tokens: Sequence[Sequence[int]]) -> Tensor:
        """Rows int64 ``[n, max_length]``: each text, its end, padding. Texts have at most ``max_length - 1`` tokens."""
        length, end, pad = self.spec.max_length, self.spec.end, self.spec.pad
        rows = [[*row, end, *[pad] * (length - 1 - len(row))] for row in tokens]
        return torch.tensor(rows, dtype=torch.int64).view(-1, length)

    def prompts(self) -> list[str]:
        """The labels; ``[""]`` where there are none."""
        return list(self.spec.labels) or [""]

    def encode(self, prompt: str | None, n: int) -> dict[str, Tensor]:
        """The condition of ``n`` samples: "label" int64 ``[n]`` for labelled data, "prefix" int64 ``[n, p]`` for text.

        Raises:
            UsageError: an unknown label, or text that fills a row by itself.
        """
        text = (prompt or "").strip()
        condition = {}
        if self.spec.labels and not text:
            condition["label"] = torch.arange(n) % len(self.spec.labels)
        elif self.spec.labels:
            label, text = self._label(text)
            condition["label"] = torch.full((n,), label)
        if text:
            condition["prefix"] = torch.tensor([self._prefix(text)] * n, dtype=torch.int64)
        return condition

    def samples_of(self, batch: Batch) -> Tensor:
        """The rows of tokens of a batch."""
        return batch["tokens"]

    def batch_of(self, samples: Tensor) -> dict[str, Tensor]:
        """Rows of tokens, under "tokens"."""
        return {"tokens": samples}

    def extractor(self) -> Extractor:
        """A small encoder that learns from the data."""
        return Encoder()

    def discriminator(self) -> nn.Module:
        """Convolutions over words, all of which count: what reads each row about once needs no dropout."""
        return CNNDiscriminator(self.spec, filter_counts=(64,) * 5, dropout=0.0)

    def decode(self, samples: Tensor) -> list[str]:
        """Texts of rows int64 ``[n, length]``, each up to its first end token."""
        return self.spec.texts(samples)

    def write(self, samples: Sequence[str], path: Path) -> None:
        """UTF-8 text, a sample a line. Raises UsageError for a suffix that promises anything but plain text."""
        promised, packed = MimeTypes().guess_type(path.name)
        if packed or promised not in (None, "text/plain"):
            raise UsageError(f"cannot write texts to {path}: its suffix is that of {packed or promised}; use .txt")
        path.write_text("".join(f"{_one_line(text)}\n" for text in samples), encoding="utf-8")

    def render(self, sheet: Sequence[SheetRow], path: Path) -> Path:
        """Write ``path``.txt: how many of the labels these are, if not all; the title of each row, its texts below."""
        part = labels_shown([row.title for row in sheet], self.prompts())
        blocks = [part] if part else []
        for row in sheet:
            heading = [f"# {row.title}"] if row.title else []
            texts = [f"{name}: {_one_line(text)}" if name else _one_line(text) for name, text in row.cells]
            blocks.append("\n".join(heading + texts))
        path = path.with_name(f"{path.name}.txt")
        write_atomically(path, visible("\n\n".join(blocks)) + "\n")
        return path

    def preview(self, sheet: Sequence[SheetRow]) -> str:
        """The first text of each row, or some texts of the only one."""
        lines = [(row.title, text) for row in sheet for text in row.samples[: 4 if len(sheet) == 1 else 1]]
        return "\n".join(
            _clipped(f"{title}: {_one_line(text)}" if title else _one_line(text))
            for title, text in lines[:PREVIEW_LINES]
        )

    def save(self, folder: Path) -> None:
        """Write codec.json and a tokenizer that ``transformers.AutoTokenizer.from_pretrained(folder)`` opens too."""
        write_atomically(folder / "tokenizer.json", self.tokenizer.to_str(pretty=True))
        write_atomically(folder / "tokenizer_config.json", json.dumps(self._for_transformers(), indent=1) + "\n")
        names = [it.name for it in fields(self.spec) if it.name != "tokenizer"]
        described = {name: getattr(self.spec, name) for name in names}
        write_atomically(folder / "codec.json", json.dumps(described, indent=1, ensure_ascii=False) + "\n")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """What ``save`` wrote; reads JSON and runs no code.

        Raises:
            DataError: a file is missing or damaged.
        """
        tokenizer = read_tokenizer(folder / "tokenizer.json")
        fields = read_fields(folder / "codec.json", Fields)
        spec = TextSpec(**{**fields, "labels": tuple(fields["labels"])})
        special = [token for token in (spec.start, spec.end, spec.pad) if token is not None]
        last = max([*special, *tokenizer.get_vocab().values()])
        if last >= spec.vocab_size or (spec.end is None) != (spec.pad is None):
            raise DataError(
                f"{folder / 'codec.json'} does not fit {folder / 'tokenizer.json'}: start, end, pad are {spec.start}, "
                f"{spec.end}, {spec.pad}, and tokens go up to {last}, of {spec.vocab_size}"
            )
        return cls(tokenizer, spec)

    def _label(self, prompt: str) -> tuple[int, str]:
        """Number of the label that ``prompt`` starts with, and the text after its colon; the longest label wins."""
        parts, labels = prompt.split(":"), self.spec.labels
        for cut in range(len(parts), 0, -1):
            try:
                return label_number(":".join(parts[:cut]).strip(), labels), ":".join(parts[cut:]).strip()
            except UsageError as error:
                unknown = error
        raise UsageError(f"{unknown}\ntext to continue goes behind one: '{labels[0]}: ...'")

    def _prefix(self, text: str) -> list[int]:
        """The tokens of ``text``, with accents as this tokenizer knows them: composed or not."""
        unknown = unknown_token(self.tokenizer)
        forms = dict.fromkeys([*(unicodedata.normalize(form, text) for form in ("NFC", "NFD")), text])
        with refusing(UsageError, f"{_clipped(repr(text))} cannot be read by this model's tokenizer"):
            read = {form: self.tokenize([form])[0] for form in forms}
        text = min(read, key=lambda form: (read[form].count(unknown), len(read[form])))
        tokens, length = read[text], self.spec.max_length
        if not tokens:
            raise UsageError(f"this model's tokenizer reads nothing of {_clipped(repr(text))}")
        if len(tokens) >= length:
            raise UsageError(
                f"the text to continue has {len(tokens)} tokens; this model writes {length} in all, give it less"
            )
        if text not in self._told and (unknown := of_prompt(self.tokenizer, text)):
            self._told.add(text)
            log.warning("%s", visible(unknown))
        return tokens

    def _for_transformers(self) -> dict[str, object]:
        names = {"bos_token": self.spec.start, "eos_token": self.spec.end, "pad_token": self.spec.pad}
        unknown = {"unk_token": UNKNOWN} if self.tokenizer.token_to_id(UNKNOWN) is not None else {}
        # Data of one fixed length has no special tokens: its start token may be a token like any other.
        special = (
            {} if self.spec.end is None else {name: self.tokenizer.id_to_token(token) for name, token in names.items()}
        )
        return {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "model_max_length": self.spec.max_length,
            "clean_up_tokenization_spaces": False,
            **special,
            **unknown,
        }


def _one_line(text: str) -> str:
    return " ".join(text.splitlines())


def _clipped(line: str) -> str:
    return line if len(line) <= PREVIEW_WIDTH else f"{line[: PREVIEW_WIDTH - 1]}…"
