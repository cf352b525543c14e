"""The card of a model: README.md, with what is known of how it was made, how good it is, and how to use it."""

import mimetypes
import re
import shutil
from collections.abc import Mapping
from pathlib import Path, PurePosixPath, PureWindowsPath
from shlex import quote
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from gangen import __version__
from gangen.account import few
from gangen.bounded import read_json
from gangen.components.registry import LOCAL, Registry
from gangen.errors import UsageError
from gangen.evaluation.results import Result
from gangen.files import write_atomically
from gangen.metrics.figures import SIGNS_EXPLAINED, titled
from gangen.model import Model
from gangen.networks import count_parameters
from gangen.printing import visible
from gangen.recipe.source import dump
from gangen.report import samples
from gangen.report.figures import newest
from gangen.report.groups import Group
from gangen.report.page import number
from gangen.report.provenance import facts, measured
from gangen.report.records import read_recipe, warnings_of
from gangen.run_directory import RunDirectory, latest_name

CARD = "README.md"
# Lines of a sheet of texts that a card shows.
_LINES = 40


def write_card(
    folder: Path,
    model: Model,
    title: str,
    name: str,
    run: RunDirectory | None,
    source: Path,
    registry: Registry,
    license: str | None,
    data_license: str | None,
) -> None:
    """Write README.md and the samples that it shows into the ``folder`` of a model, which came from ``source``.

    Of a ``run`` there is what is known of its newest model, or of its best one at the step of that.
    """
    about, recipe, rows, result, step = read_json(folder / "gangen.json"), {}, [], None, None
    if run is not None:
        recipe, rows, result = read_recipe(run), list(run.read_metrics()), Result.read(run.evaluation)
        step = _step(source, run, rows)
        rows = [row for row in rows if step is not None and row["step"] <= step]
        result = result if result and result.step == step else None
    figures, measured_at = (result.figures, result.step) if result else newest(rows)
    data, plugins = str(about["data"]), {name: str(what) for name, what in about["plugins"].items()}
    write_atomically(
        folder / CARD,
        _rendered(
            metadata=dump(({"license": license} if license else {}) | {"library_name": "gangen", "tags": ["gangen"]}),
            title=title,
            name=name,
            model=model,
            labels=_cell(few(model.labels)),
            prompt=_prompt(model),
            suffix=getattr(model.codec, "suffix", ""),
            networks={name: count_parameters(network) for name, network in model.networks.items()},
            step=step,
            sheet=_sheet(run, folder, step),
            figures=figures,
            measured_at=measured_at,
            measured=[row for _, uses in measured([Group("", [result])] if result else []) for row in uses],
            remarks=result.remarks if result else [],
            warnings=warnings_of(rows, result),
            license=license,
            data=data,
            data_license=data_license or getattr(registry.find("data", data).load(), "license", None),
            facts=facts(run, rows) if run else {},
            recipe=dump(_without_places({key: it for key, it in recipe.items() if key != "run"})) if recipe else "",
            plugins=plugins,
            packages=sorted({"gangen", *(what.partition(" ")[0] for name, what in plugins.items() if name != LOCAL)}),
            code=sorted(path.name for path in (folder / "code").glob("*.py")),
            version=__version__,
        ),
    )


def licence_of(text: str | None) -> str | None:
    """The name of a licence as the hub knows it, "apache-2.0". Raises UsageError for what is none."""
    if text is None:
        return None
    if not re.fullmatch(r"[a-z0-9][a-z0-9.+-]{1,60}", text.lower(), re.ASCII):
        raise UsageError(f"a licence is named by its short name, as apache-2.0, mit or cc-by-4.0, got {text!r:.80}")
    return text.lower()


def read_licence(card: Path) -> str | None:
    """What a card names as the licence; None where it names none, or is no card."""
    from huggingface_hub.repocard import metadata_load
    from yaml import YAMLError

    try:
        return (metadata_load(card) or {}).get("license")
    except (OSError, ValueError, YAMLError):
        return None


def _prompt(model: Model) -> str | None:
    """One that can be shown as an example; None where nothing need be said."""
    first = next(iter(model.labels), None)
    try:
        model.codec.encode(first, 1)
    except UsageError:  # there is none that would do for everybody
        return "PROMPT"
    return first


def _step(source: Path, run: RunDirectory, rows: list[dict[str, Any]]) -> int | None:
    """Of the model in ``source``, as far as that is known."""
    if source.absolute() == run.model.absolute():
        name = latest_name(run.checkpoints)
        return int(name.removeprefix("step-")) if name else max((row["step"] for row in rows), default=None)
    try:
        step = read_json(source / "best.json")["step"]
    except (OSError, ValueError, LookupError, TypeError):
        return None
    return step if type(step) is int else None


def _sheet(run: RunDirectory | None, folder: Path, step: int | None) -> dict[str, Any] | None:
    """The last sheet of samples by ``step``, its files put into ``folder``; of texts the first lines."""
    found = None if run is None or step is None else samples.last(run.samples, step)
    if not found:
        return None
    (title, paths), text, media = found, "", {}
    for path in paths:
        kind = (mimetypes.guess_type(path.name)[0] or "").partition("/")[0]
        if kind == "text":
            lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
            text += "\n".join([*lines[:_LINES], *(["..."] if len(lines) > _LINES else [])])
        else:
            copied = path.name.replace(path.stem[: len("step-00000000")], "samples", 1)
            shutil.copyfile(path, folder / copied)
            media[copied] = kind
    return {"title": title, "text": text, "media": media}


def _without_places(value: Any) -> Any:
    """A recipe's values, in which paths of the machine that it was played on have but their last part."""
    match value:
        case Mapping():
            return {key: _without_places(item) for key, item in value.items()}
        case list():
            return [_without_places(item) for item in value]
        case str() if value.startswith(("/", "~", "..")):
            return PurePosixPath(value).name
        case str() if PureWindowsPath(value).drive:
            return PureWindowsPath(value).name
    return value


def _rendered(**content: Any) -> str:
    pages = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
        keep_trailing_newline=True,
    )
    pages.filters |= {
        "number": number,
        "cell": _cell,
        "fenced": _fenced,
        "python": repr,
        "shell": quote,
        "titled": titled,
    }
    pages.globals["signs"] = SIGNS_EXPLAINED
    return visible(pages.get_template("card.md").render(content))


def _cell(text: Any) -> str:
    """Text that stays in its place in a table."""
    return re.sub(r"([|`<>\[\]\\])", r"\\\1", "; ".join(str(text).splitlines()))


def _fenced(text: str, language: str = "") -> str:
    """Text set apart as it stands, whatever is in it."""
    fence = "`" * max(3, *(len(found) + 1 for found in re.findall("`+", text)), 3)
    return f"{fence}{language}\n{text.rstrip()}\n{fence}"
