"""A teacher's answers: what a language model says to each prompt of a table."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from annotated_types import Ge, Interval

from gangen import Account, DataError, Seed, UsageError, drawing, noise
from gangen_text.commands.unfinished import Unfinished
from gangen_text.data.corpus import make_codec
from gangen_text.data.prompts import PromptRows, template_of
from gangen_text.networks.causal_lm import CausalLM
from gangen_text.prompts import PromptCodec, PromptInput

# Seconds between two lines that say how far it is.
TOLD_AFTER = 10


class Teacher(CausalLM):
    """A language model that answers."""

    who = "command text/answers"
    lengths = ""


class Answers:
    """The answers of a language model to prompts, as a table that ``text/prompts`` reads.

    ``model`` is a folder of ``save_pretrained`` with its tokenizer, or a name on the hub. ``data`` has prompts: a table
    or whatever else ``text/prompts`` takes as its path. ``prompt_column`` holds them, texts or, where the tokenizer has
    a chat template, lists of messages. ``encoding`` is that of text files. Each is put into that template, after
    ``system``, what the system is to say; with ``chat: false`` an answer follows its prompt as it is.

    ``output`` is a file of JSON lines, each with "prompt" and "answer", in the order of the prompts. Prompts of more
    than ``max_prompt_length`` tokens are left out. So are those whose answer is empty, or has not ended within
    ``max_length`` tokens.

    ``batch_size`` is how many prompts are answered at a time. ``temperature`` divides the logits. Only the ``top_k``
    likeliest tokens are drawn from (0: all), of these the likeliest with ``top_p`` of the probability, and none that is
    less likely than ``min_p`` times the likeliest; ``top_k=1`` is the likeliest answer. What is drawn follows from
    ``seed`` and the number of the prompt. With ``dtype: bfloat16`` the model takes half the memory. ``device`` is where
    to compute, as in "cuda".

    Raises:
        UsageError: ``output`` is no file of JSON lines, or is there already.
    """

    def __init__(
        self,
        *,
        model: str,
        data: str,
        output: Path,
        prompt_column: str = "prompt",
        encoding: str = "utf-8",
        chat: bool | None = None,
        system: str | None = None,
        max_prompt_length: Annotated[int, Ge(2)] = 256,
        max_length: Annotated[int, Ge(2)] = 256,
        batch_size: Annotated[int, Ge(1)] = 16,
        temperature: float = 1.0,
        top_k: Annotated[int, Ge(0)] = 0,
        top_p: Annotated[float, Interval(gt=0, le=1)] = 1.0,
        min_p: Annotated[float, Interval(ge=0, lt=1)] = 0.0,
        seed: Seed = 0,
        dtype: Literal["bfloat16"] | None = None,
        device: str = "cpu",
    ) -> None:
        self.output = output
        if output.suffix != ".jsonl":
            raise UsageError(f"answers are written as JSON lines: name a file that ends in .jsonl, not {output}")
        if output.exists():
            raise UsageError(f"{output} is there already; name another file, or remove it")
        self.data = data
        self.prompt_column = prompt_column
        self.encoding = encoding
        self.batch_size = batch_size
        self.device = device
        self.sampling = {"temperature": temperature, "top_k": top_k, "top_p": top_p, "min_p": min_p}
        # All that decides what a prompt is answered with.
        self.settings: dict[str, Any] = {
            "model": model,
            "dtype": dtype,
            "chat": chat,
            "system": system,
            "max_prompt_length": max_prompt_length,
            "max_length": max_length,
            "seed": seed,
            **self.sampling,
        }

    def __call__(self) -> Iterator[str]:
        """Answer all prompts: how far it is, now and then, and in the end what became of them.

        After a kill the same call goes on where it was. Raises DataError where there are no prompts, or one is none,
        and UsageError for a model that cannot be opened, or answers that were begun with other settings.
        """
        account = Account(self.data, "prompts")
        codec = self._codec()
        prompts = self._prompts(codec, account)
        with Unfinished(self.output, self.settings, prompts) as answers:
            yield from self._answer(codec, prompts, answers)
            answers.finish(account)
        yield f"{account}\n{self.output}"

    def _codec(self) -> PromptCodec:
        model, system, longest = (self.settings[name] for name in ("model", "system", "max_prompt_length"))
        template = template_of(model, self.settings["chat"])
        if system is not None and template is None:
            raise UsageError("system goes with the chat template of a tokenizer, and there is none here")
        answers = make_codec([], [], tokenizer=model, max_length=self.settings["max_length"])
        form: Literal["plain", "chat"] = "plain" if template is None else "chat"
        return PromptCodec(answers, PromptInput(answers, longest, form, template, system))

    def _prompts(self, codec: PromptCodec, account: Account) -> list[Any]:
        """Those that fit, as they are read."""
        column, longest, prompts = self.prompt_column, codec.input.spec.max_length, []
        rows = PromptRows(self.data, encoding=self.encoding, source_column=column, target_column=column, render=_as_is)
        for chunk in rows.chunks(account):
            empty, long = [], []
            for row, prompt in enumerate(rows.sources(chunk)):
                try:
                    (tokens,) = codec.input.tokens([codec.input.rendered(prompt)]) if prompt else [[]]
                except UsageError as error:
                    raise DataError(f"{chunk.place(row)}: {error}") from None
                if prompt and len(tokens) < longest:
                    prompts.append(prompt)
                else:
                    (long if prompt else empty).append(chunk.place(row))
            account.leave_out("with an empty cell", empty)
            account.leave_out(f"longer than {longest} tokens (max_prompt_length)", long)
        if not prompts:
            raise DataError(f"{account}\nthere is no prompt to answer; raise max_prompt_length, or name another column")
        return prompts

    def _answer(self, codec: PromptCodec, prompts: list[Any], answers: Unfinished) -> Iterator[str]:
        """Answer what is not answered yet."""
        net = Teacher(codec.spec, model=self.settings["model"], dtype=self.settings["dtype"])
        try:
            net.to(self.device)
        except (RuntimeError, AssertionError) as error:
            raise UsageError(f"device {self.device!r} cannot be used: {str(error).splitlines()[0]}") from None
        seed, told = self.settings["seed"], time.monotonic()
        while answers.count < len(prompts):
            places = range(answers.count, min(answers.count + self.batch_size, len(prompts)))
            rows = torch.stack([codec.input.read(prompts[place]) for place in places]).to(self.device)
            with drawing(seed, rows.device, net), noise.by_row([(seed, place) for place in places]):
                tokens = net.sample(len(rows), {"input": rows}, **self.sampling)
            ended = (tokens == codec.spec.end).any(1).tolist()
            answers.add([text if it else None for text, it in zip(codec.decode(tokens), ended, strict=True)])
            if time.monotonic() - told > TOLD_AFTER:
                told = time.monotonic()
                yield f"{answers.count:,} of {len(prompts):,} prompts"


def _as_is(prompt: Any) -> Any:
    return prompt
