"""Between people and networks that answer prompts: prompts into rows, by a chat template where there is one."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypedDict

from annotated_types import Interval
from tokenizers import Tokenizer
from torch import Tensor, nn

from gangen import DataError, UsageError, read_fields, write_atomically
from gangen_text.codec import TextCodec
from gangen_text.data.tokenization import refusing
from gangen_text.spec import PromptedSpec, TextSpec, prompt_lengths
from gangen_text.text_input import TextInput, refuse_unknown

# What is put before an answer: a start token, where tokens were trained on the data; nothing; or what a template says.
Form = Literal["separated", "plain", "chat"]
Messages = Sequence[Mapping[str, str]]


class Fields(TypedDict):
    """What prompts.json holds."""

    max_length: Annotated[int, Interval(ge=2, le=2**20)]
    form: Form
    template: str | None
    system: str | None
    takes: str


class PromptInput(TextInput):
    """Prompts as tokens int64 ``[max_length]``: those of the prompt and what its ``form`` puts behind it, end, padding.

    A prompt is a text; where there is a chat ``template``, in Jinja, also a list of messages, each with "role" and
    "content", which a text is one of. What the ``system`` says goes before, unless they begin with such a message.
    """

    prompt_types = (str, list)

    def __init__(
        self,
        codec: TextCodec,
        max_length: int,
        form: Form,
        template: str | None = None,
        system: str | None = None,
        takes: str = "a text",
    ) -> None:
        super().__init__(TextCodec(codec.tokenizer, replace(codec.spec, max_length=max_length)), takes)
        # The codec's own tokenizer, which takes prompts and answers for one kind of token.
        self.spec = replace(self.spec, tokenizer=codec.tokenizer)
        self.codec.word_by_word = codec.word_by_word
        self.form = form
        self.template = template
        self.system = system
        self.options = {
            "max_length": max_length,
            "form": form,
            "template": template,
            "system": system,
            "takes": takes,
        }
        if form == "chat":  # the tokens of a template are special, and those of "<end>" in a text are not
            self._tokenizer = Tokenizer.from_str(codec.tokenizer.to_str())
            self._tokenizer.encode_special_tokens = False

    def tokens(self, prompts: Sequence[str]) -> list[list[int]]:
        """The tokens of each prompt, as ``rendered``, without end and padding."""
        if self.form == "chat":
            return [it.ids for it in self._tokenizer.encode_batch_fast(prompts, add_special_tokens=False)]
        start, tokens = self.spec.start, self.codec.tokenize(prompts)
        if self.form == "separated":
            return [[*row, start] for row in tokens]
        return [[start, *row] for row in tokens] if start != self.spec.end else tokens

    def rendered(self, prompt: str | Messages) -> str:
        """The text that a network reads for a prompt. Raises UsageError for what cannot be read so."""
        if self.form != "chat":
            if not isinstance(prompt, str):
                raise UsageError("messages are for a tokenizer with a chat template, which this one has not")
            return prompt
        messages = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else prompt
        if not messages or not all(isinstance(it, Mapping) and {"role", "content"} <= it.keys() for it in messages):
            raise UsageError(f"messages are a list of {{role, content}}, got {messages!r:.60}")
        if self.system is not None and messages[0]["role"] != "system":
            messages = [{"role": "system", "content": self.system}, *messages]
        from transformers import PreTrainedTokenizerFast

        special = {"bos_token": self.spec.start, "eos_token": self.spec.end, "pad_token": self.spec.pad}
        named = {name: self.codec.tokenizer.id_to_token(it) for name, it in special.items() if it is not None}
        chat = PreTrainedTokenizerFast(tokenizer_object=self._tokenizer, chat_template=self.template, **named)
        with refusing(UsageError, "the chat template cannot make a prompt of it"):
            return chat.apply_chat_template(list(messages), tokenize=False, add_generation_prompt=True)

    def read(self, prompt: str | Messages | None) -> Tensor:
        """The row of a prompt. Raises UsageError for one that is empty or too long, or has unknown words."""
        if not (prompt.strip() if isinstance(prompt, str) else prompt):
            raise UsageError(f"there is nothing to answer: this model takes {self.takes}")
        text = self.rendered(prompt.strip() if isinstance(prompt, str) else prompt or "")
        if self.form != "chat":
            refuse_unknown(self.codec, text, self.takes)
        (tokens,) = self.tokens([text])
        if len(tokens) >= self.spec.max_length:
            raise UsageError(
                f"{text[-60:]!r} has {len(tokens)} tokens; this model reads {self.spec.max_length - 1} at most"
            )
        return self.codec.pack([tokens])[0]

    def decode(self, rows: Tensor) -> list[str]:
        """Texts of rows int64 ``[n, max_length]``, without tokens of a template."""
        lengths = prompt_lengths(rows, self.spec).tolist()
        kept = [row[:length].tolist() for row, length in zip(rows.cpu(), lengths, strict=True)]
        special = {self.spec.start, self.spec.end, self.spec.pad}
        kept = [[token for token in row if token not in special] for row in kept]
        return self.spec.tokenizer.decode_batch(kept, skip_special_tokens=self.form == "chat")


class PromptCodec(TextCodec):
    """Answers to prompts; see ``gangen.Codec``."""

    spec: PromptedSpec
    per_prompt = 1
    prompt_types = PromptInput.prompt_types

    def __init__(self, answers: TextCodec, input: PromptInput) -> None:
        spec = PromptedSpec(**_plain(answers.spec), input=input.spec)
        super().__init__(answers.tokenizer, spec, word_by_word=answers.word_by_word)
        self.input = input

    @property
    def takes(self) -> str:
        return self.input.takes

    def prompts(self) -> list[str]:
        """None: what sheets start from is up to the data."""
        return []

    def encode(self, prompt: Any, n: int) -> dict[str, Tensor]:
        """The condition of ``n`` answers, "input" ``[n, max_length]``. Raises UsageError for a prompt of no meaning."""
        return {"input": self.input.read(prompt).expand(n, -1)}

    def discriminator(self) -> nn.Module:
        """Raises UsageError: only a user knows which looks at answers beside their prompts."""
        raise UsageError(
            "what looks at answers beside their prompts is to be named, as in "
            "{use: judge, discriminator: {use: text/sequence_classifier, architecture: llama}}"
        )

    def save(self, folder: Path) -> None:
        """Write the files of the answers, and prompts.json."""
        TextCodec(self.tokenizer, TextSpec(**_plain(self.spec))).save(folder)
        write_atomically(folder / "prompts.json", json.dumps(self.input.options, ensure_ascii=False) + "\n")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """What ``save`` wrote. Raises DataError for a file that is missing or damaged."""
        answers, options = TextCodec.load(folder), read_fields(folder / "prompts.json", Fields)
        if answers.spec.end is None or (options["form"] == "chat") != (options["template"] is not None):
            raise DataError(f"{folder / 'prompts.json'} does not fit {folder / 'codec.json'}")
        return cls(answers, PromptInput(answers, **options))


def _plain(spec: TextSpec) -> dict[str, Any]:
    return {field.name: getattr(spec, field.name) for field in fields(TextSpec)}
