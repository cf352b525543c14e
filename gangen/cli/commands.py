"""What each command does, with the options that were said; plugins to leave out are ``blocked``."""

import argparse
import os
import secrets
import shlex
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gangen.errors import UsageError
from gangen.printing import say

if TYPE_CHECKING:
    from gangen.components.registry import Registry
    from gangen.recipe.sections import Recipe


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
        raise UsageError(f"cannot write lines of JSON to {output}: use {output.with_suffix('.jsonl')}")
    settings = read_assignments(options.set)
    from gangen.files import replacing
    from gangen.outputs import json_lines, plain_lines, refuse_suffix
    from gangen.saved_model import load

    model = load(options.run, registry=registry_of(blocked), device=options.device, code=options.code)
    for path in filter(os.path.isfile, options.prompts):
        if Path(path).suffix and not model.takes_files:
            raise UsageError(f"{path} is a file, of which this model would see the name alone: it takes {model.takes}")
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
        return _print_lines(plain_lines(samples))
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
    registry = registry_of(blocked, options.code)
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
            results.append(run.evaluate(quiet=False))
    show(results, Console(width=None if sys.stdout.isatty() else 200))  # a file has room for all columns
    for run in runs:
        say(f"report: {write_report(run.run)}")
    if options.output:
        say(f"comparison: {write_side_by_side(results, options.output)}")


def _export(options: argparse.Namespace, blocked: list[str]) -> None:
    from gangen.program import SUFFIX
    from gangen.sharing.folder import export

    if options.folder.suffix == SUFFIX:
        from gangen.saved_model import load

        if options.license or options.data_license or options.players:
            raise UsageError(f"a program, as {options.folder}, has no card and no further players: name a folder")
        load(options.run, registry=registry_of(blocked), code=options.code).save_program(options.folder, options.prompt)
        return say(str(options.folder))
    if options.prompt is not None:
        raise UsageError(f"--prompt is for a program, and {options.folder} is none: let its name end in {SUFFIX}")
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
    return common | {"registry": registry_of(blocked)}


def _serve(options: argparse.Namespace, blocked: list[str]) -> None:
    for name in ("max_n", "max_bytes", "max_seconds"):
        if not getattr(options, name) > 0:
            raise UsageError(f"--{name.replace('_', '-')} must be more than 0, got {getattr(options, name)}")
    try:
        from gangen.serving.app import Limits
        from gangen.serving.server import serve
    except ModuleNotFoundError as error:
        raise UsageError(f"gangen serve needs {error.name}: pip install 'gangen[serve]'") from None
    from gangen.saved_model import find_model, load, title_of

    folder, _, words = find_model(options.run, options.code)
    if words:
        say(words, sys.stderr)
    title = title_of(options.run, folder)
    model = load(folder, registry=registry_of(blocked), device=options.device, code=options.code)
    limits = Limits(options.max_n, options.max_bytes, options.max_seconds)
    serve(model, host=options.host, port=options.port, limits=limits, title=title)


def _plugins(options: argparse.Namespace, blocked: list[str]) -> None:
    from gangen.components.catalogue import catalogue, plugin_lines

    registry = registry_of(blocked)
    if options.json:
        from gangen.files import to_json

        say(to_json(catalogue(registry, options.names), indent=2).rstrip())
    else:
        say("\n".join(plugin_lines(registry, options.names)))


def _show(options: argparse.Namespace, blocked: list[str]) -> None:
    from gangen.components.catalogue import component_lines

    registry = registry_of(blocked)
    lines = list(component_lines(registry, options.name))
    if not lines:
        from gangen.reference.sections import section_lines

        lines = list(section_lines(registry, options.name))
    say("\n".join(lines))


def _recipes(options: argparse.Namespace, blocked: list[str]) -> None:
    from gangen.components.catalogue import recipe_lines

    say("\n".join(recipe_lines(registry_of(blocked))))


def _copy(options: argparse.Namespace, blocked: list[str]) -> None:
    from gangen.scaffold.recipe import copy_recipe

    path = copy_recipe(options.recipe, options.file, registry_of(blocked))
    say(f"{path}\nnext:    gangen {shlex.quote(str(path))}")


def _new_plugin(options: argparse.Namespace, blocked: list[str]) -> None:
    from gangen.scaffold.plugin import write_plugin

    folder = options.folder or Path(f"gangen-{options.name.replace('_', '-')}")
    write_plugin(options.name, folder, registry_of(blocked))
    steps = f'cd {shlex.quote(str(folder))} && pip install -e ".[test]" && pytest && gangen {options.name}/demo'
    say(f"{folder}\nnext:    {steps}")


def _schema(options: argparse.Namespace, blocked: list[str]) -> None:
    import json

    from gangen.recipe.schema import recipe_schema

    say(json.dumps(recipe_schema(registry_of(blocked)), indent=2))


def _docs(options: argparse.Namespace, blocked: list[str]) -> None:
    from gangen.reference.pages import page_lines, read_page

    say(read_page(options.page, registry_of(blocked)) if options.page else "\n".join(page_lines()))


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


def registry_of(blocked: list[str], code: Sequence[Path] = ()) -> "Registry":
    from gangen.components.registry import Registry

    return Registry.discover(blocked, code)


def _read(options: argparse.Namespace, blocked: list[str]) -> tuple["Recipe", "Registry"]:
    from gangen.recipe.load import load_recipe, recipe_file

    registry = registry_of(blocked)
    commands = [*COMMANDS, *(it.bare_name for it in registry.all("commands"))]
    path, run_code = recipe_file(options.recipe, registry, commands), not getattr(options, "no_code", False)
    recipe = load_recipe(path, options.overrides, registry, run_code=run_code)
    if os.environ.get("RANK", "0") == "0":
        for remark in recipe.remarks:
            say(f"gangen: {remark}", sys.stderr)
    return recipe, registry
