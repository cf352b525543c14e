"""Prompts, "input", and the answers to them, "tokens"."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from annotated_types import Ge, Interval
from torch import Tensor

from gangen import Account, Chunk, DataError, Seed, SheetRow, TensorSplit, UsageError
from gangen_text.data import tasks
from gangen_text.data.corpus import chosen, make_codec, without
from gangen_text.data.sentences import SentenceRows, Sentences
from gangen_text.data.sheets import sheet_of
from gangen_text.data.tasks import MOST
from gangen_text.data.tokenization import KINDS, is_full, pretrained_tokenizer
from gangen_text.data.unknown import of_texts
from gangen_text.prompts import Form, PromptCodec, PromptInput


@dataclass(frozen=True)
class PromptRows(SentenceRows):
    """Rows with a prompt, a text or a list of messages, and its answer."""

    render: Callable[[Any], str] = field(default=str, compare=False)

    def sources(self, chunk: Chunk) -> list[str]:
        """The prompts as they are read, "" for cells that hold nothing."""
        values = chunk.columns[self.source_column]
        plain = ["" if isinstance(value, list) else value for value in values]
        texts = super().sources(chunk._replace(columns={self.source_column: plain}))
        prompts = []
        for row, (value, text) in enumerate(zip(values, texts, strict=True)):
            try:
                prompts.append(self.render(text or value) if text or isinstance(value, list) else "")
            except UsageError as error:
                raise DataError(f"{chunk.place(row)}: {error}") from None
        return prompts


class Prompts:
    """Prompts with their answers from ``path``: a table (csv, tsv, json, jsonl, parquet; .gz too), a glob, a folder of
    such files, a folder saved by ``datasets``, or a name on the hub. Where it has splits, or files called so, "train"
    is read.

    ``prompt_column`` holds prompts, ``answer_column`` the answer of a teacher to each. Rows with an empty cell are left
    out. ``encoding`` is that of text files.

    Without a ``path``, ``size`` small tasks in words by ``seed``, arithmetic and lists to be rewritten, with the one
    right answer to each; see ``gangen_text.data.tasks``.

    ``tokenizer`` is trained on prompts and answers with at most ``vocab_size`` tokens, or is the name of a saved one,
    such as a pretrained model's. Where that has a chat template, each prompt is put into it, after ``system``, what the
    system is to say; a prompt may then be a list of messages, each with "role" and "content". Else, and with
    ``chat: false``, an answer follows its prompt as it is; in tokens that are trained here a start token is between.

    ``max_length`` counts tokens of an answer with the end token, ``max_prompt_length`` those of a prompt with what a
    template adds. What is longer is left out. ``heldout_path`` has what is held out, or is the name of a split, such
    as "test"; null holds out the share ``heldout`` of the distinct prompts, by ``seed``. Of what is held out nothing is
    kept whose prompt occurs in training. More left out than the share ``max_left_out`` is an error.

    Raises:
        DataError: there are no prompts, or none fits; the message says what to change.
    """

    codec_class = PromptCodec

    def __init__(
        self,
        *,
        path: str | None = None,
        prompt_column: str = "prompt",
        answer_column: str = "answer",
        encoding: str = "utf-8",
        size: Annotated[int, Interval(ge=2, le=MOST)] = 3000,
        tokenizer: Literal["byte_bpe", "bpe", "words", "characters"] | str = "words",
        vocab_size: Annotated[int, Ge(1)] = 4000,
        chat: bool | None = None,
        system: str | None = None,
        max_length: Annotated[int, Ge(2)] = 32,
        max_prompt_length: Annotated[int, Ge(2)] = 64,
        heldout_path: str | None = None,
        heldout: Annotated[float, Interval(gt=0, lt=1)] = 0.1,
        max_left_out: Annotated[float, Interval(ge=0, le=1)] = 0.5,
        seed: Seed = 0,
    ) -> None:
        if path is None and heldout_path is not None:
            raise DataError("heldout_path goes with a path; of the built-in tasks the share heldout is held out")
        template = template_of(tokenizer, chat)
        if system is not None and template is None:
            raise DataError("system goes with the chat template of a tokenizer, and there is none here")
        form: Form = "chat" if template is not None else "separated" if tokenizer in KINDS else "plain"
        options = {"tokenizer": tokenizer, "max_length": max_length, "vocab_size": vocab_size}
        reader = None if tokenizer in KINDS else make_codec((), (), **options)
        account = account_of_others = Account(path or "text/prompts", "prompts")

        def render(prompt: Any) -> str:
            if reader is not None:
                return PromptInput(reader, max_prompt_length, form, template, system).rendered(prompt)
            if not isinstance(prompt, str):
                raise UsageError("messages are for a tokenizer with a chat template: name one, as data.tokenizer")
            return prompt

        if path is None:
            pairs = Sentences(*map(list, zip(*tasks.tasks(size, seed), strict=True)))
            pairs = pairs._replace(sources=list(map(render, pairs.sources)))
        else:
            columns = {"source_column": prompt_column, "target_column": answer_column}
            rows = PromptRows(path, encoding=encoding, render=render, **columns)
            pairs = rows.read(account)
        if heldout_path is None:
            held = chosen(pairs.sources, None, heldout, seed, account)
            pairs, others = pairs.where([not it for it in held]), pairs.where(held)
        else:
            account_of_others = Account(f"{path}, held out ({heldout_path})", "prompts")
            others = rows.other(heldout_path).read(account_of_others)
        self.accounts = list(dict.fromkeys([account, account_of_others]))
        answers = reader or make_codec([*pairs.sources, *pairs.targets], [], **options)
        example = min(pairs.sources[:100], key=len)
        takes = f"a prompt, as {example!r}" if form != "chat" else "a prompt, or a list of messages"
        self.trained, self.full = reader is None, is_full(tokenizer, answers.tokenizer, vocab_size)
        self.codec = PromptCodec(answers, PromptInput(answers, max_prompt_length, form, template, system, takes))
        train = self._rows(pairs, account, "to train on")
        held_out = without(self._rows(others, account_of_others, "held out"), train, account_of_others, column="input")
        account.use("to train on", len(train["tokens"]))
        account_of_others.use("held out", len(held_out["tokens"]))
        for each in self.accounts:
            if each.left_out > max_left_out * each.given:
                raise DataError(
                    f"{each}\nmend the data, raise max_length or max_prompt_length, or allow it with max_left_out "
                    f"({max_left_out})"
                )
        self.train, self.heldout = TensorSplit(**train), TensorSplit(**held_out)

    def sheet(self) -> list[SheetRow]:
        """Prompts that are held out: answers, and the truth."""
        return sheet_of(self.codec, self.heldout)

    def describe(self) -> list[str]:
        """How long prompts and answers are, and how a prompt is read."""
        rows, spec = self.train.rows(), self.codec.spec
        prompts, answers = (rows["input"] != spec.end) & (rows["input"] != spec.pad), spec.mask(rows["tokens"])
        shown = self.codec.input.decode(rows["input"][:1])[0]
        return [
            f"vocabulary: {spec.vocab_size:,} tokens; prompts have up to {prompts.sum(1).max()}, answers up to "
            f"{answers.sum(1).max()} with the end token; rows have {spec.input.max_length} and {spec.max_length}",
            f"prompts are {self.codec.input.form}; the first: {shown!r:.100}",
        ]

    def _rows(self, pairs: Sentences, account: Account, purpose: str) -> dict[str, Tensor]:
        """Rows of those prompts that fit with their answers; what does not is told to the account."""
        codec, spec = self.codec, self.codec.spec
        prompts, answers = codec.input.tokens(pairs.sources), codec.tokenize(pairs.targets)
        fits = [
            (len(prompt) < spec.input.max_length, 0 < len(answer) < spec.max_length)
            for prompt, answer in zip(prompts, answers, strict=True)
        ]
        kept = [row for row, fit in enumerate(fits) if all(fit)]
        if not kept:
            raise DataError(
                f"{account.source}: no prompt {purpose} fits with its answer; the shortest prompt has "
                f"{min(map(len, prompts))} tokens and the shortest answer {min(map(len, answers))}, each and an end "
                "token\nraise max_prompt_length or max_length"
            )
        for texts, tokens in ((pairs.sources, prompts), (pairs.targets, answers)):
            if self.trained and (unknown := of_texts(codec.tokenizer, texts, tokens, trained=True, full=self.full)):
                account.warnings.append(f"{account.source}, {purpose}: {unknown}")
        long = sum(not prompt for prompt, _ in fits)
        account.leave_out(f"longer than {spec.input.max_length} tokens (data.max_prompt_length)", [], long)
        long = sum(prompt and not answer for prompt, answer in fits)
        account.leave_out(f"with an answer longer than {spec.max_length} tokens (data.max_length)", [], long)
        return {
            "tokens": codec.pack([answers[row] for row in kept]),
            "input": codec.input.codec.pack([prompts[row] for row in kept]),
        }


def template_of(tokenizer: str, chat: bool | None) -> str | None:
    """The chat template of a saved tokenizer, where it is to be used. Raises DataError where one is asked for."""
    template = None
    if tokenizer not in KINDS and not tokenizer.endswith(".json") and chat is not False:
        try:
            template = pretrained_tokenizer(tokenizer).chat_template
        except (OSError, ValueError, KeyError, TypeError, ImportError):
            return None  # which make_codec explains
        if isinstance(template, dict):
            template = template.get("default")
    if chat and template is None:
        raise DataError(f"chat is true, and tokenizer {tokenizer!r} has no chat template; set chat: false")
    return template
