"""Sampling from a run: what applications call, and what they are told when it cannot be."""

import json
import math
import os
import random
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from gangen import cli, noise, saved_model
from gangen.components.options import read_use
from gangen.components.registry import Registry
from gangen.errors import DataError, RunError, UsageError
from gangen.model import Model
from gangen.networks import Players, differences, state_of, without_memory
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
    saved_model._cached.cache_clear()
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    recipe = load_recipe(tmp_path / "recipe.yaml", [], echo)

    def export(name: str, seed: int = 0):
        data = echo.build(recipe.data)
        torch.manual_seed(seed)
        players = Players({"generator": echo.build(recipe.players["generator"].component, spec=data.codec.spec)})
        folder = tmp_path / "runs" / name / "model"
        saved_model.export(
            folder, players, PlayerSampler(players), data.codec, recipe, {"echo": "gangen-echo 0.3.1"}, {}
        )
        return folder

    return export


def test_a_seed_gives_the_same_samples_again(run):
    run("ring")
    first, again, other = (saved_model.sample(n=3, seed=seed) for seed in (1, 1, 2))
    assert first == again != other
    assert len(first) == 3


def test_samples_without_a_seed_differ(run):
    run("ring")
    assert saved_model.sample(n=3) != saved_model.sample(n=3)


def test_the_newest_run_is_sampled_from_where_none_is_named(run):
    old, new = run("old", seed=1), run("new", seed=2)
    os.utime(old / "generator.safetensors", (1, 1))
    assert saved_model.sample(seed=0) == saved_model.sample(seed=0, run="runs/new")
    os.utime(new / "generator.safetensors", (0, 0))
    assert saved_model.sample(seed=0) == saved_model.sample(seed=0, run="runs/old")


def test_a_model_that_was_trained_on_is_read_again(run):
    run("ring", seed=1)
    before = saved_model.sample(seed=0)
    folder = run("ring", seed=2)
    os.utime(folder / "generator.safetensors", (1, 1))
    assert saved_model.sample(seed=0) != before


def test_a_former_name_in_a_model_still_works_and_the_new_one_is_told(run, install, capsys):
    install(
        "acme",
        """
        @hookimpl
        def gangen_generators(register):
            register("net", "gangen_echo.networks:Generator", was=("old/net",), since="1.2")
        """,
    )
    about = run("ring") / "gangen.json"
    before = saved_model.load("runs/ring").sample(n=3, seed=0)
    assert capsys.readouterr().err == ""
    about.write_text(about.read_text().replace("echo/mlp", "old/net"))
    assert saved_model.load("runs/ring").sample(n=3, seed=0) == before
    assert capsys.readouterr().err == (
        "gangen: runs/ring/model/gangen.json: generator 'acme/net' is not called 'old/net' since gangen-acme 1.2: "
        "give the new name\n"
    )


def test_a_model_folder_by_itself_is_enough(run, tmp_path):
    folder = run("ring")
    moved = tmp_path / "elsewhere"
    folder.rename(moved)
    assert len(saved_model.load(moved).sample(n=2, seed=0)) == 2


def test_settings_of_the_generator_are_passed_on_and_checked(run):
    run("ring")
    assert saved_model.sample(seed=0, scale=2.0) != saved_model.sample(seed=0)
    with pytest.raises(
        UsageError, match=r"echo/mlp has no sampling setting 'scal'; did you mean 'scale'\?\nit has: scale"
    ):
        saved_model.sample(seed=0, scal=2.0)
    for value, shown in (("hot", "a number, got 'hot'"), (True, "a number, got true"), (math.nan, "a finite number")):
        with pytest.raises(UsageError, match=f"sampling setting 'scale' must be {shown}"):
            saved_model.sample(scale=value)


def test_interpolation_is_the_generators(echo, run):
    folder = run("ring")
    ring = saved_model.load(folder)
    given = []

    class Between:
        networks = ()

        def interpolate(self, rows, n, condition, *, bend: float = 0.0, odd: "Nowhere" = None):  # noqa: F821
            given.append((rows, n, condition, bend))
            return torch.arange(2.0 * rows * n).reshape(-1, 2) + noise.uniform(rows * n, 2)

    between = Model(Between(), {}, ring.codec, "echo/between", torch.device("cpu"))
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


def test_what_every_network_has_is_no_verb(run):
    run("ring")
    for verb in ("train", "half", "parameters"):
        with pytest.raises(UsageError, match=f"echo/mlp cannot {verb}"):
            saved_model.load("runs/ring").draw(verb)


def test_a_model_of_format_1_is_read(run):
    folder = run("ring")
    expected = saved_model.sample(n=3, seed=1)
    about = json.loads((folder / "gangen.json").read_text())
    network = about["networks"]["generator"]
    old = {"format": 1, "generator": {key: value for key, value in network.items() if key != "kind"}}
    (folder / "gangen.json").write_text(json.dumps(old | {"data": about["data"], "plugins": about["plugins"]}))
    saved_model._cached.cache_clear()
    assert saved_model.sample(n=3, seed=1) == expected


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
    assert capsys.readouterr().out == saved_model.load("runs/mine", code=[copy]).sample(seed=1)[0] + "\n"
    copy.rename(copy.with_name("a; exit.py"))  # what is printed to be run next must not be made up by a stranger
    with pytest.raises(UsageError, match=r"--code 'runs/mine/model/code/a; exit.py'"):
        saved_model.load("runs/mine")


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
        saved_model.sample()
    with pytest.raises(RunError, match=r"there is no folder .*nowhere"):
        saved_model.sample(run=tmp_path / "nowhere")
    (tmp_path / "runs/begun").mkdir(parents=True)
    (tmp_path / "runs/begun/recipe.yaml").touch()
    with pytest.raises(RunError, match="no run below runs/ has a model yet\na run writes its model with the first"):
        saved_model.sample()
    (tmp_path / "empty").mkdir()
    with pytest.raises(RunError, match=r"no model in .*empty: gangen.json is missing"):
        saved_model.sample(run=tmp_path / "empty")
    (tmp_path / "poems.txt").touch()
    with pytest.raises(RunError, match=r"poems.txt is a file: a model is a folder"):
        saved_model.load(tmp_path / "poems.txt")
    run("ring")
    with pytest.raises(UsageError, match="points have no labels"):
        saved_model.sample("psalms")
    for n in (0, -1, 1.5, "3", True, 10**30, math.nan):
        with pytest.raises(UsageError, match=f"n must be a whole number from 1 to 10,000,000, got {n!r}"):
            saved_model.sample(n=n)
    for seed in (1.5, "7", 2**64, -1, True):
        with pytest.raises(UsageError, match="a seed is a whole number from 0 to"):
            saved_model.sample(seed=seed)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"n": None}, "n must be a whole number from 1 to 10,000,000, got None"),
        ({"n": 10**9}, "n must be a whole number from 1 to 10,000,000, got 1000000000"),
        ({"n": "9" * 10_000}, r"n must be a whole number from 1 to 10,000,000, got '9{59}$"),
        ({"seed": True}, r"a seed is a whole number from 0 to 2\^64 - 1, got True"),
        ({"prompt": 3}, "no use for a prompt of type int: it takes text"),
        ({"prompt": b"a"}, "no use for a prompt of type bytes"),
        ({"prompt": [None, ["a"]]}, "no use for a prompt of type list"),
        ({"run": 3}, "run is the path of a folder"),
        ({"run": b"runs"}, "run is the path of a folder"),
        ({"run": "r" * 5000}, "run is the path of a folder"),
        ({"code": None}, "code are paths of files"),
        ({"code": [3]}, "code are paths of files"),
        ({"code": "nothing.py"}, "there is no file .*/nothing.py"),
    ],
)
def test_what_means_nothing_is_refused_in_gangens_own_words(run, asked, message):
    run("ring")
    with pytest.raises(UsageError, match=message):
        saved_model.sample(**asked)


def test_what_is_no_verb_and_no_device(run):
    run("ring")
    for verb in (None, 3, b"sample"):
        with pytest.raises(UsageError, match="a verb is text, as in 'sample', got"):
            saved_model.load("runs/ring").draw(verb)
    for device in (None, 3.5, "nowhere", "meta", "cuda:99"):
        with pytest.raises(UsageError, match="device must be one that torch can use here"):
            saved_model.load("runs/ring", device=device)
    assert cli.main(["sample", "--run", "runs/ring", "--device", "nowhere"]) == 2


def test_a_model_of_a_plugin_that_is_missing_names_it(run):
    folder = run("ring")
    about = json.loads((folder / "gangen.json").read_text())
    about["data"], about["plugins"] = "acme/cats", {"acme": "gangen-acme 2.1"}
    (folder / "gangen.json").write_text(json.dumps(about))
    with pytest.raises(
        UsageError, match=r"no data source is called 'acme/cats'[\s\S]*made with gangen-acme 2.1; install it"
    ):
        saved_model.sample()


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
        saved_model.sample()


def test_a_model_without_a_network_that_its_sampler_needs_says_which(run):
    (run("ring") / "generator.safetensors").unlink()
    with pytest.raises(RunError, match=r"lacks its generator, with which sampler 'gangen/player' draws"):
        saved_model.load("runs/ring")


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_weights_that_are_not_finite_are_refused_when_they_are_loaded(run, value):
    file = run("ring") / "generator.safetensors"
    weights = load_file(file)
    weights["net.2.bias"][1] = value
    save_file(weights, file)
    with pytest.raises(RunError) as refused:
        saved_model.load("runs/ring")
    assert f"weights of generator in runs/ring/model/{file.name} are not finite, as net.2.bias" in str(refused.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"batch_size": 0}, "batch_size is 0"),
        ({"networks": {"../generator": {"kind": "generators", "use": "echo/mlp"}}}, "'../generator' is no name of a"),
        ({"networks": {"generator": {"kind": "data", "use": "echo/ring"}}}, "data are no networks"),
        ({"networks": {"generator": {"kind": "nothing", "use": "echo/mlp"}}}, "nothing are no networks"),
    ],
)
def test_what_no_run_writes_is_refused_and_nothing_but_networks_is_built_of_a_model(run, change, message):
    folder = run("ring")
    about = json.loads((folder / "gangen.json").read_text())
    (folder / "gangen.json").write_text(json.dumps(about | change))
    with pytest.raises(RunError, match=message):
        saved_model.sample()


def test_of_weights_every_bit_counts(run):
    folder, chance = run("ring"), random.Random(0)
    file = folder / "generator.safetensors"
    whole = file.read_bytes()
    weights = load_file(file)
    for _ in range(60):
        place, bit = chance.randrange(len(whole)), 1 << chance.randrange(8)
        file.write_bytes(whole[:place] + bytes([whole[place] ^ bit]) + whole[place + 1 :])
        try:
            found = state_of(saved_model.load(folder).networks["generator"])
        except RunError as error:
            assert "runs/ring/model is damaged" in str(error)
        else:  # it was the word that names the digest
            assert all(found[name].equal(tensor) for name, tensor in weights.items())


@pytest.mark.parametrize("hidden_dim", [6, 60_000, 10**9])
def test_weights_of_another_shape_are_refused_before_a_network_of_that_shape_takes_memory(run, hidden_dim):
    folder = run("ring")
    about = json.loads((folder / "gangen.json").read_text())
    about["networks"]["generator"]["hidden_dim"] = hidden_dim
    (folder / "gangen.json").write_text(json.dumps(about))
    differ = rf"generator\.safetensors does not fit: net\.0\.weight is \[5, 4\] there and \[{hidden_dim}, 4\] here"
    with pytest.raises(RunError, match=f"the model in .*runs/ring/model is damaged: {differ}"):
        saved_model.sample()


TEXT = """
data: {use: text/oracle, vocab_size: 12, length: 4, train_size: 8, heldout_size: 8}
players: {generator: {use: text/transformer, dim: 8, layers: 1, heads: 2}}
objective: text/gumbel
phases: {only: {steps: 1, turns: {imitate: 1}}}
"""


@pytest.fixture(scope="module")
def texts(tmp_path_factory):
    """A model of texts, untrained."""
    folder, registry = tmp_path_factory.mktemp("texts"), Registry.discover()
    (folder / "recipe.yaml").write_text(TEXT)
    recipe = load_recipe(folder / "recipe.yaml", registry=registry)
    data = registry.build(recipe.data)
    players = Players({"generator": registry.build(recipe.players["generator"].component, spec=data.codec.spec)})
    saved_model.export(folder / "model", players, PlayerSampler(players), data.codec, recipe, {}, {})
    return folder / "model"


def changed(folder, tmp_path, file, change):
    """A copy of a model with another entry in one of its files of JSON."""
    copy = shutil.copytree(folder, tmp_path / "model")
    content = json.loads((copy / file).read_text())
    change(content)
    (copy / file).write_text(json.dumps(content))
    return copy


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("layers", 1_000_000, r"it would have many more tensors than the \d+ that its file has"),
        ("dim", 60_000, "does not fit: embedding"),
        ("dim", 2**40, "does not fit: embedding|is damaged"),
    ],
)
def test_a_network_that_its_weights_do_not_fit_is_not_built(texts, tmp_path, option, value, message):
    def change(about):
        about["networks"]["generator"][option] = value

    with pytest.raises(RunError, match=message):
        saved_model.load(changed(texts, tmp_path, "gangen.json", change))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"max_length": 10**9}, "max_length must be at most 1048576, got 1000000000"),
        ({"max_length": -1}, "max_length must be at least 1, got -1"),
        ({"vocab_size": True}, "vocab_size must be an integer, got true"),
        ({"vocab_size": 11}, "tokens go up to 11, of 11"),
        ({"start": 12}, "tokens go up to 12, of 12"),
        ({"end": 1}, "start, end, pad are 0, 1, None"),
        ({"labels": ["a", 3]}, r"labels.1 must be text, got 3"),
        ({"labels": "ab"}, "labels must be a list, got 'ab'"),
        ({"more": 1}, "unknown option 'more' for codec.json"),
    ],
)
def test_what_a_codec_keeps_is_of_its_type_and_range(texts, tmp_path, change, message):
    with pytest.raises(DataError, match=message):
        saved_model.load(changed(texts, tmp_path, "codec.json", lambda codec: codec.update(change)))


@pytest.mark.parametrize("file", ["gangen.json", "codec.json", "tokenizer.json"])
def test_a_models_files_are_files_of_a_bounded_size(texts, tmp_path, file):
    for make, message in (
        (os.mkfifo, "no regular file"),
        (endless, "larger than"),
        (deep, "recursion|nested|no token"),
    ):
        copy = shutil.copytree(texts, tmp_path / make.__name__)
        (copy / file).unlink()
        make(copy / file)
        with pytest.raises((RunError, DataError), match=message):
            saved_model.load(copy)


def endless(path):
    with path.open("wb") as file:
        file.truncate(2**40)  # takes no room


def deep(path):
    path.write_text("[" * 100_000 + "]" * 100_000)


@pytest.mark.parametrize("header", [b"\xff" * 8, (2**40).to_bytes(8, "little"), b"", b"\x02" + bytes(7) + b"[]"])
def test_a_list_of_tensors_is_of_a_bounded_size(texts, tmp_path, header):
    copy = shutil.copytree(texts, tmp_path / "model")
    (copy / "generator.safetensors").write_bytes(header)
    with pytest.raises(RunError, match="is damaged"):
        saved_model.load(copy)


def test_weights_that_were_not_copied_whole_are_named(run):
    file = run("ring") / "generator.safetensors"
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(RunError, match=r"damaged: generator\.safetensors is cut off, or no safetensors file"):
        saved_model.sample()


def test_a_million_tensors_without_content_are_refused(texts, tmp_path):
    copy = shutil.copytree(texts, tmp_path / "model")
    empty = '{"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}'
    entries = (f'"{number}": {empty}' for number in range(1_000_000))
    header = ("{" + ", ".join(entries) + "}").encode()
    (copy / "generator.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)
    with pytest.raises(RunError, match=r"generator.safetensors says that it lists [\d,]+ bytes of names"):
        saved_model.load(copy)


@pytest.mark.parametrize(
    "name", ["image/mlp", "image/dcgan", "image/resnet", "image/r3gan", "image/style", "text/lstm"]
)
def test_networks_are_known_before_they_take_memory(name):
    from gangen_image import ImageSpec
    from gangen_text import TextSpec

    registry = Registry.discover()
    use = read_use("generators", name, registry)
    spec = ImageSpec(3, 16, ("a", "b")) if name.startswith("image") else TextSpec(12, 4, 0, 1, 2, ("a", "b"))
    kept = state_of(registry.build(use, spec=spec))
    with torch.device("meta"), without_memory(len(kept)):
        assert differences(registry.build(use, spec=spec), kept) == ""
