"""A recipe's text: YAML to plain values, with the place of every key, and the overrides of the command line."""

import json
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Self

import yaml

from gangen.bounded import read_bytes
from gangen.components.messages import Keys, show
from gangen.errors import Problem, RecipeError

Nodes = tuple[yaml.Node, ...]
# As the command line writes them, `a.b.c=value`, or values of Python by their keys.
Overrides = Sequence[str] | Mapping[str, Any]

# No recipe comes near these, and what a stranger wrote must not take memory or minutes to refuse: aliases of aliases
# stand for any number of values, and brackets are read by recursion.
MOST_VALUES, DEEPEST, LONGEST_INTEGER = 10_000, 50, 100
HALVES = re.compile("[\ud800-\udfff]")


def _integer(text: str) -> int:
    if len(text) > LONGEST_INTEGER:
        raise ValueError("an integer as long as no other")
    return int(text, 0) if text[:2] in ("0o", "0x") else int(text)


def _text(text: str) -> str:
    if HALVES.search(text):
        raise ValueError("half of a character is no text")
    return text


# The scalars of YAML 1.2's core schema, with what they begin with and how they are read: PyYAML's own are those of 1.1,
# where 1e-3 is text and "no" is false.
TAG = "tag:yaml.org,2002:"
FLOAT = r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)"
SCALARS: dict[str, tuple[str, list[str], Callable[[str], Any]]] = {
    "null": (r"~|null|Null|NULL|", ["~", "n", "N", ""], lambda text: None),
    "bool": (r"true|True|TRUE|false|False|FALSE", list("tTfF"), lambda text: text.lower() == "true"),
    "int": (r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", list("-+0123456789"), _integer),
    "float": (FLOAT, list("-+.0123456789"), lambda text: float(re.sub(r"\.(?=inf|nan)", "", text.lower()))),
}
READERS = {TAG + name: read for name, (_, _, read) in SCALARS.items()} | {TAG + "str": _text}


class _Beyond(yaml.MarkedYAMLError):
    """There is more than any recipe has."""

    def __init__(self, values: int, depth: int, mark: Any) -> None:
        what = f"{MOST_VALUES:,} values" if values > MOST_VALUES else f"{DEEPEST} levels"
        super().__init__(problem=f"a recipe has no more than {what}", problem_mark=mark)


class _Loader(yaml.SafeLoader):
    yaml_implicit_resolvers: ClassVar[dict] = {}  # type: ignore[misc]

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._values = self._depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        self._values += 1
        self._depth += 1
        if self._values > MOST_VALUES or self._depth > DEEPEST:
            raise _Beyond(self._values, self._depth, self.peek_event().start_mark)
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node


class _Dumper(yaml.SafeDumper):
    """Quotes what either version of YAML would read as something other than text."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


for _name, (_pattern, _first, _) in SCALARS.items():
    for _class in (_Loader, _Dumper):
        _class.add_implicit_resolver(TAG + _name, re.compile(f"(?:{_pattern})$"), _first)


class Place(NamedTuple):
    """Where a key stands: a line and column of a file, or an override, whose line is 0 and whose column its number.

    Those of a dictionary have neither, and are told by the way to them.
    """

    source: str
    line: int = 0
    column: int = 0
    whence: str = "command line"

    def __str__(self) -> str:
        return f"{self.source}:{self.line}:{self.column}" if self.line else f"{self.whence}: {self.source}"


class RecipeSource:
    """The plain ``tree`` of a recipe and the ``places`` of its keys; ``problems`` collects what is wrong with it."""

    def __init__(self, path: Path, settings: Collection[str] = ()) -> None:
        self.path = path
        self.settings = settings
        self.remarks: list[str] = []
        self.tree: Any = None
        self.places: dict[Keys, Place] = {(): Place(str(path), 1, 1)}
        self.problems: list[tuple[Place, str]] = []
        self._values = 0

    @classmethod
    def read(cls, path: Path, overrides: Overrides = (), settings: Collection[str] = ()) -> Self:
        """Read a file and apply overrides ``a.b.c=value``; ``settings`` are what a player has besides a component.

        Raises:
            RecipeError: the file cannot be read, is not YAML, or does not hold a mapping.
        """
        source = cls(path, settings)
        try:
            text = read_bytes(path).decode("utf-8-sig")
        except OSError as error:
            raise RecipeError([Problem(str(path), f"cannot be read: {error.strerror}")]) from error
        except UnicodeDecodeError as error:
            byte = f"byte {error.start} is 0x{error.object[error.start]:02x}"
            raise RecipeError([Problem(str(path), f"is not UTF-8 text: {byte}")]) from error
        except ValueError as error:
            raise RecipeError([Problem(str(path), f"cannot be read: {error}")]) from None
        source.tree = source._parse(text, ())
        source.stop_if_wrong()
        if not isinstance(source.tree, dict):
            what = "is empty" if source.tree is None else "is not a mapping of keys to values"
            raise RecipeError([Problem(str(path), f"the recipe {what}")])
        source._override_all(overrides)
        return source

    @classmethod
    def of(cls, tree: Mapping[str, Any], overrides: Overrides = (), settings: Collection[str] = ()) -> Self:
        """The recipe that a dictionary of Python's is; the rest is as in ``read``.

        Raises:
            RecipeError: it holds what no file of YAML could.
        """
        source = cls(Path("recipe"), settings)
        source.places = {(): Place("the dictionary", whence="recipe")}
        source.tree = source._plain(tree, ())
        source.stop_if_wrong()
        source._override_all(overrides)
        return source

    def _plain(self, value: Any, keys: Keys) -> Any:
        if len(keys) > DEEPEST:
            self.wrong(keys, f"a recipe has no more than {DEEPEST} levels")
            return None
        if keys:
            self.places[keys] = Place(".".join(map(str, keys)), whence="recipe")
        match value:
            case Mapping():
                return {str(key): self._plain(item, (*keys, str(key))) for key, item in value.items()}
            case list() | tuple():
                return [self._plain(item, (*keys, index)) for index, item in enumerate(value)]
            case Path():
                return str(value)
            case None | bool() | int() | float() | str():
                return value
        self.wrong(keys, f"{show(value)} is a {type(value).__name__}, which no recipe can hold")
        return None

    def _override_all(self, overrides: Overrides) -> None:
        if not isinstance(overrides, Mapping):
            written, whence = overrides, "command line"
        else:
            plain = {key: self._plain(value, tuple(key.split("."))) for key, value in overrides.items()}
            for key in plain:
                if "=" in key:  # which is the end of a key below
                    self.wrong(tuple(key.split(".")), "the key of a setting has no '='")
            self.stop_if_wrong()
            written = [f"{key}={json.dumps(value, ensure_ascii=False)}" for key, value in plain.items()]
            whence = "override"
        for number, override in enumerate(written):
            self._override(override, number, whence)

    def where(self, *keys: str | int) -> Place:
        """The place of a key, or of the nearest key around it that was written down."""
        while keys not in self.places:
            keys = keys[:-1]
        return self.places[keys]

    def overrides_of(self, *keys: str | int) -> list[str]:
        """The overrides of a key or of one below it, in their words."""
        found = [place for path, place in self.places.items() if path[: len(keys)] == keys]
        return [str(place) for place in found if not place.line and place.whence != "recipe"]

    def wrong(self, keys: Keys, message: str) -> None:
        self.problems.append((self.where(*keys), message))

    def stop_if_wrong(self) -> None:
        """Raise everything that was found wrong, in the order of the file, the command line last."""
        if self.problems:
            ordered = sorted(self.problems, key=lambda problem: (not problem[0].line, *problem[0][1:]))
            raise RecipeError(dict.fromkeys(Problem(str(place), message) for place, message in ordered))

    def _parse(self, text: str, keys: Keys, place: Place | None = None) -> Any:
        loader = _Loader("")
        try:
            loader = _Loader(text)
            node = loader.get_single_node()
            return None if node is None else self._value(node, keys, place, ())
        except yaml.MarkedYAMLError as error:
            mark: Any = error.problem_mark or error.context_mark
            place = place or Place(str(self.path), mark.line + 1, mark.column + 1)
            what = "" if isinstance(error, _Beyond) else "not valid YAML: "
            self.problems.append((place, f"{what}{error.problem or error.context}"))
        except (yaml.YAMLError, ValueError, OverflowError) as error:  # of an escape that is no character
            self.problems.append((place or self.where(), f"not valid YAML: {' '.join(str(error).split())}"))
        finally:
            loader.dispose()
        return None

    def _value(self, node: yaml.Node, keys: Keys, place: Place | None, around: Nodes) -> Any:
        """The plain value of a node inside of the nodes ``around``; ``place`` overrides the node's own."""
        here = place or self._place(node)
        self.places.setdefault(keys, here)
        self._values += 1
        if self._values > MOST_VALUES or len(keys) > DEEPEST:
            raise _Beyond(self._values, len(keys), node.start_mark)
        if node in around:
            self.problems.append((here, "an alias stands inside of what it stands for"))
            return None
        around = (*around, node)
        match node:
            case yaml.SequenceNode(tag="tag:yaml.org,2002:seq"):
                return [self._value(item, (*keys, index), place, around) for index, item in enumerate(node.value)]
            case yaml.MappingNode(tag="tag:yaml.org,2002:map"):
                return self._mapping(node, keys, place, around)
            case yaml.ScalarNode() if node.tag in READERS:
                try:
                    return READERS[node.tag](node.value)
                except ValueError:
                    self.problems.append((here, f"{show(node.value)} cannot be read as {node.tag.removeprefix(TAG)}"))
                    return None
        tag = node.tag.replace("tag:yaml.org,2002:", "!!")
        self.problems.append((here, f"the tag {tag} does not belong here"))
        return None

    def _mapping(self, node: yaml.MappingNode, keys: Keys, place: Place | None, around: Nodes) -> dict[str, Any]:
        mapping: dict[str, Any] = {}
        for key, value in node.value:
            here = place or self._place(key)
            if not isinstance(key, yaml.ScalarNode) or HALVES.search(key.value):
                self.problems.append((here, "a key must be a word or a number"))
            elif key.value in mapping:
                first = "" if place else f"; the first is in line {self.places[*keys, key.value].line}"
                self.problems.append((here, f"{key.value!r} is given twice{first}"))
            else:
                self.places[*keys, key.value] = here
                mapping[key.value] = self._value(value, (*keys, key.value), place, around)
        return mapping

    def _place(self, node: Any) -> Place:
        return Place(str(self.path), node.start_mark.line + 1, node.start_mark.column + 1)

    def _override(self, override: str, number: int, whence: str = "command line") -> None:
        place = Place(override, 0, number, whence)
        dotted, equals, text = override.partition("=")
        keys: list[str | int] = list(dotted.split("."))
        if not equals or "" in keys or len(keys) > DEEPEST:
            self.problems.append((place, "an override is written key.path=value"))
            return
        container: Any = self.tree
        for depth, key in enumerate(keys):
            name = ".".join(map(str, keys[:depth]))
            if isinstance(container, list):
                if not (str(key).isdecimal() and int(key) < len(container)):
                    held = f"entries 0 to {len(container) - 1}" if container else "no entries"
                    self.problems.append((place, f"{name} has {held}, and no {key!r}"))
                    return
                key = keys[depth] = int(key)
            elif not isinstance(container, dict):
                self.problems.append((place, f"{name} is {container!r} and has no {key!r}"))
                return
            if depth < len(keys) - 1:
                container = self._entered(container, key, tuple(keys[: depth + 1]), place)
        path = tuple(keys)
        former = container.get(keys[-1]) if isinstance(container, dict) else container[keys[-1]]
        places, below = self.places, len(path)
        self.places = {known: where for known, where in places.items() if known[:below] != path}
        self.places[path] = place
        container[keys[-1]] = value = self._parse(text, path, place)
        if isinstance(value, str) and isinstance(former, dict) and "use" in former:
            container[keys[-1]] = self._exchange(value, former, path, override)
            for known in places:
                if known[:below] == path and len(known) > below and known[below] in container[keys[-1]]:
                    self.places.setdefault(known, places[known])

    def _exchange(self, name: str, former: dict[str, Any], path: Keys, override: str) -> dict[str, Any]:
        """A component by its name in the place of another, whose options go; settings of a player stay."""
        self.places[*path, "use"] = self.places[path]
        kept = {key: value for key, value in former.items() if path[:-1] == ("players",) and key in self.settings}
        left_out = [key for key in former if key != "use" and key not in kept]
        if left_out:
            keeping = f", and keeps {', '.join(kept)}" if kept else ""
            self.remarks.append(f"{override} leaves out the options of {former['use']}: {', '.join(left_out)}{keeping}")
        return {"use": name, **kept}

    def _entered(self, container: Any, key: str | int, path: Keys, place: Place) -> Any:
        """What is at ``path``, as something that holds keys: a name becomes ``{use: name}``, nothing a new mapping."""
        inner = container[int(key)] if isinstance(container, list) else container.get(key)
        if isinstance(inner, str):
            self.places[*path, "use"] = self.where(*path)
            inner = {"use": inner}
        elif inner is None:
            inner = {}
            self.places.setdefault(path, place)
        container[key] = inner
        return inner


def dump(tree: Any) -> str:
    """YAML of plain values, which ``RecipeSource`` reads back to the same values."""
    return yaml.dump(tree, Dumper=_Dumper, sort_keys=False, allow_unicode=True, default_flow_style=None, width=120)


def read_assignments(assignments: Sequence[str]) -> dict[str, Any]:
    """The mapping that ``name=value`` arguments write.

    Raises:
        RecipeError: an argument is not of this form, its value not YAML, or a name is given twice.
    """
    source = RecipeSource(Path())
    source.tree = {}
    for number, assignment in enumerate(assignments):
        name = assignment.partition("=")[0]
        if tuple(name.split(".")) in source.places:
            source.problems.append((Place(assignment, column=number), f"{name!r} is given twice"))
        source._override(assignment, number)
    source.stop_if_wrong()
    return source.tree
