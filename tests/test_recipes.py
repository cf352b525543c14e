"""Every recipe that ships can be built, plays two steps of each phase, and leaves a model that opens."""

import shlex
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from tokenizers import Tokenizer, models
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

import gangen
from gangen.cli import main
from gangen.recipe.load import load_recipe

RECIPES = Path(__file__).parent.parent / "recipes"
NARROW = [f"players.{player}.{key}" for player in ("generator", "discriminator") for key in ("width=8", "max_width=8")]
SMALLER = {
    "text_gan": [
        *("data.vocab_size=300", "data.unknown=keep"),
        *(f"players.generator.{name}=16" for name in ("embedding_dim", "hidden_dim")),
    ],
    "gumbel": ["data.vocab_size=300", "players.generator.hidden_dim=16"],
    "seqgan": ["data.vocab_size=300", "players.generator.hidden_dim=16", "objective.stride=16"],
    "relgan": ["data.vocab_size=300", "players.generator.dim=16", "players.discriminator.representations=4"],
    "seqgan_oracle": ["data.vocab_size=50", "data.train_size=200", "data.heldout_size=50"],
    "leakgan": ["data.vocab_size=50", "data.train_size=200", "data.heldout_size=50"],
    "infilling": [
        "data.of.vocab_size=300",
        *(f"players.{name}.hidden_dim=16" for name in ("generator", "discriminator")),
    ],
    "captioning": ["data.scenes=100", "data.heldout=20", "players.generator.hidden_dim=16"],
    "text_to_image": ["data.scenes=100", "data.heldout=20", *NARROW],
    "distill": [
        *("data.size=200", "objective.group=2"),
        *(f"players.{name}.hidden_size=16" for name in ("generator", "discriminator")),
    ],
    "translation": ["data.size=200", "players.generator.hidden_dim=16"],
    "lines": ["data.path={text}", "data.vocab_size=280", "data.max_length=64", "players.generator.hidden_dim=16"],
    "residual": [
        *("data.path={text}", "data.unknown=keep", "players.discriminator.model={encoder}"),
        *(f"players.generator.{name}=16" for name in ("embedding_dim", "hidden_dim")),
    ],
    "ddo": [
        *("data.path={text}", "data.unknown=keep"),
        *(f"players.generator.{name}=16" for name in ("embedding_dim", "hidden_dim")),
    ],
    "poems": ["data.path={poems}", "players.generator.hidden_dim=16"],
    "my_images": ["data.path={photos}", "data.size=16", *NARROW],
    "cifar10": ["data.path={labelled}", "data.heldout={labelled}", *NARROW],
    "r3gan_ffhq64": ["data.path={photos}", "data.heldout=0.5", *NARROW],
    "r3gan_cifar10": ["data.path={labelled}", "data.heldout={labelled}", *NARROW],
    "finish": ["start_from=null"],  # what it starts from, a run before it makes
    "stacked_mnist": ["data.size=100", "data.heldout_size=64", *NARROW],
    "r3gan_stacked_mnist": ["data.size=100", "data.heldout_size=64", *NARROW],
}


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> dict[str, Path]:
    """A little of everything that recipes ask their users for."""
    folder = tmp_path_factory.mktemp("files")
    paths = {name: folder / name for name in ("text.txt", "poems.txt", "photos", "labelled.parquet")}
    text, poems, photos, table = paths.values()
    text.write_text("".join(f"line {number} of a short text\n" for number in range(60)))
    poems.write_text("".join(f"白日依山{chr(0x4E00 + number)}黄河入海流。\n" for number in range(60)), encoding="utf-8")
    photos.mkdir()
    for number in range(30):
        size = (20 + number, 40)
        Image.effect_noise(size, 50 + number).convert("RGB").save(photos / f"{number}.png")
    pictures = [{"bytes": path.read_bytes(), "path": path.name} for path in sorted(photos.iterdir())]
    labels = ["cat" if number % 2 else "dog" for number in range(30)]
    pq.write_table(pa.table({"img": pictures, "label": labels}), table)
    return {path.stem: path for path in paths.values()} | {"encoder": encoder(folder / "encoder")}


def encoder(folder: Path) -> Path:
    """A model of transformers that knows two words."""
    marks = {"pad_token": "[PAD]", "unk_token": "[UNK]"}
    words = [*marks.values(), "line", "text"]
    tokenizer = Tokenizer(models.WordLevel({word: number for number, word in enumerate(words)}, "[UNK]"))
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **marks).save_pretrained(folder)
    sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "intermediate_size": 8}
    BertModel(BertConfig(vocab_size=len(words), **sizes), add_pooling_layer=False).save_pretrained(folder)
    return folder


@pytest.mark.parametrize("recipe", sorted(RECIPES.glob("*.yaml")), ids=lambda path: path.stem)
def test_a_recipe_plays_two_steps_of_each_phase_and_its_model_opens(recipe, files, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    overrides = [override.format(**files) for override in SMALLER.get(recipe.stem, [])]
    phases = [line.split(":")[0].strip() for line in phase_lines(recipe)]
    overrides += [f"phases.{name}.steps=2" for name in phases]
    overrides += ["every.evaluate=0", "trainer.batch_size=8", f"run={tmp_path / 'run'}"]
    assert main([str(recipe), *overrides]) == 0
    assert f"done: {tmp_path / 'run'}" in capsys.readouterr().out
    model = gangen.load(tmp_path / "run")
    if not hasattr(model.codec.spec, "input"):  # which a prompt would have to be
        assert len(model.sample(n=2, seed=1)) == 2


def test_what_is_finished_is_what_its_recipe_says(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    short = ["phases.adversarial.steps=1", "every.evaluate=0", "every.sample=0", "trainer.batch_size=8"]
    before = [str(RECIPES / "vaegan.yaml"), "phases.adversarial.turns={autoencode: 1}", "run=runs/vae"]
    assert main([*before, *short]) == 0
    assert main(["check", str(RECIPES / "finish.yaml")]) == 0


@pytest.mark.parametrize("recipe", sorted(RECIPES.glob("*.yaml")), ids=lambda path: path.stem)
def test_a_recipe_opens_with_what_it_is_and_its_command(recipe):
    lines = recipe.read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith("# ") and lines[0].endswith(".")  # it is what lists of recipes show
    assert f"accelerate launch -m gangen recipes/{recipe.name}" in "\n".join(lines[:6])


@pytest.mark.parametrize("recipe", sorted(RECIPES.glob("*.yaml")), ids=lambda path: path.stem)
def test_the_commands_that_a_recipe_opens_with_can_be_read(recipe):
    comments = [line[1:] for line in recipe.read_text(encoding="utf-8").splitlines() if line.startswith("#")]
    commands = [line for line in "\n".join(comments).replace("\\\n", "").splitlines() if "gangen recipes/" in line]
    assert commands
    for command in commands:
        words = shlex.split(command, comments=True)
        played = next(at for at, word in enumerate(words) if word.startswith("recipes/"))
        load_recipe(RECIPES.parent / words[played], words[played + 1 :])


def phase_lines(recipe: Path) -> list[str]:
    """The keys directly below ``phases``."""
    lines = recipe.read_text(encoding="utf-8").splitlines()
    start = lines.index("phases:") + 1
    below = []
    for line in lines[start:]:
        if not line.startswith(" "):
            break
        if line.startswith("  ") and line[2] != " ":
            below.append(line)
    return below
