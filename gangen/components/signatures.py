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
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from gangen.errors import PluginError

REQUIRED = inspect.Parameter.empty


class Parameter(NamedTuple):
    """A keyword-only parameter; ``default`` is ``REQUIRED`` where it has none."""

    name: str
    annotation: Any
    default: Any


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


def keyword_parameters(target: str, names: Mapping[str, Any]) -> list[Parameter]:
    """The options of ``target``, from its source where that is plain enough, else from the imported object.

    ``names`` are what annotations may mention besides builtins, typing, collections.abc, annotated_types and ``Path``.
    """
    module_name, _, attribute = target.partition(":")
    try:
        return _from_source(_parse(module_name), attribute, _namespace() | dict(names)) or []
    except _Unreadable:
        return from_object(resolve(target))


def from_object(found: Any) -> list[Parameter]:
    """The options of a live class or function."""
    if dataclasses.is_dataclass(found):
        hints = typing.get_type_hints(found, include_extras=True)
        fields = [field for field in dataclasses.fields(found) if field.kw_only]
        return [Parameter(field.name, hints[field.name], _field_default(field)) for field in fields]
    constructors = (
        [vars(it)["__init__"] for it in inspect.getmro(found) if "__init__" in vars(it)]
        if inspect.isclass(found)
        else [found]
    )
    options: dict[str, Parameter] = {}
    for function in constructors:
        try:
            hints = typing.get_type_hints(function, include_extras=True)
        except (NameError, TypeError, AttributeError) as error:
            raise PluginError(f"cannot read the annotations of {function.__qualname__}: {error}") from error
        parameters = inspect.signature(function).parameters.values()
        for it in parameters:
            if it.kind is it.KEYWORD_ONLY and it.name not in options:
                options[it.name] = Parameter(it.name, hints.get(it.name, Any), it.default)
        if not any(it.kind is it.VAR_KEYWORD for it in parameters):
            break
    return list(options.values())


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


def _from_source(module: ast.Module, name: str, namespace: dict[str, Any]) -> list[Parameter] | None:
    """None for a class without any constructor."""
    definitions = [node for node in module.body if getattr(node, "name", None) == name]
    match definitions:
        case []:
            return _from_source(*_imported(module, name), namespace)
        case [ast.FunctionDef() as function]:
            return _from_function(function, namespace)
        case [ast.ClassDef(decorator_list=[], keywords=[]) as definition]:
            constructor = next((it for it in definition.body if getattr(it, "name", None) == "__init__"), None)
            own = None if constructor is None else _from_function(constructor, namespace)
            if own is not None and constructor.args.kwarg is None:
                return own
            for base in definition.bases:
                if not isinstance(base, ast.Name):
                    raise _Unreadable
                inherited = _from_source(module, base.id, namespace)
                if inherited is not None:
                    names = {option.name for option in own or ()}
                    return [*(own or ()), *(option for option in inherited if option.name not in names)]
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
    return [
        Parameter(
            argument.arg,
            Any if argument.annotation is None else _annotation(argument.annotation, namespace),
            REQUIRED if default is None else _evaluated(default, namespace),
        )
        for argument, default in arguments
    ]


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
