"""Training from Python: recipes as files, names and dictionaries, parts that are classes, runs as objects, threads."""

import importlib
import os
import shutil
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import nn

import gangen
from gangen import Callback, RunError, UsageError, noise, saved_model
from gangen.errors import RecipeError
from gangen.recipe.source import dump

POINTS = {
    "data": {"use": "image/points", "size": 64, "heldout_size": 8},
    "players": {
        "generator": {"use": "image/mlp", "latent_dim": 2, "hidden_dim": 8},
        "discriminator": {"use": "image/mlp", "hidden_dim": 8},
    },
    "objective": "image/gan",
    "phases": {"adversarial": {"steps": 3, "turns": {"discriminate": 1, "generate": 1}}},
    "trainer": {"batch_size": 8, "threads": 1},
    "every": {"log": 1, "sample": 3, "checkpoint": 3},
}


class Scaled(nn.Module):
    """A generator that learns ``scale`` at first."""

    def __init__(self, spec, *, scale: float = 1.0):
        super().__init__()
        self.shape = spec.shape
        self.scale = nn.Parameter(torch.full(spec.shape, scale))

    def sample(self, n, condition=None, *, spread: float = 1.0):
        return spread * self.scale * noise.normal(n, *self.shape)


class Margin:
    relativistic = False

    def __init__(self, *, margin: float = 1.0):
        self.margin = margin

    def discriminator(self, real, fake):
        return (self.margin - real).relu().mean() + (self.margin + fake).relu().mean()

    def generator(self, real, fake):
        return -fake.mean()


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    saved_model._cached.cache_clear()


def test_a_dictionary_with_classes_is_played_and_its_run_looked_at(capsys):
    changes = {"players.generator": {"use": Scaled, "scale": 2.0}, "objective": {"use": "adversarial", "loss": Margin}}
    run = gangen.train(POINTS, run="runs/mine", every={"log": 2}, **changes)
    assert [row["step"] for row in run.metrics if "generate/loss" in row] == [2, 3]
    assert run.samples and all(path.is_file() for path in run.samples)
    assert repr(run) == "Run('runs/mine'): finished, step 3 of 3"
    assert run.model.settings == {"spread": 1.0} and run.model.labels == [] and run.model.takes == "nothing"
    assert repr(run.model) == (
        "Model local/Scaled\n  takes: nothing\n  settings: spread=1.0\n  parameters: generator 2\n  device: cpu"
    )
    assert run.model.sample(n=2, seed=1) == gangen.load(run).to("cpu").sample(n=2, seed=1)
    longer = run.resume(phases={"adversarial": {"steps": 5}})
    assert max(row["step"] for row in longer.metrics) == 5
    assert "from step 3" in capsys.readouterr().out


def test_a_recipe_in_a_file_names_what_a_decorator_gave(tmp_path):
    gangen.component(Scaled)
    (tmp_path / "mine.yaml").write_text(dump(POINTS | {"players": POINTS["players"] | {"generator": "local/Scaled"}}))
    run = gangen.train("mine.yaml")
    assert run.folder == Path("runs/mine") and run.model.name == "local/Scaled"


class Constant:
    def __call__(self, context):
        return {"constant": 1.0}


def test_a_run_is_evaluated_by_what_is_asked_for():
    run = gangen.train(POINTS, run="runs/mine", metrics=["frechet"], every={"evaluate": 3})
    assert run.metrics[-1]["frechet_identity"] >= 0 <= run.metrics[-1]["frechet_identity_real"]
    assert list(run.evaluate(Constant).figures) == ["constant"]
    for result in (run.evaluate("frechet", samples=8), gangen.evaluate(run, [{"use": "frechet", "samples": 8}])):
        assert list(result.figures) == ["frechet_identity"] and "recipe" not in repr(result)
    with pytest.raises(UsageError, match="no metric is called 'frechett'; did you mean 'frechet'"):
        run.evaluate("frechett")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"trainer": {"batchsize": 3}}, r"override: trainer.batchsize=3: unknown option.*did you mean 'batch_size'"),
        ({"players.generator.lr": 1}, r"override: players.generator.lr=1: unknown option 'lr'"),
        ({"seed": object()}, "recipe: seed: <object object at .*> is a object, which no recipe can hold"),
        ({"objective": {"use": 3}}, r"override: objective=\{.*\}: objectives are chosen by a name"),
        ({"metrics": [Margin]}, "metric 'local/Margin' of .* lacks __call__, which every metric has"),
    ],
)
def test_what_is_wrong_is_told_by_its_key(changes, message):
    with pytest.raises(UsageError, match=message):
        gangen.train(POINTS, run="runs/mine", **changes)


def test_what_is_wrong_in_a_dictionary_is_told_by_the_way_to_it():
    with pytest.raises(RecipeError, match=r"recipe: players.generator.hiden_dim: unknown .* did you mean 'hidden_dim'"):
        gangen.train(POINTS | {"run": "r", "players": {"generator": {"use": "image/mlp", "hiden_dim": 3}}})
    with pytest.raises(RecipeError, match="recipe: the dictionary: the recipe needs 'run'"):
        gangen.train(POINTS)


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("image_gann", "'image_gann' is no recipe; did you mean 'image_gan'"),
        ("acme/tones", "of a plugin that is not installed\n.*pip install gangen-acme"),
        ("nothing.yaml", "there is no recipe file nothing.yaml"),
    ],
)
def test_a_recipe_that_is_not_there(word, message):
    with pytest.raises(UsageError, match=message):
        gangen.train(word)


def test_an_override_is_a_key_of_a_recipe():
    with pytest.raises(gangen.RecipeError, match="recipe: run=x: the key of a setting has no '='"):
        gangen.train(POINTS, **{"run=x": 1})


def test_a_file_may_be_imported_and_be_code_of_a_recipe(tmp_path, monkeypatch):
    (tmp_path / "my_net.py").write_text(
        "import gangen\nfrom torch import nn\n\n@gangen.component\nclass Tiny(nn.Module):\n"
        "    def __init__(self, spec):\n        super().__init__()\n        self.net = nn.Linear(2, 1)\n\n"
        "    def forward(self, rows, condition=None):\n        return self.net(rows).squeeze(1)\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    tiny = importlib.import_module("my_net").Tiny
    (tmp_path / "tiny.yaml").write_text(dump(POINTS | {"run": "tiny", "code": ["my_net.py"]}))
    for name, use in (("named", "local/Tiny"), ("given", tiny)):
        gangen.train("tiny.yaml", run=name, **{"players.discriminator": {"use": use}})
        assert "local/Tiny" in Path(name, "recipe.yaml").read_text()


def test_two_classes_of_one_name_are_not_confused():
    gangen.component(Margin)
    other = type("Margin", (), {"__module__": "elsewhere"})
    with pytest.raises(UsageError, match=r"test_api.Margin and elsewhere.Margin would both be 'local/Margin': rename"):
        gangen.component(other)
    again = type("Margin", (), {"__module__": Margin.__module__})
    assert gangen.component(again) is again  # as where a cell of a notebook is run again
    gangen.component(Margin)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: gangen.Run("nowhere"), "nowhere is no run"),
        (lambda: gangen.Run(3), "a run is the path of its folder, got 3"),
        (lambda: gangen.evaluate(None), "a run is the path of its folder, got None"),
        (lambda: gangen.train(3), "a recipe is a file, the name of one that is installed, or a dictionary, got 3"),
        (lambda: gangen.component("margin"), "a component is a class or a function, got 'margin'"),
    ],
)
def test_what_means_nothing_is_refused(call, message):
    with pytest.raises((RunError, UsageError), match=message):
        call()


def test_precision_and_threads_of_a_run_are_its_own():
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    for precision in ("bf16", "fp64"):
        gangen.train(POINTS, run=f"runs/{precision}", trainer={"precision": precision})
        assert torch.get_default_dtype() == torch.float32 and torch.get_num_threads() == 2
    torch.set_num_threads(threads)


def test_threads_that_play_at_once_are_of_one_precision_and_leave_torch_as_it_was():
    there, done = threading.Event(), threading.Event()

    class Hold(Callback):
        def start(self, trainer):
            there.set()
            done.wait(60)

    with ThreadPoolExecutor(1) as pool:
        held = pool.submit(
            lambda: gangen.train(POINTS, run="runs/held", trainer={"precision": "fp64"}, callbacks=[Hold])
        )
        try:
            there.wait(60)
            gangen.train(POINTS, run="runs/beside", trainer={"precision": "fp64"})
            assert torch.get_default_dtype() == torch.float64  # of the one that still plays
            with pytest.raises(RecipeError, match="another thread of this process plays in fp64: play one after the"):
                gangen.train(POINTS, run="runs/other")
        finally:
            done.set()
        held.result()
    assert torch.get_default_dtype() == torch.float32


def test_a_callback_that_knows_but_the_moments_of_a_run_sees_one_that_evaluates():
    class Bystander:
        steps = 0

        def after_step(self, trainer):
            Bystander.steps += 1

        def watch(self, row):
            return ()

        start = finish = close = lambda self, trainer: None

    often = {"metrics": [{"use": "image/modes", "samples": 50}], "every": {"evaluate": 1}}
    run = gangen.train(POINTS, run="runs/bystander", callbacks=[Bystander], **often)
    assert Bystander.steps and any("modes" in row for row in run.metrics)


@pytest.mark.parametrize("threads", [None, 3])
@pytest.mark.parametrize("launcher", [None, "ACCELERATE_MIXED_PRECISION"])
def test_threads_are_those_that_torch_has_but_for_the_one_that_a_launcher_leaves(threads, launcher, monkeypatch):
    class Count(Callback):
        def after_step(self, trainer):
            counted.add(torch.get_num_threads())

    counted = set()
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: range(8), raising=False)
    if launcher:
        monkeypatch.setenv(launcher, "no")
        monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    gangen.train(POINTS, run="runs/threads", trainer={"threads": threads, "batch_size": 8}, callbacks=[Count])
    assert counted == {threads or (2 if launcher else torch.get_num_threads())}


def test_where_several_runs_might_be_meant_it_is_said_which_is_taken(capsys):
    gangen.train(POINTS, run="runs/one")
    capsys.readouterr()
    gangen.sample(n=1)
    assert capsys.readouterr().err == ""
    shutil.copytree("runs/one", "runs/two")
    os.utime("runs/one/model/generator.safetensors", (1, 1))
    for _ in range(2):
        gangen.sample(n=1)
    assert capsys.readouterr().err == "gangen: taking runs/two, the newest of 2 runs\n"


def test_games_that_are_played_in_threads_are_those_that_are_played_alone():
    meeting = threading.Barrier(2, timeout=60)

    class Meet(Callback):
        def after_step(self, trainer):
            meeting.wait()

    def play(seed, name, **changes):
        dropout = {"players.discriminator": {"use": Dropping}}
        run = gangen.train(POINTS, run=f"runs/{name}-{seed}", seed=seed, **dropout, **changes)
        return [row["discriminate/loss"] for row in run.metrics], run.model.sample(n=5, seed=1)

    alone = [play(seed, "alone") for seed in (0, 1)]
    with ThreadPoolExecutor(2) as pool:
        together = list(pool.map(lambda seed: play(seed, "together", callbacks=[Meet]), (0, 1)))
    assert together == alone and alone[0] != alone[1]


class Dropping(nn.Module):
    def __init__(self, spec):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(2, 8), nn.Dropout(0.5), nn.Linear(8, 1))

    def forward(self, samples, batch=None):
        return self.net(samples).squeeze(1)


def test_a_run_is_drawn_as_in_its_report():
    run = gangen.train(POINTS | {"run": "drawn", "metrics": ["image/modes"], "every": {"log": 1, "evaluate": 1}})
    figure = run.plot()
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert {"modes", "Losses", "Discriminator's accuracy"} <= set(titles)
    losses = figure.axes[titles.index("Losses")]
    assert [text.get_text().strip("\u200b") for text in losses.get_legend().get_texts()] == ["discriminate", "generate"]
    assert len(losses.get_lines()[0].get_xdata()) == 3
    assert figure._repr_png_().startswith(b"\x89PNG")


def test_a_run_without_figures_cannot_be_drawn():
    run = gangen.train(POINTS | {"run": "silent", "every": {"log": 0, "checkpoint": 3}})
    with pytest.raises(UsageError, match="nothing was logged yet"):
        run.plot()


class Notebook:
    """What a notebook is to gangen: a shell with a kernel, and a place that shows and updates things."""

    kernel = "one"

    def __init__(self):
        self.shown, self.updated = [], []

    def display(self, thing, display_id):
        self.shown.append(thing)
        return self

    def update(self, thing):
        self.updated.append(thing)


def test_in_a_notebook_figures_are_drawn_while_a_run_trains(monkeypatch):
    notebook = Notebook()
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: notebook))
    monkeypatch.setitem(sys.modules, "IPython.display", SimpleNamespace(display=notebook.display))
    gangen.train(POINTS | {"run": "seen", "callbacks": [{"use": "plot", "seconds": 1e-9}]})
    assert len(notebook.shown) == 1 and len(notebook.updated) == 2  # one place, drawn anew at each row
    [losses] = [axes for axes in notebook.updated[-1].axes if axes.get_title(loc="left") == "Losses"]
    assert list(losses.get_lines()[0].get_xdata()) == [1, 2, 3]


def test_a_drawing_that_fails_does_not_end_the_run(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=Notebook))
    monkeypatch.setitem(sys.modules, "IPython.display", SimpleNamespace(display=lambda thing, display_id: 1 / 0))
    run = gangen.train(POINTS | {"run": "gone_on", "callbacks": [{"use": "plot", "seconds": 1e-9}]})
    assert run.metrics[-1]["step"] == 3
    assert capsys.readouterr().err.count("figures are drawn no further, and training goes on: ZeroDivisionError") == 1


def test_elsewhere_nothing_is_drawn(monkeypatch):
    monkeypatch.setattr("gangen.report.plot.plot", lambda rows: pytest.fail("drawn"))
    gangen.train(POINTS | {"run": "unseen", "callbacks": [{"use": "plot", "seconds": 1e-9}]})
