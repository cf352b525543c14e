"""Plugins that exist for one test: a module and the metadata of the distribution that it came in."""

import importlib
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gangen.components.registry import Registry

FIXTURES = Path(__file__).parents[1] / "fixtures"
Install = Callable[..., None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """``install("acme", "module text")`` makes distribution gangen-acme with module gangen_acme.

    Without a text the module is taken from wherever it is.
    """
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.delenv("GANGEN_STRICT_PLUGINS", raising=False)
    before = set(sys.modules)

    def install(name: str, text: str, *, distribution: str = "", module: str = "", version: str = "1.2") -> None:
        distribution, module = distribution or f"gangen-{name}", module or f"gangen_{name}"
        if text:
            (site / f"{module}.py").write_text("from gangen import hookimpl\n" + textwrap.dedent(text))
        metadata = site / f"{distribution.replace('-', '_')}-{version}.dist-info"
        metadata.mkdir()
        (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n")
        (metadata / "entry_points.txt").write_text(f"[gangen]\n{name} = {module}\n")
        importlib.invalidate_caches()

    yield install
    for name in set(sys.modules) - before:
        if name.startswith("gangen_"):
            del sys.modules[name]


@pytest.fixture
def foreign(monkeypatch: pytest.MonkeyPatch, install: Install) -> Callable[..., Registry]:
    """``foreign("echo")`` is a registry with the plugin of fixtures/gangen-echo."""

    def add(name: str, version: str = "0.1.0") -> Registry:
        monkeypatch.syspath_prepend(str(FIXTURES / f"gangen-{name}"))
        install(name, "", version=version)
        return Registry.discover()

    return add


@pytest.fixture
def echo(foreign: Callable[..., Registry]) -> Registry:
    """A registry with gangen-echo, whose options are all that is read of it."""
    return foreign("echo", version="0.3.1")
