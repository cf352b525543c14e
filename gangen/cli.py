"""The command line. What is heavy is imported by the command that needs it, so that the others answer at once."""

import argparse
import os
import re
import secrets
import shlex
import sys
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from gangen.errors import GangenError, UsageError
from gangen.failures import exited, explain
from gangen.printing import escape_what_cannot_be_encoded, say

if TYPE_CHECKING:
    from gangen.components.component import Component
    from gangen.components.registry import Registry
    from gangen.recipe.sections import Recipe

EXAMPLES = """\
examples:
  gangen recipes                                                 what can be trained
  gangen recipes/text_gan.yaml                                   train it; once more to go on with it
  gangen recipes/text_gan.yaml run=runs/small data.max_length=8  with other settings
  gangen data recipes/my_images.yaml data.path=photos/           what would be trained on, before any training
  gangen runs                                                    how far what is trained here is, and what has ended
  gangen sample -n 5 --run runs/text_gan                         what it learned
  gangen eval runs/text_gan                                      how well: figures, and quality against diversity
  gangen plugins                                                 what else there is: components, and further commands
"""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}\nsee: {self.prog} --help")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    debug, together = False, True
    escape_what_cannot_be_encoded()
    try:
        flags, words = _flags().parse_known_args(arguments)
        debug = flags.debug
        parser = _parser()
        if not words:
            parser.print_help()
            return 0
        if words[0] not in COMMANDS and not words[0].startswith("-"):
            if command := _brought(words[0], flags.no_plugin):
                together = False
                _play(words[0], command, words[1:], flags.no_plugin)
                return 0
            words = ["train", *words]
        together = words[0] == "train"
        options, rest = parser.parse_known_args(words)
        if rest:  # settings that stand behind a flag
            if not hasattr(options, "overrides") or any(word.startswith("-") for word in rest):
                parser.error(f"unrecognized arguments: {' '.join(rest)}")
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


def _flags() -> argparse.ArgumentParser:
    """The flags that may stand before or after the command."""
    flags = _Parser(prog="gangen", add_help=False, allow_abbrev=False)
    flags.add_argument("--debug", action="store_true", help="show the traceback of an error")
    leaving_out = "leave a plugin out (repeatable)"
    flags.add_argument("--no-plugin", action="append", default=[], metavar="NAME", help=leaving_out)
    return flags


def _parser() -> argparse.ArgumentParser:
    from gangen import __version__

    parser = _Parser(
        prog="gangen",
        description="Train generative adversarial networks from recipes, and sample from them.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        parents=[_flags()],
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"gangen {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="command", required=True)

    def command(name: str, summary: str) -> argparse.ArgumentParser:
        return commands.add_parser(name, help=summary, description=summary, allow_abbrev=False)

    for name, summary in {
        "train": "play a recipe, from its newest checkpoint if there is one; the word train may be left out",
        "check": "build everything that a recipe names, without training",
        "data": "show what a recipe's data are: what is used and what is left out, labels, a sheet of rows",
    }.items():
        playing = command(name, summary)
        playing.add_argument("recipe", help="a recipe's file or the name of one that is installed")
        playing.add_argument("overrides", nargs="*", help="settings, as in players.generator.optimizer.lr=2e-4")
        if name != "train":
            asleep = "run none of the files that the recipe names under code"
            playing.add_argument("--no-code", action="store_true", help=asleep)
        if name == "check":
            rehearsing = "also play every turn once, draw a sheet, evaluate, save, load, and sample twice by one seed"
            playing.add_argument("--play", action="store_true", help=rehearsing)
    sampling = command("sample", "draw samples from a trained model")
    sampling.add_argument("prompts", nargs="*", metavar="prompt", help="a label, or what else the model takes")
    sampling.add_argument("-n", type=int, metavar="N", help="how many (default 1; 8 in a row with --interpolate)")
    between = "rows of N samples that go from one to another, where the model knows a way"
    sampling.add_argument("--interpolate", action="store_true", help=between)
    sampling.add_argument("--rows", type=int, default=4, metavar="N", help="how many of these rows (default 4)")
    whence = "a run directory, a model folder, or user/name on the hub (default: the newest run)"
    sampling.add_argument("--run", metavar="DIR", help=whence)
    sampling.add_argument("--seed", type=int, metavar="N", help="get the same samples again")
    device = "where to compute, as in cuda (default: cpu)"
    sampling.add_argument("--device", default="cpu", metavar="NAME", help=device)
    sampling.add_argument("--verb", default="sample", metavar="VERB", help="what else its sampler can, as reconstruct")
    code = "a file of code that the model was made with (repeatable); it is run, and no other is"
    sampling.add_argument("--code", action="append", default=[], type=Path, metavar="FILE", help=code)
    setting = "a setting of sampling (repeatable)"
    sampling.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help=setting)
    lines = "lines of JSON, each a sample with its prompt, label, seed and number"
    sampling.add_argument("--json", action="store_true", help=lines)
    sampling.add_argument("-o", "--output", type=Path, metavar="FILE", help="write the samples to a file")
    listing = command("runs", "the runs below a folder: what they are doing, how far they are, and why they ended")
    listing.add_argument("folder", nargs="?", default=Path("runs"), type=Path, help="default: runs")
    listing.add_argument("--json", action="store_true", help="for programs")
    reporting = command("report", "write report.html into a run directory: figures, curves and samples on one page")
    reporting.add_argument("run", metavar="DIR", help="a run directory")
    evaluating = command(
        "eval", "measure trained runs, side by side; runs that differ in their seed alone are one group"
    )
    evaluating.add_argument("runs", nargs="+", metavar="RUN", help="a run directory")
    metrics = "these metrics instead of the recipe's, by name or as in a recipe: {use: NAME, OPTION: VALUE}"
    evaluating.add_argument("--metric", type=_metrics, default=(), metavar="NAME[,NAME]", help=metrics)
    evaluating.add_argument("--samples", type=int, metavar="N", help="how many samples each metric looks at")
    evaluating.add_argument("--code", action="append", default=[], type=Path, metavar="FILE", help=code)
    sweep = evaluating.add_mutually_exclusive_group()
    swept = "another setting of sampling, or other values, that trade quality for diversity (repeatable)"
    sweep.add_argument("--sweep", type=_sweep, action="append", metavar="[NAME=]V,V", help=swept)
    sweep.add_argument("--no-sweep", action="store_true", help="take figures only, at no other setting")
    page = "write the runs side by side on one page"
    evaluating.add_argument("-o", "--output", type=Path, metavar="FILE", help=page)
    exporting = command("export", "write a model to a folder for others, with a card")
    exporting.add_argument("run", metavar="RUN", help="a run directory or model folder")
    exporting.add_argument("folder", metavar="FOLDER", type=Path, help="the folder to write")
    publishing = command("publish", "put a model on the hub of Hugging Face, with a card")
    publishing.add_argument("run", metavar="RUN", help="a run directory, or a folder that export wrote")
    publishing.add_argument("name", metavar="USER/NAME", help="what it is called there")
    publishing.add_argument("--private", action="store_true", help="for you, or your organisation, alone")
    publishing.add_argument("--dry-run", action="store_true", help="show the files, and send nothing")
    for giving in (exporting, publishing):
        terms = "under which licence others may use {}, as apache-2.0"
        giving.add_argument("--license", metavar="NAME", help=terms.format("the model"))
        giving.add_argument("--data-license", metavar="NAME", help=terms.format("the data"))
        further = "a player beside those that it draws with, to go on training, as discriminator (repeatable)"
        giving.add_argument("--with", dest="players", action="append", default=[], metavar="PLAYER", help=further)
        giving.add_argument("--code", action="append", default=[], type=Path, metavar="FILE", help=code)
    serving = command("serve", "a model over HTTP: JSON, files, and a page to try prompts")
    serving.add_argument("run", nargs="?", metavar="RUN", help=whence)
    serving.add_argument("--host", default="127.0.0.1", metavar="NAME", help="default: 127.0.0.1, this machine alone")
    serving.add_argument("--port", type=int, default=8000, metavar="N", help="default: 8000; 0 for any that is free")
    serving.add_argument("--max-n", type=int, default=64, metavar="N", help="samples of a request (default: 64)")
    bytes_of = "bytes of a request, with its prompt (default: 1,048,576)"
    serving.add_argument("--max-bytes", type=int, default=2**20, metavar="N", help=bytes_of)
    seconds = "how long a request may wait for its answer (default: 60)"
    serving.add_argument("--max-seconds", type=float, default=60.0, metavar="S", help=seconds)
    serving.add_argument("--device", default="cpu", metavar="NAME", help=device)
    serving.add_argument("--code", action="append", default=[], type=Path, metavar="FILE", help=code)
    listed = command("plugins", "what is installed, and what could not be loaded")
    listed.add_argument("--json", action="store_true", help="for programs, with summaries")
    showing = command("show", "a component, or a section of recipes, and what can be told to it")
    showing.add_argument("name", help="a component's name, as in gangen/hinge, or a section's, as in trainer")
    command("recipes", "the recipes that come with gangen and its plugins")
    copying = command("copy", "write a recipe that is installed to a file of your own, to be changed")
    copying.add_argument("recipe", help="its name, as in text_gan")
    copying.add_argument("file", type=Path, help="the file to write, or a folder for it")
    starting = command("new-plugin", "write a package with a plugin: a network, a game, a recipe, tests")
    starting.add_argument("name", help="what its components are called by, as acme in acme/warp")
    starting.add_argument("folder", nargs="?", type=Path, help="where to (default: gangen-NAME)")
    command("schema", "JSON Schema of recipes, for editors")
    reading = command("docs", "the documentation: its pages, or one of them")
    reading.add_argument("page", nargs="?", help="its name, as in primer")
    return parser


def _train(options: argparse.Namespace, blocked: list[str]) -> None:
    recipe, registry = _read(options, blocked)
    from gangen.training.run import train

    train(recipe, registry)


def _check(options: argparse.Namespace, blocked: list[str]) -> None:
    recipe, registry = _read(options, blocked)
    from gangen.training.assemble import check

    say("\n".join(check(recipe, registry)))
    sys.stdout.flush()
    if options.play:
        from gangen.training.plan import mebibytes, memory_taken
        from gangen.training.rehearsal import rehearse

        device = rehearse(recipe, registry).device
        say(f"memory that was taken: {mebibytes(memory_taken(device))}, with all that is loaded")
        say("saved, loaded, and sampled twice alike")
    say(f"{recipe.source} {'can be played' if options.play else 'was built; with --play, all of it is tried once'}")


def _data(options: argparse.Namespace, blocked: list[str]) -> None:
    recipe, registry = _read(options, blocked)
    from gangen.training.inspection import inspect

    say("\n".join(inspect(recipe, registry)))


def _sample(options: argparse.Namespace, blocked: list[str]) -> None:
    from gangen.recipe.source import read_assignments

    n, output = options.n if options.n is not None else (8 if options.interpolate else 1), options.output
    if n < 1:
        raise UsageError(f"-n must be at least 1, got {n}")
    if options.interpolate and len(options.prompts) > 1:
        raise UsageError(f"--interpolate takes one prompt, got {len(options.prompts)}")
    if output and (output.is_dir() or not output.parent.is_dir()):
        raise UsageError(f"cannot write {output}: name a file in a folder that exists")
    if output and options.json and output.suffix != ".jsonl":
        raise UsageError(f"cannot write lines of JSON to {output}: use .jsonl")
    settings = read_assignments(options.set)
    from gangen.files import replacing
    from gangen.outputs import json_lines, refuse_suffix, text_lines
    from gangen.saved_model import load

    model = load(options.run, registry=_registry(blocked), device=options.device, code=options.code)
    prompt = options.prompts if len(options.prompts) > 1 else next(iter(options.prompts), None)
    seed = secrets.randbits(53) if options.json and options.seed is None else options.seed
    if options.interpolate:
        samples = iter(model.interpolate(prompt, n, rows=options.rows, seed=seed, **settings))
    else:
        samples = model.stream(prompt, n, seed=seed, verb=options.verb, **settings)
    if options.json:
        each = options.rows * n if options.interpolate else n
        labels = None if options.interpolate else model.labels_of(prompt, n)
        lines = json_lines(samples, model.codec, options.prompts or [None], each, seed, labels)
        if not output:
            return _print_lines(lines)
        with _writing(output), replacing(output) as temporary, temporary.open("w", encoding="utf-8") as file:
            file.writelines(f"{line}\n" for line in lines)
    elif output:
        first = next(samples)
        refuse_suffix(first, model.codec, output)
        with _writing(output):
            model.codec.write([first, *samples], output, **({"columns": n} if options.interpolate else {}))
    else:
        return _print_lines(text_lines(samples))
    say(str(output))


def _print_lines(lines: Iterable[str]) -> None:
    """As they come; whoever reads them through a pipe is given what the model made."""
    for line in lines:
        say(line) if sys.stdout.isatty() else sys.stdout.write(f"{line}\n")
        sys.stdout.flush()


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    """Raises UsageError where ``path`` cannot be written."""
    try:
        yield
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}") from error


def _runs(options: argparse.Namespace, blocked: list[str]) -> None:
    from gangen.console import Console
    from gangen.files import to_json
    from gangen.runs import find_runs, table

    found = find_runs(options.folder)
    if options.json:
        say(to_json(found, indent=2).rstrip())
    else:
        Console(width=None if sys.stdout.isatty() else 200).print(table(found))


def _report(options: argparse.Namespace, blocked: list[str]) -> None:
    from gangen.report import write_report
    from gangen.run_directory import RunDirectory

    say(str(write_report(RunDirectory(options.run))))


def _eval(options: argparse.Namespace, blocked: list[str]) -> None:
    from gangen.console import Console
    from gangen.evaluation.results import Request
    from gangen.evaluation.trained import Trained
    from gangen.report import write_report
    from gangen.report.side_by_side import write_side_by_side
    from gangen.report.terminal import show

    if options.output and (options.output.is_dir() or not options.output.parent.is_dir()):
        raise UsageError(f"cannot write {options.output}: name a file in a folder that exists")
    registry = _registry(blocked, options.code)
    if twice := [name for name, count in Counter(name for name, _ in options.sweep or ()).items() if count > 1]:
        raise UsageError(f"--sweep {twice[0] or 'without a name'} is given twice: put its values into one")
    sweep = {} if options.no_sweep else options.sweep and dict(options.sweep)
    request = Request(options.metric, options.samples, sweep)
    runs = [
        Trained(folder, request, registry)
        for folder in {Path(folder).resolve(): Path(folder) for folder in options.runs}.values()
    ]
    results = []
    for run in runs:
        with run.run.keeping_tracebacks():
            results.append(run.evaluate())
    show(results, Console(width=None if sys.stdout.isatty() else 200))  # a file has room for all columns
    for run in runs:
        say(f"report: {write_report(run.run)}")
    if options.output:
        say(f"comparison: {write_side_by_side(results, options.output)}")


def _export(options: argparse.Namespace, blocked: list[str]) -> None:
    from gangen.sharing.folder import export

    say(str(export(options.run, options.folder, **_given_away(options, blocked))))


def _publish(options: argparse.Namespace, blocked: list[str]) -> None:
    from gangen.hub import address_of
    from gangen.sharing.folder import publish

    asked = {"private": options.private, "dry_run": options.dry_run}
    files = publish(options.run, options.name, **asked, **_given_away(options, blocked))
    if options.dry_run:
        say("\n".join(f"{size:12,}  {name}" for name, size in files.items()))
    say(f"{'nothing was sent to ' if options.dry_run else ''}{address_of(options.name)}")


def _given_away(options: argparse.Namespace, blocked: list[str]) -> dict[str, Any]:
    """What exporting and publishing have in common."""
    common = {name: getattr(options, name) for name in ("license", "data_license", "players", "code")}
    return common | {"registry": _registry(blocked)}


def _serve(options: argparse.Namespace, blocked: list[str]) -> None:
    for name in ("max_n", "max_bytes", "max_seconds"):
        if not getattr(options, name) > 0:
            raise UsageError(f"--{name.replace('_', '-')} must be more than 0, got {getattr(options, name)}")
    try:
        from gangen.serving.app import Limits
        from gangen.serving.server import serve
    except ModuleNotFoundError as error:
        raise UsageError(f"gangen serve needs {error.name}: pip install 'gangen[serve]'") from None
    from gangen.saved_model import load

    model = load(options.run, registry=_registry(blocked), device=options.device, code=options.code)
    limits = Limits(options.max_n, options.max_bytes, options.max_seconds)
    serve(model, host=options.host, port=options.port, limits=limits)


def _plugins(options: argparse.Namespace, blocked: list[str]) -> None:
    from gangen.components.catalogue import catalogue, plugin_lines

    registry = _registry(blocked)
    if options.json:
        from gangen.files import to_json

        say(to_json(catalogue(registry), indent=2).rstrip())
    else:
        say("\n".join(plugin_lines(registry)))


def _show(options: argparse.Namespace, blocked: list[str]) -> None:
    from gangen.components.catalogue import component_lines

    registry = _registry(blocked)
    lines = list(component_lines(registry, options.name))
    if not lines:
        from gangen.recipe.reference import section_lines

        lines = list(section_lines(registry, options.name))
    say("\n".join(lines))


def _recipes(options: argparse.Namespace, blocked: list[str]) -> None:
    from gangen.components.catalogue import recipe_lines

    say("\n".join(recipe_lines(_registry(blocked))))


def _copy(options: argparse.Namespace, blocked: list[str]) -> None:
    from gangen.scaffold.recipe import copy_recipe

    path = copy_recipe(options.recipe, options.file, _registry(blocked))
    say(f"{path}\nnext:    gangen {shlex.quote(str(path))}")


def _new_plugin(options: argparse.Namespace, blocked: list[str]) -> None:
    from gangen.scaffold.plugin import write_plugin

    folder = options.folder or Path(f"gangen-{options.name.replace('_', '-')}")
    write_plugin(options.name, folder, _registry(blocked))
    steps = f'cd {shlex.quote(str(folder))} && pip install -e ".[test]" && pytest && gangen {options.name}/demo'
    say(f"{folder}\nnext:    {steps}")


def _schema(options: argparse.Namespace, blocked: list[str]) -> None:
    import json

    from gangen.recipe.schema import recipe_schema

    say(json.dumps(recipe_schema(_registry(blocked)), indent=2))


def _docs(options: argparse.Namespace, blocked: list[str]) -> None:
    from gangen.components.pages import page_lines, read_page

    say(read_page(options.page) if options.page else "\n".join(page_lines()))


def _brought(word: str, blocked: list[str]) -> "Component | None":
    """The command of a plugin that a word means."""
    if not re.fullmatch(r"[\w/-]+", word) or Path(word).is_file():
        return None
    return next((it for it in _registry(blocked).all("commands") if word in (it.name, it.bare_name)), None)


def _play(word: str, command: "Component", words: list[str], blocked: list[str]) -> None:
    """A command of a plugin: ``words`` are its options."""
    from pydantic import ValidationError

    from gangen.components.catalogue import option_lines
    from gangen.components.messages import problems_of
    from gangen.components.options import read_use
    from gangen.components.signatures import REQUIRED
    from gangen.recipe.source import read_assignments

    parameters = command.options.parameters
    parser = _Parser(
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
    registry = _registry(blocked)
    try:
        use = read_use("commands", {"use": command.name, **given, **settings}, registry)
    except ValidationError as error:
        raise UsageError("\n".join(message for _, message in problems_of(error))) from None
    for line in registry.build(use)():
        say(line)


COMMANDS: dict[str, Callable[[argparse.Namespace, list[str]], None]] = {
    "train": _train,
    "check": _check,
    "data": _data,
    "sample": _sample,
    "eval": _eval,
    "runs": _runs,
    "report": _report,
    "export": _export,
    "publish": _publish,
    "serve": _serve,
    "plugins": _plugins,
    "show": _show,
    "recipes": _recipes,
    "copy": _copy,
    "new-plugin": _new_plugin,
    "schema": _schema,
    "docs": _docs,
}


def _metrics(text: str) -> list[Any]:
    """Names, or mappings as in a recipe, with commas between them."""
    from gangen.recipe.source import read_assignments

    entries = read_assignments([f"metric=[{text}]"])["metric"]
    if not all(isinstance(entry, str | dict) for entry in entries):
        raise argparse.ArgumentTypeError(f"metrics as in frechet,'{{use: kid, samples: 500}}'; got {text!r}")
    return entries


def _sweep(text: str) -> tuple[str, list[float]]:
    """A setting, "" for that which a trade-off names first, and its values in order."""
    name, _, listed = text.rpartition("=")
    try:
        values = {int(word) if word.isdecimal() else float(word) for word in listed.split(",")}
    except ValueError:
        values = set()
    if not values or not all(0 <= value < float("inf") for value in values):
        raise argparse.ArgumentTypeError(
            f"numbers from 0 with commas between them, as in 0.7,1.0 or NAME=0.8,0.9; got {text!r}"
        )
    return name, sorted(values, key=lambda value: (value == 0, value))  # 0 is no limit


def _registry(blocked: list[str], code: Sequence[Path] = ()) -> "Registry":
    from gangen.components.registry import Registry

    return Registry.discover(blocked, code)


def _read(options: argparse.Namespace, blocked: list[str]) -> tuple["Recipe", "Registry"]:
    from gangen.recipe.load import load_recipe, recipe_file

    registry = _registry(blocked)
    commands = [*COMMANDS, *(it.bare_name for it in registry.all("commands"))]
    path, run_code = recipe_file(options.recipe, registry, commands), not getattr(options, "no_code", False)
    recipe = load_recipe(path, options.overrides, registry, run_code=run_code)
    if os.environ.get("RANK", "0") == "0":
        for remark in recipe.remarks:
            say(f"gangen: {remark}", sys.stderr)
    return recipe, registry
