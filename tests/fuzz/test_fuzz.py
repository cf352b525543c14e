"""What strangers wrote, mutated: only gangen's own errors come out, and nothing is written anywhere else.

A few cases of each kind here; ``make fuzz`` runs a thousand of each. A case that fails is named by its seed.
"""

import bz2
import gzip
import json
import lzma
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from random import Random

import numpy as np
import pytest
import torch
import yaml
from accelerate import Accelerator
from PIL import Image

from gangen import saved_model
from gangen.components.options import read_use
from gangen.components.registry import Registry
from gangen.errors import GangenError, UsageError
from gangen.evaluation.results import Result
from gangen.files import file_digests
from gangen.metrics.figures import Figure
from gangen.networks import Players
from gangen.recipe.keep_best import KeepBest
from gangen.recipe.load import load_recipe
from gangen.report import write_report
from gangen.run_directory import RunDirectory
from gangen.samplers import PlayerSampler
from gangen.training import checkpoint
from gangen.training.assemble import build_game
from gangen.training.callbacks.best_model import BestModel
from gangen.training.trainer import Trainer

ROOT = Path(__file__).parents[2]
CASES = int(os.environ.get("GANGEN_FUZZ", "8"))
REGISTRY = Registry.discover()
CPU = torch.device("cpu")

# In the place of any value: other types, sizes out of range, what steers a terminal, paths that lead out.
ODD = [
    *(None, True, 0, -1, 1, 3, 10**9, 2**63, 10**30, 1.5, 1e308, float("nan"), float("inf")),
    *("", "x", "0", "\0", "\x1b[2J", "../../x", "/etc/passwd", "a" * 10_000, "\u202e", "\ud800"),
    *([], [[]], {}, {"use": "x"}, [1, 2], ["a", 1], {"a": None}),
]
BYTES = [b"\0", b"\xff", b'"', b"[", b"{", b"9" * 30, b"\n", b",", b"\\", b"\x1b", b"&a", b"*a", b": "]
WORDS = ["players", "generator", "use", "phases", "adversarial", "steps", "trainer", "batch_size", "optimizer", "lr"]
WORDS += ["0", "metrics", "sampler", "code", "run", "é", ""]
VALUES = ["", "1", "-1", "null", "[", "{", "{a: 1}", "&a [*a]", "!!int x", '"\\ud800"', "1e400", "9" * 200, "- -", "%"]

TEXTS = [(f"the {what} is {how}", how) for what in ("sun", "rain", "wind", "snow") * 4 for how in ("old", "new")]
MODELS = {
    "words": (
        "{use: text/lines, path: texts.csv, label_column: label, tokenizer: words, max_length: 12}",
        "{use: text/lstm, embedding_dim: 4, hidden_dim: 4}",
    ),
    "bytes": (
        "{use: text/lines, path: texts.csv, max_length: 30}",
        "{use: text/transformer, dim: 8, layers: 1, heads: 2}",
    ),
    "images": ("{use: image/arrays, images: images.npy, labels: labels.npy}", "{use: image/dcgan, width: 4}"),
    "points": ("{use: image/points, size: 60, heldout_size: 20}", "{use: image/mlp, latent_dim: 2}"),
}
GAME = """
data: {use: image/points, size: 60, heldout_size: 20}
players:
  generator: {use: image/mlp, latent_dim: 2, hidden_dim: 4, ema: 0.9}
  discriminator: {use: image/mlp, hidden_dim: 4}
objective: image/gan
phases: {only: {steps: 4, turns: {discriminate: 1, generate: 1}}}
trainer: {batch_size: 4}
"""


@pytest.fixture(scope="module")
def models(tmp_path_factory) -> Path:
    """Untrained models by name, and the data that they belong to."""
    folder, here = tmp_path_factory.mktemp("models"), Path.cwd()
    os.chdir(folder)
    Path("texts.csv").write_text("text,label\n" + "".join(f"{text},{label}\n" for text, label in TEXTS))
    np.save("images.npy", np.arange(32 * 64, dtype=np.uint8).reshape(32, 8, 8))
    np.save("labels.npy", np.arange(32) % 2)
    for name, (data, generator) in MODELS.items():
        game = "phases: {only: {steps: 1, turns: {generate: 1}}}\nobjective: image/gan"
        Path("recipe.yaml").write_text(f"data: {data}\nplayers: {{generator: {generator}}}\n{game}\n")
        recipe = load_recipe("recipe.yaml", registry=REGISTRY)
        built = REGISTRY.build(recipe.data)
        network = REGISTRY.build(recipe.players["generator"].component, spec=built.codec.spec)
        players = Players({"generator": network})
        saved_model.export(folder / name, players, PlayerSampler(players), built.codec, recipe, {}, {})
    os.chdir(here)
    return folder


@pytest.fixture
def work(tmp_path, monkeypatch) -> Path:
    """Where one stands; whatever is written outside of it fails the test."""
    folder = tmp_path / "a/b"
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder)
    yield folder
    assert [*tmp_path.iterdir(), *folder.parent.iterdir()] == [tmp_path / "a", folder]


def failures(kind: str, attempt) -> dict[int, str]:
    """By seed, what ``attempt`` raised: it may refuse, in gangen's words and not in too many of them."""
    failed = {}
    for seed in range(CASES):
        try:
            attempt(Random(f"{kind}/{seed}"))
        except GangenError as error:
            if len(str(error)) > 25_000:
                failed[seed] = f"{len(str(error)):,} characters"
        except BaseException as error:  # a panic of a library in Rust is no Exception
            if isinstance(error, KeyboardInterrupt):
                raise
            failed[seed] = f"{type(error).__name__}: {error}"[:200]
    return failed


def places(value, place=()):
    """The way to everything inside of a value of JSON."""
    inner = value.items() if isinstance(value, dict) else enumerate(value[:100]) if isinstance(value, list) else ()
    for key, entry in inner:
        yield (*place, key)
        yield from places(entry, (*place, key))


def changed(value, chance: Random):
    """A value of JSON in which a few things are gone, elsewhere, called otherwise, or something odd."""
    value = json.loads(json.dumps(value))
    for _ in range(chance.choice([1, 1, 2, 3])):
        if not (known := list(places(value))):
            return chance.choice(ODD)
        *way, last = chance.choice(known)
        around = at(value, way)
        match chance.randrange(4):
            case 0:
                del around[last]
            case 1 if isinstance(around, dict):
                around[str(chance.choice(ODD))[:50]] = around.pop(last)
            case 2:
                around[last] = json.loads(json.dumps(at(value, chance.choice(known))))
            case _:
                around[last] = chance.choice(ODD)
    return value


def at(value, way):
    for key in way:
        value = value[key]
    return value


def damaged(content: bytes, chance: Random) -> bytes:
    """Bytes of which some are flipped, gone, cut off, or others."""
    made = bytearray(content)
    for _ in range(chance.choice([1, 1, 2, 5, 20])):
        place = chance.randrange(len(made) + 1)
        match chance.randrange(4):
            case 0 if place < len(made):
                made[place] ^= 1 << chance.randrange(8)
            case 1:
                del made[place : place + chance.choice([1, 4, 100])]
            case 2:
                made[place:place] = chance.choice(BYTES) * chance.choice([1, 1, 8])
            case _:
                made[place : place + 8] = chance.randbytes(8)
    return bytes(made[: chance.randrange(len(made) + 1)] if chance.random() < 0.1 else made)


def rewrite(path: Path, chance: Random) -> None:
    """Change a file of JSON."""
    content = path.read_bytes()
    if chance.random() < 0.8:
        path.write_text(json.dumps(changed(json.loads(content), chance)))
    else:
        path.write_bytes(damaged(content, chance))


@pytest.mark.parametrize("file", ["gangen.json", "codec.json", "tokenizer.json", "generator.safetensors"])
def test_models(models, work, file):
    names = [name for name in MODELS if (models / name / file).is_file()]

    def attempt(chance):
        shutil.rmtree(work / "model", ignore_errors=True)
        path = shutil.copytree(models / chance.choice(names), work / "model") / file
        if path.suffix == ".json":
            rewrite(path, chance)
        else:
            content = path.read_bytes()
            end = 8 + int.from_bytes(content[:8], "little")
            if chance.random() < 0.5:
                header = json.dumps(changed(json.loads(content[8:end]), chance)).encode()
                path.write_bytes(len(header).to_bytes(8, "little") + header + content[end:])
            else:
                path.write_bytes(damaged(content[:end], chance) + content[end:])
        model = saved_model.load(work / "model")
        if getattr(model.codec.spec, "max_length", 0) > 1000:  # which takes its time, as asked
            return
        for prompt in [None, *model.codec.prompts()[:1], "old: the sun"]:
            try:
                model.sample(prompt, 2, seed=1)
            except UsageError:
                continue

    assert failures(file, attempt) == {}


@pytest.fixture(scope="module")
def game(tmp_path_factory) -> Callable[[], Trainer]:
    """A game of points before its first step, each time that it is called."""
    path = tmp_path_factory.mktemp("game") / "game.yaml"
    path.write_text(GAME)
    recipe = load_recipe(path, registry=REGISTRY)

    def begin() -> Trainer:
        data, players, phases, objective = build_game(recipe, REGISTRY, CPU)
        return Trainer(
            accelerator=Accelerator(cpu=True), data=data, players=players, phases=phases, objective=objective
        )

    return begin


@pytest.fixture(scope="module")
def checkpoints(game, tmp_path_factory) -> Path:
    """Those of steps 1 and 2."""
    folder, trainer = tmp_path_factory.mktemp("checkpoints"), game()
    for _ in range(2):
        trainer.play_step(trainer.phases[trainer.state.phase])
        checkpoint.save(trainer, folder, keep=2)
    return folder


CHECKPOINT = ["state.json", "manifest.json", "generator/optimizer.json", "generator/model.safetensors", "../latest"]


@pytest.mark.parametrize("file", CHECKPOINT)
def test_checkpoints(checkpoints, game, work, file):
    def attempt(chance):
        shutil.rmtree("checkpoints", ignore_errors=True)
        newest = shutil.copytree(checkpoints, "checkpoints") / Path("step-00000002")
        path = newest / file
        rewrite(path, chance) if path.suffix == ".json" else path.write_bytes(damaged(path.read_bytes(), chance))
        if not file.startswith("manifest"):  # who means ill writes that, too
            (newest / checkpoint.MANIFEST).unlink()
            (newest / checkpoint.MANIFEST).write_text(json.dumps(file_digests(newest)))
        found, _ = checkpoint.newest_whole(Path("checkpoints"), CPU)
        if found is not None:
            trainer = game()
            checkpoint.restore(trainer, found)
            if trainer.state.phase < len(trainer.phases):
                trainer.play_step(trainer.phases[trainer.state.phase])

    assert failures(file, attempt) == {}


def test_best_models(work):
    def attempt(chance):
        Path("best.json").write_text('{"highest": "good", "value": 0.5, "step": 3}')
        rewrite(Path("best.json"), chance)
        best = BestModel(KeepBest(highest="good"), Path(), export=lambda folder: None)
        best.recall()
        best.offer({"good": Figure(0.75)}, step=4)

    assert failures("best", attempt) == {}


def test_recipes(work):
    recipes = sorted((ROOT / "recipes").glob("*.yaml"))

    def attempt(chance):
        text = chance.choice(recipes).read_bytes()
        text = json.dumps(changed(yaml.safe_load(text), chance)).encode() if chance.random() < 0.5 else text
        Path("recipe.yaml").write_bytes(text if chance.random() < 0.3 else damaged(text, chance))
        load_recipe("recipe.yaml", registry=REGISTRY, run_code=False).to_yaml()

    assert failures("recipe", attempt) == {}


def test_overrides(work):
    def attempt(chance):
        keys = (
            ".".join(chance.choices(WORDS, k=chance.choice([1, 2, 3, 60]))) for _ in range(chance.choice([1, 2, 3]))
        )
        overrides = [f"{key}{chance.choice(['=', '=', ''])}{chance.choice(VALUES)}" for key in keys]
        load_recipe(ROOT / "recipes/gumbel.yaml", overrides, REGISTRY, run_code=False).to_yaml()

    assert failures("override", attempt) == {}


def test_files_of_texts(work):
    rows = [{"text": text, "label": label} for text, label in TEXTS]
    pack = {"": bytes, ".gz": gzip.compress, ".xz": lzma.compress, ".bz2": bz2.compress}

    def attempt(chance):
        written = {
            "txt": "\n".join(text for text, _ in TEXTS),
            "csv": "text,label\n" + "".join(f"{text},{label}\n" for text, label in TEXTS),
            "tsv": "text\tlabel\n" + "".join(f"{text}\t{label}\n" for text, label in TEXTS),
            "json": json.dumps(changed(rows, chance)),
            "jsonl": "".join(json.dumps(changed(row, chance) if chance.random() < 0.1 else row) + "\n" for row in rows),
        }
        kind, packed = chance.choice(list(written)), chance.choice(list(pack))
        content = pack[packed](damaged(written[kind].encode(), chance))
        path = Path(f"texts.{kind}{packed}")
        path.write_bytes(damaged(content, chance) if packed and chance.random() < 0.5 else content)
        options = {"path": str(path), "tokenizer": chance.choice(["words", "characters"]), "max_length": 16}
        labelled = {"label_column": "label"} if chance.random() < 0.5 else {}
        REGISTRY.build(read_use("data", {"use": "text/lines", **options, **labelled}, REGISTRY))

    assert failures("texts", attempt) == {}


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::PIL.Image.DecompressionBombWarning")
def test_files_of_pictures(models, work):
    def attempt(chance):
        shutil.rmtree("pictures", ignore_errors=True)
        kind = chance.choice(["png", "jpg", "gif", "bmp", "tiff", "webp", "npy", "npz"])
        if kind.startswith("np"):
            array, path = np.load(models / "images.npy"), Path(f"images.{kind}")
            np.save(path, array) if kind == "npy" else np.savez_compressed(path, x=array)
            data = {"use": "image/arrays", "images": str(path)}
        else:
            for number in range(8):
                path = Path(f"pictures/{number % 2}/{number}.{kind}")
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(np.full((9, 9, 3), 20 * number, np.uint8)).save(path)
            data = {"use": "image/dataset", "path": "pictures", "size": 8, "max_unreadable": 0.5}
        path.write_bytes(damaged(path.read_bytes(), chance))
        REGISTRY.build(read_use("data", data, REGISTRY))

    assert failures("pictures", attempt) == {}


def test_reports_of_runs(work, monkeypatch):
    pytest.importorskip("matplotlib")
    rows = [{"step": step, "phase": "only", "judge/loss": 0.5, "distance": Figure(step, 3.5, "low")} for step in (1, 2)]
    warned = {"step": 2, "phase": "only", "warning": "w"}
    measured = {"use": "image/distance", "samples": 60}
    recipe = {"data": "image/points", "metrics": [measured], "trainer": {"threads": 1}}
    evaluation = Result(
        *("run", 1, 2, recipe, "0" * 64, [measured | {"protocol": {"extractor": "eye"}}], {"eye": "1" * 64}),
        *({"distance": Figure(3, 3.5, "low")}, ["w"], []),
    )
    # Charts take nearly all of the time, and are given numbers alone.
    monkeypatch.setattr("gangen.report.figures.line_chart", lambda title, lines, phases, **how: str(list(lines)))

    def attempt(chance):
        shutil.rmtree("run", ignore_errors=True)
        run = RunDirectory("run")
        run.samples.mkdir(parents=True)
        (run.samples / "step-00000001.txt").write_text("a sample")
        run.recipe.write_text("seed: 1\ndata: image/points\n")
        run.plugins.write_text('{"image": "gangen 0.1.0"}')
        run.append_metrics(*rows, warned)
        evaluation.write(run.evaluation)
        lines = [json.loads(line) for line in run.metrics.read_text().splitlines()]
        match chance.randrange(4):
            case 0:
                run.metrics.write_text("".join(json.dumps(changed(line, chance)) + "\n" for line in lines))
            case 1:
                rewrite(run.plugins, chance)
            case 2:
                rewrite(run.evaluation, chance)
            case _:
                path = chance.choice([run.metrics, run.recipe, run.samples / "step-00000001.txt"])
                path.write_bytes(damaged(path.read_bytes(), chance))
        write_report(run)

    assert failures("report", attempt) == {}
