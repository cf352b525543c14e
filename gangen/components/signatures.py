"""The keyword-only parameters of a class or function, read from its source so that nothing heavy is imported.

A class without a constructor has those of its base, and so has one whose constructor hands ``**options`` on to that.
"""

import ast
import builtins
import collections.abc
import dataclasses
import importlib
import importlib.util
import inspect
import re
import typing
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from gangen.errors import PluginError

REQUIRED = inspect.Parameter.empty


class Parameter(NamedTuple):
    """A keyword-only parameter; ``default`` is ``REQUIRED`` where it has none.

    ``about`` is the first sentence of the docstring of its class or function that names it in double backticks.
    """

    name: str
    annotation: Any
    default: Any
    about: str = ""


class _Unreadable(Exception):
    """The source alone does not tell; the module has to be imported."""


def resolve(target: str) -> Any:
    """The object that the import string ``"module:attribute"`` names.

    Raises:
        PluginError: the module cannot be imported, or has no such attribute.
    """
    module_name, _, path = target.partition(":")
    try:
        found = importlib.import_module(module_name)
        for attribute in path.split("."):
            found = getattr(found, attribute)
    except Exception as error:
        raise PluginError(f"cannot load {target!r}: {type(error).__name__}: {error}") from error
    return found


def described(parameters: Iterable[Parameter], text: str | None) -> list[Parameter]:
    """The same, with what ``text`` says of them."""
    sentences = [
        sentence.rstrip(".;")
        for paragraph in (text or "").partition("Raises:")[0].split("\n\n")
        for sentence in re.split(r"(?<=[.;])\s+(?=[A-Z`])", " ".join(paragraph.split()))
    ]
    return [
        it._replace(about=next((found.replace("``", "") for found in sentences if f"``{it.name}``" in found), it.about))
        for it in parameters
    ]


def keyword_parameters(target: str, names: Mapping[str, Any], method: str = "__init__") -> list[Parameter]:
    """The options of ``target``, from its source where that is plain enough, else from the imported object.

    They are those of its constructor, or of another ``method``. ``names`` are what annotations may mention besides
    builtins, typing, collections.abc, annotated_types and ``Path``.
    """
    module_name, _, attribute = target.partition(":")
    try:
        return _from_source(_parse(module_name), attribute, method, _namespace() | dict(names)) or []
    except _Unreadable:
        return from_object(resolve(target), method)


def from_object(found: Any, method: str = "__init__") -> list[Parameter]:
    """The options of a live class or function."""
    if dataclasses.is_dataclass(found) and method == "__init__":
        hints = typing.get_type_hints(found, include_extras=True)
        fields = [field for field in dataclasses.fields(found) if field.kw_only]
        return described([Parameter(it.name, hints[it.name], _field_default(it)) for it in fields], found.__doc__)
    if not inspect.isclass(found):
        functions = [(found, found.__doc__)] if method == "__init__" else []
    else:
        classes = [it for it in inspect.getmro(found) if method in vars(it)]
        functions = [(vars(it)[method], f"{it.__doc__}\n\n{vars(it)[method].__doc__}") for it in classes]
    options: dict[str, Parameter] = {}
    for function, text in functions:
        try:
            hints = typing.get_type_hints(function, include_extras=True)
        except (NameError, TypeError, AttributeError) as error:
            raise PluginError(f"cannot read the annotations of {function.__qualname__}: {error}") from error
        parameters = inspect.signature(function).parameters.values()
        own = [
            Parameter(it.name, hints.get(it.name, Any), it.default) for it in parameters if it.kind is it.KEYWORD_ONLY
        ]
        options |= {it.name: it for it in described(own, text) if it.name not in options}
        if not any(it.kind is it.VAR_KEYWORD for it in parameters):
            break
    return described(options.values(), found.__doc__)


def _field_default(field: dataclasses.Field) -> Any:
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return REQUIRED if field.default is dataclasses.MISSING else field.default


def _parse(module_name: str) -> ast.Module:
    """Finding a module imports its parent package, which for a plugin holds the hooks only."""
    try:
        spec = importlib.util.find_spec(module_name)
        return ast.parse(Path(spec.origin).read_bytes())
    except Exception as error:
        raise _Unreadable from error


def _from_source(module: ast.Module, name: str, method: str, namespace: dict[str, Any]) -> list[Parameter] | None:
    """None for a class without such a method, and for a function where it is not its own options that are asked for."""
    definitions = [node for node in module.body if getattr(node, "name", None) == name]
    match definitions:
        case []:
            return _from_source(*_imported(module, name), method, namespace)
        case [ast.FunctionDef() as function]:
            return _from_function(function, namespace) if method == "__init__" else None
        case [ast.ClassDef(decorator_list=[], keywords=[]) as definition]:
            text = ast.get_docstring(definition)
            function = next((it for it in definition.body if getattr(it, "name", None) == method), None)
            own = None if function is None else described(_from_function(function, namespace), text)
            if own is not None and function.args.kwarg is None:
                return own
            for base in definition.bases:
                if not isinstance(base, ast.Name):
                    raise _Unreadable
                inherited = _from_source(module, base.id, method, namespace)
                if inherited is not None:
                    names = {option.name for option in own or ()}
                    return [*(own or ()), *described((it for it in inherited if it.name not in names), text)]
            return own
    raise _Unreadable


def _imported(module: ast.Module, name: str) -> tuple[ast.Module, str]:
    """The module that ``name`` is imported from, and its name there."""
    for node in ast.walk(module):  # also below TYPE_CHECKING, where gangen itself says where its public names are
        if isinstance(node, ast.ImportFrom) and not node.level:
            for alias in node.names:
                if (alias.asname or alias.name) == name:
                    return _parse(node.module), alias.name
    raise _Unreadable


def _from_function(function: Any, namespace: dict[str, Any]) -> list[Parameter]:
    if not isinstance(function, ast.FunctionDef) or function.decorator_list:
        raise _Unreadable
    arguments = zip(function.args.kwonlyargs, function.args.kw_defaults, strict=True)
    options = [
        Parameter(
            argument.arg,
            Any if argument.annotation is None else _annotation(argument.annotation, namespace),
            REQUIRED if default is None else _evaluated(default, namespace),
        )
        for argument, default in arguments
    ]
    return described(options, ast.get_docstring(function))


def _annotation(node: ast.expr, namespace: dict[str, Any]) -> Any:
    found = _evaluated(node, namespace)
    if isinstance(found, str):
        raise _Unreadable
    return found


def _evaluated(node: ast.expr, namespace: dict[str, Any]) -> Any:
    try:
        return eval(compile(ast.Expression(node), "<option>", "eval"), dict(namespace))
    except Exception as error:
        raise _Unreadable from error


def _namespace() -> dict[str, Any]:
    import annotated_types

    types = {name: value for name, value in vars(builtins).items() if isinstance(value, type)}
    modules = {"typing": typing, "collections": collections, "annotated_types": annotated_types}
    return {
        "__builtins__": types,
        "Path": Path,
        **{name: getattr(collections.abc, name) for name in ("Sequence", "Mapping", "Iterable")},
        **{name: getattr(typing, name) for name in ("Annotated", "Any", "Literal", "Optional", "Union")},
        **{name: getattr(annotated_types, name) for name in annotated_types.__all__},
        **modules,
    }
