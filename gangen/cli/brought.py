"""Commands that plugins bring: what may be said to them follows from their options."""

import argparse
import re
from pathlib import Path
from typing import TYPE_CHECKING

from gangen.cli.commands import registry_of
from gangen.cli.parser import Parser
from gangen.errors import UsageError
from gangen.failures import exited
from gangen.printing import say

if TYPE_CHECKING:
    from gangen.components.component import Component


def find_command(word: str, blocked: list[str]) -> "Component | None":
    """The command of a plugin that a word means."""
    if not re.fullmatch(r"[\w/-]+", word) or Path(word).is_file():
        return None
    return next((it for it in registry_of(blocked).all("commands") if word in (it.name, it.bare_name)), None)


def play(word: str, command: "Component", words: list[str], blocked: list[str]) -> None:
    """A command of a plugin: ``words`` are its options."""
    from pydantic import ValidationError

    from gangen.components.catalogue import option_lines
    from gangen.components.messages import problems_of
    from gangen.components.options import read_use
    from gangen.components.signatures import REQUIRED
    from gangen.recipe.source import read_assignments

    parameters = command.options.parameters
    parser = Parser(
        prog=f"gangen {word}",
        description=command.summary,
        epilog="\n".join(option_lines(parameters)),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    for parameter in parameters:
        if parameter.name == "output":
            parser.add_argument("-o", "--output", required=parameter.default is REQUIRED, metavar="FILE")
        elif parameter.default is REQUIRED:
            parser.add_argument(parameter.name)
    parser.add_argument("settings", nargs="*", default=[], metavar="NAME=VALUE", help="options, as listed below")
    options, rest = parser.parse_known_args(words)
    if unknown := [word for word in rest if word.startswith("-")]:
        parser.error(f"unrecognized arguments: {' '.join(unknown)}")
    given = {name: value for name, value in vars(options).items() if value is not None}
    settings = read_assignments(given.pop("settings") + rest)  # those that stand behind a flag, too
    registry = registry_of(blocked)
    try:
        use = read_use("commands", {"use": command.name, **given, **settings}, registry)
    except ValidationError as error:
        raise UsageError("\n".join(message for _, message in problems_of(error))) from None
    try:
        for line in registry.build(use)():
            say(line)
    except SystemExit as leaving:
        raise exited(leaving) from None
