"""What may be said on the command line: the commands with their options."""

import argparse
from pathlib import Path
from typing import Any, NoReturn

from gangen.errors import UsageError

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


class Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}\nsee: {self.prog} --help")


def flags_parser() -> argparse.ArgumentParser:
    """The flags that may stand before or after the command."""
    flags = Parser(prog="gangen", add_help=False, allow_abbrev=False)
    flags.add_argument("--debug", action="store_true", help="show the traceback of an error")
    leaving_out = "leave a plugin out (repeatable)"
    flags.add_argument("--no-plugin", action="append", default=[], metavar="NAME", help=leaving_out)
    return flags


def command_parser() -> argparse.ArgumentParser:
    from gangen import __version__

    parser = Parser(
        prog="gangen",
        description="Train generative adversarial networks from recipes, and sample from them.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        parents=[flags_parser()],
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
    exporting = command("export", "write a model to a folder for others, with a card; or as a program of torch")
    exporting.add_argument("run", metavar="RUN", help="a run directory or model folder")
    exporting.add_argument("folder", metavar="FOLDER", type=Path, help="the folder to write, or a file .pt2")
    example = "of a program, an example of what the model must be asked with, if it must be"
    exporting.add_argument("--prompt", metavar="PROMPT", help=example)
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
    seconds = "until when a request is answered, or refused (default: 60)"
    serving.add_argument("--max-seconds", type=float, default=60.0, metavar="S", help=seconds)
    serving.add_argument("--device", default="cpu", metavar="NAME", help=device)
    serving.add_argument("--code", action="append", default=[], type=Path, metavar="FILE", help=code)
    listed = command("plugins", "what is installed, and what could not be loaded")
    narrower = "a plugin, or a kind of components, as losses: nothing else (repeatable)"
    listed.add_argument("names", nargs="*", metavar="NAME", help=narrower)
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
