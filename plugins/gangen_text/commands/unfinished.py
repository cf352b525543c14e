"""What is answered so far, in a file that outlasts a kill."""

import json
import os
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

from gangen import Account, DataError, UsageError, take_lock, write_atomically


class Unfinished:
    """Answers to the first ``count`` of ``prompts``, in ``output`` with ".part" behind its name.

    Its lines are the ``settings``, and then each prompt with its answer, null for one that has not ended.

    Raises:
        UsageError: it was begun with other settings, or other prompts; or it is damaged, or cannot be written; or
            another process writes it, or has just finished.
    """

    def __init__(self, output: Path, settings: dict[str, Any], prompts: Sequence[Any]) -> None:
        self.output = output
        self.path = output.with_name(f"{output.name}.part")
        self.prompts = prompts
        try:
            with ExitStack() as failing:
                self._file = failing.enter_context(self.path.open("a", encoding="utf-8"))
                self.answers: list[str | None] = self._begun(settings)
                failing.pop_all()
        except OSError as error:
            raise UsageError(f"cannot write {self.path}: {error.strerror}") from None
        except (ValueError, KeyError, TypeError, AttributeError):
            raise UsageError(f"{self.path} is damaged\n{self._way}") from None
        if not self.answers:  # nothing is lost
            os.truncate(self.path, 0)
            self._write([settings])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    @property
    def count(self) -> int:
        return len(self.answers)

    def add(self, answers: Sequence[str | None]) -> None:
        """The answers to the prompts that come next."""
        some = self.prompts[self.count : self.count + len(answers)]
        self._write([{"prompt": prompt, "answer": answer} for prompt, answer in zip(some, answers, strict=True)])
        self.answers += answers

    def finish(self, account: Account) -> None:
        """Write the table of prompts and answers, and tell the account of what is in it. Raises DataError for none."""
        pairs = [
            {"prompt": it, "answer": answer} for it, answer in zip(self.prompts, self.answers, strict=True) if answer
        ]
        account.use("answered", len(pairs))
        account.leave_out("with an answer that has not ended (max_length)", [], self.answers.count(None))
        account.leave_out("with an empty answer", [], self.answers.count(""))
        if not pairs:
            raise DataError(f"{account}\nthere is nothing to write; raise max_length, or sample otherwise")
        write_atomically(self.output, "".join(map(_line, pairs)))
        self.path.unlink()

    def _begun(self, settings: dict[str, Any]) -> list[str | None]:
        """The answers that are there, by one call at a time."""
        if not take_lock(self._file):
            raise UsageError(f"{self.path} is being written by another process\nwait until it is done, or stop it")
        if self.output.exists():  # since the lock was let go
            raise UsageError(f"{self.output} is there already; name another file, or remove it")
        begun, *lines = self._whole_lines() or [settings]
        if begun.keys() != settings.keys():
            raise ValueError("its first line is none of settings")
        if lines and (changed := [name for name in settings if begun.get(name) != settings[name]]):
            words = ", ".join(f"{name} was {begun.get(name)!r}" for name in changed)
            raise UsageError(f"{self.path} was begun with other settings: {words}\n{self._way}")
        if [line["prompt"] for line in lines] != list(self.prompts[: len(lines)]):
            raise UsageError(f"{self.path} has answers to other prompts\n{self._way}")
        return [line["answer"] for line in lines]

    @property
    def _way(self) -> str:
        return "go on with what it was begun with, or remove it to begin anew"

    def _whole_lines(self) -> list[Any]:
        """What was written; a last line that was cut off by a kill is removed."""
        written = self.path.read_bytes()
        whole = written[: written.rfind(b"\n") + 1]
        lines = [json.loads(line) for line in whole.split(b"\n")[:-1]]
        os.truncate(self.path, len(whole))
        return lines

    def _write(self, values: Sequence[Any]) -> None:
        self._file.write("".join(map(_line, values)))
        self._file.flush()
        os.fsync(self._file.fileno())


def _line(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False) + "\n"
