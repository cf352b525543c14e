"""Errors of other people's code in a few words: what went wrong, while what was done, and on whose line."""

import os
import sysconfig
import traceback
from importlib.metadata import entry_points
from pathlib import Path
from textwrap import shorten

from gangen.errors import GangenError, PluginError, RecipeError

_LIBRARIES = tuple({sysconfig.get_path(name) + os.sep for name in ("stdlib", "purelib", "platlib")})
# Characters of a line that somebody still reads: what strangers wrote may have millions.
LONGEST = 2000


class during:
    """Notes, in an error that passes and that nobody raised on purpose, what was being done: "turn 'generate'"."""

    __slots__ = ("what",)

    def __init__(self, what: str) -> None:
        self.what = what

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, Exception | SystemExit) and not isinstance(error, GangenError):
            error.add_note(f"in {self.what}")


def exited(leaving: SystemExit) -> PluginError:
    """The error of code that was to do something for gangen, and ends the process instead."""
    error = PluginError(f"code that it uses would have ended gangen by exit({leaving.code!r})\nat {own_line(leaving)}")
    vars(error).update(vars(leaving))  # its notes, and whether all processes have it
    return error


def explain(error: Exception, *, together: bool = True) -> str:
    """A short block for the terminal. Empty where every process has this error and another one tells of it.

    ``together`` says that several may be at work, if the environment says so, too.
    """
    processes = int(os.environ.get("WORLD_SIZE", "1")) if together else 1
    rank, shared = int(os.environ.get("RANK", "0")), getattr(error, "shared", False)
    if processes > 1 and rank and shared:
        return ""
    where = f" on process {rank} of {processes}" if processes > 1 and not shared else ""
    word = error.word if isinstance(error, GangenError) else "error"
    lines = _words(error).split("\n")
    words = "\n".join(line if len(line) <= LONGEST else f"{line[:LONGEST]} ..." for line in lines)
    return f"gangen: {word}{where}: {words}"


def summary(error: BaseException) -> str:
    """Its message in a line, after the name of its class where it is not one of gangen's own."""
    message = shorten(str(error), 400, placeholder=" ...")
    return message if isinstance(error, GangenError) else f"{type(error).__name__}: {message}".rstrip(": ")


def _words(error: Exception) -> str:
    notes = getattr(error, "__notes__", [])
    if isinstance(error, RecipeError) and len(error.problems) > 1:
        return f"{len(error.problems)} things are wrong\n{error}"
    if isinstance(error, GangenError):
        return "\n".join([str(error), *notes])
    words = [summary(error), f"at {own_line(error)}", *notes]
    if not any("error.txt" in note for note in notes):
        words.append("run again with --debug for the traceback")
    return "\n".join(words)


def talking(error: BaseException) -> bool:
    """Whether it was torch that failed to reach other processes."""
    *_, (frame, _) = traceback.walk_tb(error.__traceback__)
    return isinstance(error, RuntimeError) and frame.f_globals.get("__name__", "").startswith("torch.distributed")


def own_line(error: BaseException) -> str:
    """``file:line: source`` of the innermost call that a plugin made, or of the innermost one where none is a plugin's.

    Plugins may be installed, as libraries are: their packages are those that have an entry point.
    """
    plugins = {point.module.partition(".")[0] for point in entry_points(group="gangen")}
    calls = traceback.extract_tb(error.__traceback__)
    found = calls[-1]
    for (frame, _), call in zip(traceback.walk_tb(error.__traceback__), calls, strict=True):
        package = frame.f_globals.get("__name__", "").partition(".")[0]
        if package in plugins or not (package == "gangen" or call.filename.startswith((*_LIBRARIES, "<"))):
            found = call
    path, here = Path(found.filename), Path.cwd()
    return f"{path.relative_to(here) if path.is_relative_to(here) else path}:{found.lineno}: {found.line}"
