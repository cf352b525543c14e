"""The command line. What is heavy is imported by the command that needs it, so that the others answer at once."""

import os
import sys
import traceback
from collections.abc import Sequence

from gangen.cli.brought import find_command, play
from gangen.cli.commands import COMMANDS
from gangen.cli.parser import command_parser, flags_parser
from gangen.errors import GangenError, UsageError
from gangen.failures import exited, explain
from gangen.printing import escape_what_cannot_be_encoded, say


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    debug, together = False, True
    escape_what_cannot_be_encoded()
    try:
        flags, words = flags_parser().parse_known_args(arguments)
        debug = flags.debug
        parser = command_parser()
        if not words:
            parser.print_help()
            return 0
        if words[0] not in COMMANDS and not words[0].startswith("-"):
            if command := find_command(words[0], flags.no_plugin):
                together = False
                play(words[0], command, words[1:], flags.no_plugin)
                return 0
            words = ["train", *words]
        together = words[0] == "train"
        options, rest = parser.parse_known_args(words)
        if rest:  # settings that stand behind a flag
            if not hasattr(options, "overrides") or any(word.startswith("-") for word in rest):
                setting = "\na setting of sampling is said as --set NAME=VALUE" if options.command == "sample" else ""
                raise UsageError(
                    f"unrecognized arguments: {' '.join(rest)}{setting}\nsee: gangen {options.command} --help"
                )
            options.overrides += rest
        try:
            COMMANDS[options.command](options, flags.no_plugin)
        except SystemExit as leaving:
            raise exited(leaving) from None
        return 0
    except SystemExit as leaving:  # argparse, after --help and --version
        return int(leaving.code or 0)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the reader of our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:
        if debug:
            say(traceback.format_exc(), sys.stderr)
        elif said := explain(error, together=together):
            say(said, sys.stderr)
        return error.exit_code if isinstance(error, GangenError) else 1
