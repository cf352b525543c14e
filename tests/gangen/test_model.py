"""Sampling from a run: what applications call, and what they are told when it cannot be."""

import json
import math
import os

import pytest
import torch
from safetensors.torch import load_file, save_file

from gangen import cli, model, noise
from gangen.errors import PluginError, RunError, UsageError
from gangen.model import Model
from gangen.networks import Players
from gangen.recipe.load import load_recipe
from gangen.samplers import PlayerSampler

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
        players = Players({"generator": echo.build(recipe.players["generator"].component, spec=data.codec.spec)})
        folder = tmp_path / "runs" / name / "model"
        model.export(folder, players, PlayerSampler(players), data.codec, recipe, {"echo": "gangen-echo 0.3.1"}, {})
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
    for value, shown in (("hot", "a number, got 'hot'"), (True, "a number, got true"), (math.nan, "a finite number")):
        with pytest.raises(UsageError, match=f"sampling setting 'scale' must be {shown}"):
            model.sample(scale=value)


def test_interpolation_is_the_generators(echo, run):
    folder = run("ring")
    ring = model.load(folder)
    given = []

    class Between:
        networks = ()

        def interpolate(self, rows, n, condition, *, bend: float = 0.0, odd: "Nowhere" = None):  # noqa: F821
            given.append((rows, n, condition, bend))
            return torch.arange(2.0 * rows * n).reshape(-1, 2) + noise.uniform(rows * n, 2)

    between = sampled_by(Between(), ring.codec, "echo/between")
    walk = between.interpolate(None, 5, rows=3, seed=1, bend=0.5)
    assert len(between.draw("interpolate", n=5)) == 5 and given.pop()[:2] == (1, 5)
    assert given == [(3, 5, {}, 0.5)]
    assert walk == between.interpolate(None, 5, rows=3, seed=1) != between.interpolate(None, 5, rows=3, seed=2)
    assert len(walk) == 15
    assert len(between.interpolate()) == 8
    with pytest.raises(UsageError, match="echo/between has no sampling setting 'bent'; did you mean 'bend'"):
        between.interpolate(bent=1)
    for wrong in ({"n": 1}, {"rows": 0}, {"rows": True}):
        with pytest.raises(UsageError, match="must be a whole number from"):
            between.interpolate(**wrong)
    with pytest.raises(UsageError, match="echo/mlp cannot interpolate: there is nothing between two of its samples"):
        ring.interpolate()


def sampled_by(sampler, codec, name="it", **options):
    return Model(sampler, {}, codec, name, torch.device("cpu"), **options)


class Words:
    """A codec whose prompts are words, and whose samples are words with numbers."""

    takes = "a word"

    def encode(self, prompt, n):
        return {"word": torch.full((n, len(prompt or "")), len(prompt or ""))}

    def decode(self, samples):
        return [f"{word:g}" for word in samples.tolist()]


class Echoes:
    networks = ()

    def __init__(self):
        self.asked = []

    def sample(self, n, condition, *, scale: float = 1.0):
        self.asked.append((n, tuple(condition["word"].shape)))
        return condition["word"].float().sum(1) + scale * torch.randn(n)


def test_noise_of_torchs_own_generators_follows_the_seed_and_leaves_them_as_they_were():
    it = sampled_by(Echoes(), Words())
    before = torch.get_rng_state()
    assert it.sample("a", 3, seed=1) == it.sample("a", 3, seed=1) != it.sample("a", 3, seed=2)
    assert torch.equal(before, torch.get_rng_state())


def test_several_prompts_are_drawn_in_one_batch_where_they_are_alike_and_come_prompt_by_prompt():
    sampler = Echoes()
    it = sampled_by(sampler, Words())
    alike = it.sample(["ab", "cd"], 2, seed=0, scale=0.0)
    assert alike == ["4"] * 4 and sampler.asked == [(4, (4, 2))]
    unlike = it.sample(["a", "bcd"], 2, seed=0, scale=0.0)
    assert unlike == ["1", "1", "9", "9"] and sampler.asked[1:] == [(2, (2, 1)), (2, (2, 3))]
    assert it.sample([], 2) == []


def test_many_samples_are_drawn_in_chunks():
    sampler = Echoes()
    it = sampled_by(sampler, Words(), batch_size=4)
    assert len(it.sample("ab", 10)) == 10
    assert sampler.asked == [(4, (4, 2)), (4, (4, 2)), (2, (2, 2))]


class Noisy(Echoes):
    """Draws as networks do: some numbers a row, and later some more."""

    def sample(self, n, condition, *, start: torch.Tensor | None = None):
        self.asked.append(n)
        first = noise.normal(n, 3).sum(1) if start is None else start
        return first + noise.uniform(n) + condition["word"].sum(1)

    def interpolate(self, rows, n, condition, *, start: torch.Tensor | None = None):
        self.asked.append(rows)
        first = noise.normal(rows) if start is None else start
        return (first[:, None] + torch.arange(n)).flatten()


def test_a_sample_is_the_same_however_many_are_drawn_and_whatever_prompts_follow():
    it = sampled_by(Noisy(), Words())
    many = it.sample("a", 40, seed=5)
    assert len(set(many)) == 40
    for n in (1, 2, 9):
        assert it.sample("a", n, seed=5) == many[:n]
    in_parts = sampled_by(Noisy(), Words(), batch_size=3)
    assert in_parts.sample("a", 40, seed=5) == many
    for other in ("b", "bcd"):  # drawn with the first, and apart from it
        both = it.sample(["a", other], 7, seed=5)
        assert both[:7] == many[:7] and both[7:] != many[:7]
        assert in_parts.sample(["a", other, "e"], 7, seed=5)[:14] == both


def test_a_way_is_the_same_however_many_there_are():
    it = sampled_by(Noisy(), Words())
    ways = it.interpolate("a", 3, rows=20, seed=5)
    assert len(set(ways)) == 60
    assert it.interpolate("a", 3, rows=2, seed=5) == ways[:6]


def test_large_samples_are_drawn_few_at_a_time():
    class Large(Echoes):
        size = 2**17

        def sample(self, n, condition):
            self.asked.append(n)
            return torch.zeros(1, 1, dtype=torch.int8).expand(n, self.size)

    class Sizes(Words):
        def decode(self, samples):
            return [len(sample) for sample in samples]

    sampler = Large()
    it = sampled_by(sampler, Sizes())
    assert it.sample("a", 13) == [2**17] * 13 and sampler.asked == [8, 2, 2, 1]
    sampler.asked, sampler.size = [], 2**30
    it.sample("a", 10)
    assert sampler.asked == [8, 1, 1]
    sampler.asked, sampler.size = [], 3
    it.sample("a", 1_200)
    assert sampler.asked == [8, 500, 500, 192]


def test_a_tensor_among_settings_has_a_row_for_each_sample():
    it = sampled_by(Noisy(), Words(), batch_size=3)
    start = 10.0 * torch.arange(8)
    for prompts, n in ((["", ""], 4), (["", "b"], 4), ("", 8)):
        found = [float(word) for word in it.sample(prompts, n, seed=1, start=start)]
        assert [int(value / 10) for value in found] == list(range(8))
    assert it.interpolate("", 2, rows=8, start=start) == [f"{x + y:g}" for x in start.tolist() for y in (0, 1)]
    with pytest.raises(UsageError, match=r"'start' has a row for each of 5 samples, got shape \[8\]"):
        it.sample("a", 5, start=start)


def test_what_cannot_be_written_down_is_not_offered_on_a_command_line():
    it = sampled_by(Noisy(), Words())
    with pytest.raises(UsageError, match=r"no sampling setting 'psi'\nin Python alone: start$"):
        it.sample("a", psi=1)
    with pytest.raises(UsageError, match=r"'start' must be a Tensor.*, got 5\nit can be given in Python alone"):
        it.sample("a", start=5)


def test_a_sampler_that_makes_fewer_rows_than_asked_for_is_an_error(run):
    codec = model.load(run("ring")).codec

    class Picky:
        networks = ()

        def sample(self, n, condition=None):
            return torch.zeros(n - 1, 2)

    with pytest.raises(PluginError, match=r"Picky.sample\(\) was asked for 3 samples and returned shape \[2, 2\]"):
        sampled_by(Picky(), codec).sample(n=3)


def test_samples_that_are_not_finite_are_no_samples(run):
    codec = model.load(run("ring")).codec

    class Exploded:
        networks = ()

        def sample(self, n, condition=None):
            return torch.full((n, 2), torch.nan)

    with pytest.raises(RunError, match="it makes samples that are not finite: its weights have grown"):
        sampled_by(Exploded(), codec).sample(n=3)


def test_a_prompt_of_another_kind_is_refused_with_what_is_taken():
    with pytest.raises(UsageError, match="it has no use for a prompt of type int: it takes a word"):
        sampled_by(Echoes(), Words()).sample(7)


def test_further_verbs_go_by_their_names():
    class Doubles(Echoes):
        def double(self, n, condition):
            return 2 * condition["word"].float().sum(1)

    it = sampled_by(Doubles(), Words())
    assert it.draw("double", "abc", 2) == ["18", "18"]
    for verb in ("halve", "asked", "__init__"):
        with pytest.raises(UsageError, match=f"it cannot {verb}"):
            it.draw(verb, "abc")


def test_what_every_network_has_is_no_verb(run):
    run("ring")
    for verb in ("train", "half", "parameters"):
        with pytest.raises(UsageError, match=f"echo/mlp cannot {verb}"):
            model.load("runs/ring").draw(verb)


def test_a_model_of_format_1_is_read(run):
    folder = run("ring")
    expected = model.sample(n=3, seed=1)
    about = json.loads((folder / "gangen.json").read_text())
    network = about["networks"]["generator"]
    old = {"format": 1, "generator": {key: value for key, value in network.items() if key != "kind"}}
    (folder / "gangen.json").write_text(json.dumps(old | {"data": about["data"], "plugins": about["plugins"]}))
    model._cached.cache_clear()
    assert model.sample(n=3, seed=1) == expected


def test_code_that_a_model_was_made_with_travels_along_and_is_run_only_when_named(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(MINE)
    (tmp_path / "mine.yaml").write_text(WITH_CODE)
    assert cli.main(["mine.yaml"]) == 0
    (tmp_path / "mine.py").write_text(f"{MINE}# changed")
    assert cli.main(["mine.yaml", "phases.play.steps=3"]) == 0
    assert (tmp_path / "runs/mine/model/code/mine.py").read_text() == f"{MINE}# changed"
    (tmp_path / "mine.py").unlink()
    copy = tmp_path / "runs/mine/model/code/mine.py"
    assert "gangen sample -n 5 --run runs/mine --code runs/mine/model/code/mine.py" in capsys.readouterr().out
    assert cli.main(["sample", "--run", "runs/mine"]) == 2
    said = capsys.readouterr().err
    assert "which is not run unasked" in said and "--code runs/mine/model/code/mine.py" in said
    assert cli.main(["sample", "--run", "runs/mine", "--code", str(copy), "--seed", "1"]) == 0
    assert capsys.readouterr().out == model.load("runs/mine", code=[copy]).sample(seed=1)[0] + "\n"
    copy.rename(copy.with_name("a; exit.py"))  # what is printed to be run next must not be made up by a stranger
    with pytest.raises(UsageError, match=r"--code 'runs/mine/model/code/a; exit.py'"):
        model.load("runs/mine")


MINE = """
import torch
from torch import nn
from gangen import Batch, TensorSplit, hookimpl

class Codec:
    per_prompt, spec = 2, None
    prompts = lambda self: [""]
    encode = lambda self, prompt, n: {}
    decode = lambda self, samples: [f"{x:.3f}" for x in samples.flatten().tolist()]
    save = lambda self, folder: None
    load = classmethod(lambda cls, folder: cls())

    def render(self, sheet, path):
        return path

class Rows:
    codec_class = Codec

    def __init__(self):
        self.codec = Codec()
        self.train = self.heldout = TensorSplit(x=torch.linspace(0, 1, 8)[:, None])

class Line(nn.Module):
    def __init__(self, spec):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))

    def sample(self, n, condition=None):
        return self.scale * torch.randn(n, 1)

    def forward(self, rows, condition):
        return self.scale * rows[:, 0]

@hookimpl
def gangen_data(register): register("rows", f"{__name__}:Rows")

@hookimpl
def gangen_generators(register): register("line", f"{__name__}:Line")

@hookimpl
def gangen_discriminators(register): register("line", f"{__name__}:Line")
"""

WITH_CODE = """
code: [mine.py]
data: local/rows
players: {generator: local/line, discriminator: local/line}
objective: gangen/adversarial
phases: {play: {steps: 2, turns: {discriminate: 1, generate: 1}}}
trainer: {batch_size: 4}
every: {sample: 0}
"""


def test_no_run_no_model_no_sense(run, tmp_path):
    with pytest.raises(RunError, match="no run with a model below runs/"):
        model.sample()
    with pytest.raises(RunError, match=r"no model in .*nowhere"):
        model.sample(run=tmp_path / "nowhere")
    run("ring")
    with pytest.raises(UsageError, match="points have no labels"):
        model.sample("psalms")
    for n in (0, -1, 1.5, "3", True, 10**30, math.nan):
        with pytest.raises(UsageError, match=f"n must be a whole number from 1 to 10,000,000, got {n!r}"):
            model.sample(n=n)
    for seed in (1.5, "7", 2**64, -1, True):
        with pytest.raises(UsageError, match="a seed is a whole number from 0 to"):
            model.sample(seed=seed)


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


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_weights_that_are_not_finite_are_refused_when_they_are_loaded(run, value):
    file = run("ring") / "generator.safetensors"
    weights = load_file(file)
    weights["net.2.bias"][1] = value
    save_file(weights, file)
    with pytest.raises(RunError) as refused:
        model.load("runs/ring")
    assert f"weights of generator in runs/ring/model/{file.name} are not finite, as net.2.bias" in str(refused.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"batch_size": 0}, "batch_size is 0"),
        ({"networks": {"generator": {"kind": "data", "use": "echo/ring"}}}, "data are no networks"),
        ({"networks": {"generator": {"kind": "nothing", "use": "echo/mlp"}}}, "nothing are no networks"),
    ],
)
def test_what_no_run_writes_is_refused_and_nothing_but_networks_is_built_of_a_model(run, change, message):
    folder = run("ring")
    about = json.loads((folder / "gangen.json").read_text())
    (folder / "gangen.json").write_text(json.dumps(about | change))
    with pytest.raises(RunError, match=message):
        model.sample()


def test_weights_of_another_shape_are_refused(run):
    folder = run("ring")
    about = json.loads((folder / "gangen.json").read_text())
    about["networks"]["generator"]["hidden_dim"] = 6
    (folder / "gangen.json").write_text(json.dumps(about))
    with pytest.raises(RunError, match="is damaged"):
        model.sample()
