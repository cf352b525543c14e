"""What is public is one list, which plugins keep to; and imports inside of gangen only run down."""

import ast
import importlib
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import gangen

ROOT = Path(__file__).parents[2]
TEMPLATE = ROOT / "gangen/scaffold/template"
FOREIGN = sorted([*ROOT.glob("plugins/**/*.py"), *ROOT.glob("tests/fixtures/**/*.py"), *TEMPLATE.glob("**/*.py")])

# From top to bottom: a module may import from its own floor and from those below, never from above.
FLOORS = (
    {"__main__", "cli"},
    {"api", "testing", "scaffold"},
    {"sharing", "serving"},
    {"report", "reference"},
    {"evaluation"},
    {"training"},
    {"saved_model"},
    {"model", "outputs"},
    {"run_directory", "runs"},
    {"recipe"},
    {"metrics", "objectives"},
    {"components"},
)


def public(path: Path) -> list[tuple[str, str]]:
    """Module and name of everything that a file imports from gangen."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "gangen":
            found += [(node.module or "", alias.name) for alias in node.names]
        if isinstance(node, ast.Import):
            found += [(alias.name, "") for alias in node.names if alias.name.startswith("gangen.")]
    return found


@pytest.mark.parametrize("path", FOREIGN, ids=lambda path: str(path.relative_to(ROOT)))
def test_plugins_import_public_names_only(path):
    private = [f"{module}: {name}" for module, name in public(path) if module != "gangen" or name not in gangen.__all__]
    assert private == []


@pytest.mark.parametrize("path", sorted(ROOT.glob("plugins/**/*.py")), ids=lambda path: str(path.relative_to(ROOT)))
def test_plugins_import_public_names_of_each_other_only(path):
    own = path.relative_to(ROOT / "plugins").parts[0]
    private = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (module := node.module or "").startswith("gangen_"):
            plugin = module.partition(".")[0]
            public = () if plugin == own else importlib.import_module(plugin).__all__
            names = [alias.name for alias in node.names]
            private += [f"{module}: {it}" for it in names if plugin != own and (module != plugin or it not in public)]
    assert private == []


@pytest.mark.parametrize("plugin", ["gangen_image", "gangen_text"])
def test_every_public_name_of_a_plugin_is_there(plugin):
    module = importlib.import_module(plugin)
    found = {name: getattr(module, name) for name in module.__all__}
    assert [name for name, it in found.items() if inspect.isclass(it) and not it.__doc__] == []


def test_every_public_class_and_function_says_what_it_is():
    found = {name: getattr(gangen, name) for name in gangen.__all__}
    assert [name for name, it in found.items() if inspect.isclass(it) or inspect.isfunction(it) if not it.__doc__] == []


def test_importing_gangen_imports_nothing_heavy():
    said = subprocess.run(
        [sys.executable, "-c", "import gangen, sys; print([m for m in ('torch', 'pydantic') if m in sys.modules])"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert said.stdout.strip() == "[]"


def test_imports_run_down():
    against = []
    for path in sorted((ROOT / "gangen").rglob("*.py")):
        here = floor_of(path.relative_to(ROOT / "gangen").with_suffix("").parts[0])
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("gangen"):
                parts = (node.module or "").split(".")[1:2] or [alias.name for alias in node.names]
                against += [f"{path.name}: {part}" for part in parts if floor_of(part) < here]
    # The face is above everything; what it names is imported when it is asked for.
    assert [it for it in against if not it.startswith("__init__.py")] == []


def floor_of(part: str) -> int:
    return next((number for number, floor in enumerate(FLOORS) if part in floor), len(FLOORS))
