"""Sampling from a run: what applications call, and what they are told when it cannot be."""

import json
import os

import pytest
import torch

from gangen import model, noise
from gangen.errors import RunError, UsageError
from gangen.model import Model
from gangen.recipe.load import load_recipe

RECIPE = """
data: echo/ring
players: {generator: {use: echo/mlp, hidden_dim: 5}}
objective: echo/gan
phases: {adversarial: {steps: 1, turns: {generate: 1}}}
"""


@pytest.fixture
def run(echo, tmp_path, monkeypatch):
    """A function that exports an untrained model as the run ``runs/NAME`` of the working directory."""
    monkeypatch.chdir(tmp_path)
    model._cached.cache_clear()
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    recipe = load_recipe(tmp_path / "recipe.yaml", [], echo)

    def export(name: str, seed: int = 0):
        data = echo.build(recipe.data)
        torch.manual_seed(seed)
        generator = echo.build(recipe.players["generator"].component, spec=data.codec.spec)
        folder = tmp_path / "runs" / name / "model"
        model.export(folder, generator, data.codec, recipe, {"echo": "gangen-echo 0.3.1"})
        return folder

    return export


def test_a_seed_gives_the_same_samples_again(run):
    run("ring")
    first, again, other = (model.sample(n=3, seed=seed) for seed in (1, 1, 2))
    assert first == again != other
    assert len(first) == 3


def test_samples_without_a_seed_differ(run):
    run("ring")
    assert model.sample(n=3) != model.sample(n=3)


def test_the_newest_run_is_sampled_from_where_none_is_named(run):
    old, new = run("old", seed=1), run("new", seed=2)
    os.utime(old / "generator.safetensors", (1, 1))
    assert model.sample(seed=0) == model.sample(seed=0, run="runs/new")
    os.utime(new / "generator.safetensors", (0, 0))
    assert model.sample(seed=0) == model.sample(seed=0, run="runs/old")


def test_a_model_that_was_trained_on_is_read_again(run):
    run("ring", seed=1)
    before = model.sample(seed=0)
    folder = run("ring", seed=2)
    os.utime(folder / "generator.safetensors", (1, 1))
    assert model.sample(seed=0) != before


def test_a_model_folder_by_itself_is_enough(run, tmp_path):
    folder = run("ring")
    moved = tmp_path / "elsewhere"
    folder.rename(moved)
    assert len(model.load(moved).sample(n=2, seed=0)) == 2


def test_settings_of_the_generator_are_passed_on_and_checked(run):
    run("ring")
    assert model.sample(seed=0, scale=2.0) != model.sample(seed=0)
    with pytest.raises(
        UsageError, match=r"echo/mlp has no sampling setting 'scal'; did you mean 'scale'\?\nit has: scale"
    ):
        model.sample(seed=0, scal=2.0)


def test_interpolation_is_the_generators(echo, run):
    folder = run("ring")
    ring = model.load(folder)
    given = []

    class Between(torch.nn.Module):
        def interpolate(self, rows, n, condition, *, bend: float = 0.0):
            given.append((rows, n, condition, bend))
            return torch.arange(2.0 * rows * n).reshape(-1, 2) + noise.uniform(rows * n, 2)

    between = Model(Between(), ring.codec, "echo/between", torch.device("cpu"))
    walk = between.interpolate(None, 5, rows=3, seed=1, bend=0.5)
    assert given == [(3, 5, {}, 0.5)]
    assert walk == between.interpolate(None, 5, rows=3, seed=1) != between.interpolate(None, 5, rows=3, seed=2)
    assert len(walk) == 15
    assert len(between.interpolate()) == 8
    with pytest.raises(UsageError, match="echo/between has no sampling setting 'bent'; did you mean 'bend'"):
        between.interpolate(bent=1)
    for wrong in ({"n": 1}, {"rows": 0}):
        with pytest.raises(UsageError, match="needs n of at least 2, in 1 row or more; got"):
            between.interpolate(**wrong)
    with pytest.raises(UsageError, match="echo/mlp cannot interpolate: there is nothing between two of its samples"):
        ring.interpolate()


def test_no_run_no_model_no_sense(run, tmp_path):
    with pytest.raises(RunError, match="no run with a model below runs/"):
        model.sample()
    with pytest.raises(RunError, match=r"no model in .*nowhere"):
        model.sample(run=tmp_path / "nowhere")
    run("ring")
    with pytest.raises(UsageError, match="points have no labels"):
        model.sample("psalms")
    with pytest.raises(UsageError, match="n must be at least 1, got 0"):
        model.sample(n=0)


def test_a_model_of_a_plugin_that_is_missing_names_it(run):
    folder = run("ring")
    about = json.loads((folder / "gangen.json").read_text())
    about["data"], about["plugins"] = "acme/cats", {"acme": "gangen-acme 2.1"}
    (folder / "gangen.json").write_text(json.dumps(about))
    with pytest.raises(
        UsageError, match=r"no data source is called 'acme/cats'[\s\S]*made with gangen-acme 2.1; install it"
    ):
        model.sample()


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("generator.safetensors", b"\x80\x04cbuiltins\nexit\n."),
        ("gangen.json", b"{"),
        ("gangen.json", b"[]"),
        ("points.json", b"{}{"),
    ],
)
def test_a_damaged_model_is_named_and_runs_nothing(run, file, content):
    folder = run("ring")
    (folder / file).write_bytes(content)
    with pytest.raises(RunError, match=r"damaged|cannot be read"):
        model.sample()


def test_weights_of_another_shape_are_refused(run):
    folder = run("ring")
    about = json.loads((folder / "gangen.json").read_text())
    about["generator"]["hidden_dim"] = 6
    (folder / "gangen.json").write_text(json.dumps(about))
    with pytest.raises(RunError, match="is damaged"):
        model.sample()
