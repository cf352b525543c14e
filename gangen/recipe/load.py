"""Read a recipe: YAML, overrides, local code, and every check that needs no network."""

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from gangen.components.messages import Keys, problems_of
from gangen.components.registry import Registry, how_to_install
from gangen.errors import PluginError, UsageError, did_you_mean
from gangen.recipe.players import PlayerSettings
from gangen.recipe.requirements import unmet
from gangen.recipe.sections import Recipe
from gangen.recipe.source import Overrides, RecipeSource


def load_recipe(
    recipe: Path | str | Mapping[str, Any],
    overrides: Overrides = (),
    registry: Registry | None = None,
    *,
    run_code: bool = True,
) -> Recipe:
    """Read a recipe, a file or a dictionary, apply ``a.b.c=value`` overrides, run its local code and check all of it.

    Components are looked up in ``registry``, by default among all that is installed. Without ``run_code`` nothing that
    the recipe names is run: components of its own are then those of files that the registry was told to run.

    Raises:
        RecipeError: everything that is wrong, each with its place.
    """
    registry, settings = registry or Registry.discover(), ("kind", *PlayerSettings.model_fields)
    if isinstance(recipe, Mapping):
        source = RecipeSource.of(recipe, overrides, settings)
    else:
        source = RecipeSource.read(Path(recipe), overrides, settings)
        source.tree.setdefault("run", f"runs/{source.path.stem}")
    tree = source.tree
    _check_requirements(source, registry)
    _find_code(source, registry if run_code else None)
    for key in ("sampler", "guard"):  # options of what is used where a recipe names nothing
        if isinstance(tree.get(key), dict):
            tree[key].setdefault("use", Recipe.model_fields[key].default)
    try:
        read = Recipe.model_validate_json(json.dumps(tree), context=registry)
    except ValidationError as error:
        problems = problems_of(error)
        for keys, message in problems:
            # Not of an option that a copy has from its original, which is told of there.
            original = _original_of(tree, keys)
            if not any(it == message and where[:2] == original != where for where, it in problems):
                source.wrong(keys, message)
    source.stop_if_wrong()
    source.remarks += registry.tell_renamed()
    vars(read)["_source"] = source  # no field: where a recipe was written does not tell it from an equal one
    return read


def recipe_file(word: str, registry: Registry, commands: Iterable[str] = ()) -> Path:
    """The file that a path, or the name of an installed recipe, means.

    Raises UsageError where there is none; ``commands`` are what else the word might have been meant for.
    """
    path, installed = Path(word), registry.recipes()
    if word in installed and not path.is_file():
        return installed[word]
    if path.is_file():
        return path
    hint = did_you_mean(word, [*commands, *installed]) or did_you_mean(path.stem, installed)
    if path.suffix in (".yaml", ".yml") or path.exists():
        raise UsageError(f"there is no recipe file {word}{hint}")
    namespace, slash, _ = word.partition("/")
    if slash and re.fullmatch(r"\w+/[\w-]+", word) and not registry.has(namespace):
        if namespace in registry.blocked or namespace in registry.broken:
            why = registry.broken.get(namespace, "it is left out by --no-plugin")
            raise UsageError(f"recipe {word!r} is of plugin {namespace!r}, which could not be loaded: {why}")
        raise UsageError(f"recipe {word!r} is of a plugin that is not installed\n{how_to_install(namespace)}")
    what = "neither a command nor a recipe" if commands else "no recipe"
    raise UsageError(f"{word!r} is {what}{hint}\nsee: gangen --help, gangen recipes")


def difference(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """What changed between two recipes' ``to_dict()``: a dotted path with both values per line."""
    before, after = _flat(old), _flat(new)
    changed = [key for key in {**before, **after} if before.get(key, "absent") != after.get(key, "absent")]
    return [f"{key}: {before.get(key, 'absent')} -> {after.get(key, 'absent')}" for key in changed]


def _check_requirements(source: RecipeSource, registry: Registry) -> None:
    """Before anything else: what comes of a plugin that is not there is no fault of the recipe."""
    required = source.tree.get("requires")
    if isinstance(required, list) and all(isinstance(text, str) for text in required):
        for index, text in enumerate(required):
            if problem := unmet(text, registry):
                source.wrong(("requires", index), problem)
        source.stop_if_wrong()


def _original_of(tree: Mapping[str, Any], keys: Keys) -> tuple[Any, ...] | None:
    """The way to the player of which the one that ``keys`` lead to, and no further, is made a copy."""
    match keys:
        case ("players", name) if isinstance(given := tree["players"][name], Mapping):
            original = given.get("copy_of", given.get("init"))
            return "players", original.get("player") if isinstance(original, Mapping) else original
    return None


def _find_code(source: RecipeSource, registry: Registry | None) -> None:
    """Make paths of local files absolute, and run them for a registry: they hold components that the rest names.

    They are relative to the recipe, and those of the command line to where one stands.
    """
    code = source.tree.get("code")
    paths = [code] if isinstance(code, str) else code
    if not isinstance(paths, list) or not all(isinstance(path, str) for path in paths):
        return
    source.tree["code"] = [
        str(((source.path.parent if source.where("code", index).line else Path()) / path).resolve())
        for index, path in enumerate(paths)
    ]
    if registry is None:
        return
    for index, path in enumerate(source.tree["code"]):
        try:
            registry.load_code(Path(path))
        except PluginError as error:
            source.wrong(("code", index), str(error))
            source.stop_if_wrong()


def _flat(value: Any, path: str = "") -> dict[str, Any]:
    """Values by dotted path; an empty mapping or list is a value."""
    entries = value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list) else ()
    inner: dict[str, Any] = {}
    for name, part in entries:
        inner |= _flat(part, f"{path}.{name}" if path else str(name))
    return inner or {path: value}
