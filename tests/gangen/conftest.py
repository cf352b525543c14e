"""Plugins that exist for one test: a module and the metadata of the distribution that it came in."""

import importlib
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gangen.components.registry import Registry
from gangen.recipe.load import load_recipe
from gangen.recipe.sections import Recipe

FIXTURES = Path(__file__).parents[1] / "fixtures"
Install = Callable[..., None]
POINTS = """
data: {use: image/points, size: 64, heldout_size: 8}
players:
  generator: {use: image/mlp, latent_dim: 2, hidden_dim: 8}
  discriminator: {use: image/mlp, hidden_dim: 8}
objective: image/gan
phases:
  warm_up: {steps: 2, turns: {generate: 1}}
  adversarial: {steps: 8, turns: {discriminate: 1, generate: 1}}
trainer: {batch_size: 8, threads: 1}
every: {log: 2, sample: 0, checkpoint: 3}
"""


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


@pytest.fixture
def points(tmp_path: Path) -> Callable[..., Recipe]:
    """``points("every.log=1", run="mine")`` is a game of points, of two steps and then of eight, in a folder."""
    path, registry = tmp_path / "points.yaml", Registry.discover()
    path.write_text(POINTS)

    def load(*overrides: str, run: str = "run") -> Recipe:
        return load_recipe(path, [f"run={tmp_path / run}", *overrides], registry)

    load.registry = registry
    return load


@pytest.fixture
def interrupted(monkeypatch: pytest.MonkeyPatch, points: Callable[..., Recipe]) -> Callable[..., None]:
    """``interrupted(recipe, 3, event)`` trains, and calls ``event`` when three steps were played."""
    from gangen.training.run import train
    from gangen.training.trainer import Trainer

    def play(recipe: Recipe, after: int, event: Callable[[], None]) -> None:
        def step(trainer: Trainer, phase: object, whole: Callable = Trainer.play_step) -> None:
            if trainer.state.total == after:
                event()
            whole(trainer, phase)

        with monkeypatch.context() as patch:
            patch.setattr(Trainer, "play_step", step)
            train(recipe, points.registry)

    return play
