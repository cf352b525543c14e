"""The keyword-only parameters of a class or function, read from its source so that nothing heavy is imported.

A class without a constructor has those of its base, and so has one whose constructor hands ``**options`` on to that.
"""

import ast
import builtins
import collections.abc
import dataclasses
import importlib.util
import inspect
import pkgutil
import re
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from types import CodeType
from typing import Any, NamedTuple

from gangen.errors import PluginError

REQUIRED = inspect.Parameter.empty


Definition = tuple[Callable, str]  # a function, and what is written about its parameters
Target = str | Callable  # an import string, or a class or function of this process


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


def resolve(target: Target) -> Any:
    """The object that the import string ``"module:attribute"`` names, or the one that is given instead.

    Raises:
        PluginError: the module cannot be imported, or has no such attribute.
    """
    if not isinstance(target, str):
        return target
    try:
        return pkgutil.resolve_name(target)
    except Exception as error:
        raise PluginError(f"cannot load {target!r}: {type(error).__name__}: {error}") from error


def description_of(name: str, text: str) -> str:
    """The first sentence that names an option, as ``name`` or ``name: value`` in double backticks; or nothing."""
    text = re.sub(r"\n\s*Raises:.*?(\n\s*\n|$)", "\n\n", text, flags=re.DOTALL)
    for paragraph in text.split("\n\n"):
        for statement in re.split(r"(?<=[.;])\s+(?=[A-Z`])", " ".join(paragraph.split())):
            if re.search(rf"``{name}(``|: )", statement):
                return statement.rstrip(".;").replace("``", "")
    return ""


def keyword_parameters(target: Target, names: Mapping[str, Any], method: str = "__init__") -> list[Parameter]:
    """The options of ``target``, from its source where that is plain enough, else from the imported object.

    They are those of its constructor, or of another ``method``. ``names`` are what annotations may mention besides
    builtins, typing, collections.abc, annotated_types, ``Path``, and what modules of the same package assign to a name.
    """
    if not isinstance(target, str):
        return from_object(target, method)
    module_name, _, attribute = target.partition(":")
    try:
        return _parameters(_from_source(_parse(module_name), attribute, method, _namespace() | dict(names)))
    except (_Unreadable, NameError, TypeError, AttributeError):
        return from_object(resolve(target), method)


def from_object(found: Any, method: str = "__init__") -> list[Parameter]:
    """The options of a live class or function."""
    if inspect.isclass(found):
        texts = [vars(it).get("__doc__") or "" for it in inspect.getmro(found)]
        functions = [vars(it)[method] for it in inspect.getmro(found) if method in vars(it)]
    else:
        texts, functions = [], [found] if method == "__init__" else []
    try:
        options = _parameters((function, "\n\n".join([function.__doc__ or "", *texts])) for function in functions)
    except (NameError, TypeError, AttributeError) as error:
        raise PluginError(f"cannot read the annotations of {found.__qualname__}: {error}") from error
    fields = dataclasses.fields(found) if dataclasses.is_dataclass(found) else ()
    made = {it.name: it.default_factory() for it in fields if it.default_factory is not dataclasses.MISSING}
    return [it._replace(default=made.get(it.name, it.default)) for it in options]


def _parameters(functions: Iterable[Definition]) -> list[Parameter]:
    """Those of the first function, and of the following ones as long as each hands ``**options`` on."""
    options: dict[str, Parameter] = {}
    for function, text in functions:
        hints = typing.get_type_hints(function, include_extras=True)
        parameters = inspect.signature(function).parameters.values()
        for it in parameters:
            if it.kind is it.KEYWORD_ONLY and it.name not in options:
                about = description_of(it.name, text)
                options[it.name] = Parameter(it.name, hints.get(it.name, Any), it.default, about)
        if not any(it.kind is it.VAR_KEYWORD for it in parameters):
            break
    return list(options.values())


def _parse(module_name: str) -> ast.Module:
    """Finding a module imports its parent package, which for a plugin holds the hooks only."""
    try:
        spec: Any = importlib.util.find_spec(module_name)
        stub = Path(spec.origin).with_suffix(".pyi")  # where gangen itself says where its public names are
        module = ast.parse((stub if stub.exists() else Path(spec.origin)).read_bytes())
        for node in module.body:
            if isinstance(node, ast.ImportFrom) and node.level:
                relative = "." * node.level + (node.module or "")
                node.module, node.level = importlib.util.resolve_name(relative, spec.parent), 0
        return module
    except Exception as error:
        raise _Unreadable from error


def _from_source(
    module: ast.Module, name: str, method: str, namespace: dict[str, Any], text: str = ""
) -> Iterator[Definition]:
    """The constructors, or other methods, of a class and its bases, or a function itself; ``text`` is said of all."""
    definitions = [node for node in module.body if getattr(node, "name", None) == name]
    match definitions:
        case []:
            yield from _from_source(*_imported(module, name), method, namespace, text)
        case [ast.FunctionDef() as node]:
            if method == "__init__":
                yield _stub(module, node, namespace, text)
        case [ast.ClassDef(decorator_list=[], keywords=[]) as definition]:
            text = f"{text}\n\n{ast.get_docstring(definition)}"
            for member in definition.body:
                if getattr(member, "name", None) == method:
                    yield _stub(module, member, namespace, text)
            for base in definition.bases:
                if not isinstance(base, ast.Name):
                    raise _Unreadable
                yield from _from_source(module, base.id, method, namespace, text)
        case _:
            raise _Unreadable


def _stub(module: ast.Module, node: ast.AST, namespace: dict[str, Any], text: str) -> Definition:
    """A function with the keyword-only parameters of another.

    Of a source only their annotations and defaults are evaluated, with the few names of ``namespace`` and those that
    ``module`` gives to such values.
    """
    if not isinstance(node, ast.FunctionDef):
        raise _Unreadable
    arguments = ast.arguments([], [], None, node.args.kwonlyargs, node.args.kw_defaults, node.args.kwarg, [])
    stub = ast.FunctionDef("stub", arguments, [ast.Pass()], [])
    code = compile(ast.fix_missing_locations(ast.Module([stub], [])), "<options>", "exec")
    return _evaluated(code, module, namespace)["stub"], f"{ast.get_docstring(node)}\n\n{text}"


def _evaluated(code: CodeType, module: ast.Module, namespace: Mapping[str, Any]) -> dict[str, Any]:
    """The names that there are once ``code`` was run with these, and with what it asks ``module`` for."""
    names = dict(namespace)
    while True:
        try:
            exec(code, names)
            return names
        except NameError as error:
            if error.name is None or error.name in names:
                raise _Unreadable from error
            names[error.name] = _assigned(module, error.name, namespace)
        except Exception as error:
            raise _Unreadable from error


def _assigned(module: ast.Module, name: str, namespace: Mapping[str, Any]) -> Any:
    """What a module of the plugin's assigns to a name, or imports from another one."""
    for node in module.body:
        if isinstance(node, ast.Assign) and any(isinstance(it, ast.Name) and it.id == name for it in node.targets):
            value = ast.Assign([ast.Name("value", ast.Store())], node.value)
            code = compile(ast.fix_missing_locations(ast.Module([value], [])), "<options>", "exec")
            return _evaluated(code, module, namespace)["value"]
    return _assigned(*_imported(module, name), namespace)


def _imported(module: ast.Module, name: str) -> tuple[ast.Module, str]:
    """The module that ``name`` is imported from, and its name there."""
    for node in module.body:
        if isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                if (alias.asname or alias.name) == name:
                    return _parse(node.module), alias.name
    raise _Unreadable


def _namespace() -> dict[str, Any]:
    import annotated_types

    types = {name: value for name, value in vars(builtins).items() if isinstance(value, type)}
    modules = {"typing": typing, "collections": collections, "annotated_types": annotated_types}
    return {
        "__builtins__": types,
        "Path": Path,
        # No recipe holds a tensor, but a setting of sampling may be one, and torch is not imported for that.
        "Tensor": type("Tensor", (), {}),
        **{name: getattr(collections.abc, name) for name in ("Sequence", "Mapping", "Iterable")},
        **{name: getattr(typing, name) for name in ("Annotated", "Any", "Literal", "Optional", "Union")},
        **{name: getattr(annotated_types, name) for name in annotated_types.__all__},
        **modules,
    }
