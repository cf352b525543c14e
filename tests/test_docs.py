"""What the documentation shows is what runs.

Blocks of README.md and docs/ are executed as they stand, with smaller data, networks and phases. Only checked are those
that take longer or more than a test may: commands that install, publish, serve until they are ended, launch several
processes or name a model of the hub; measurements (benchmarks, a judge, sweeps); those of conditional.md, each of which
wants a model of its own; conversions of others' weights. Of these the command line is parsed, recipes and their
overrides are read, settings of sampling are looked up, and Python is compiled.
"""

import ast
import importlib
import re
import shlex
import sys
import textwrap
import tomllib
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from fastapi.testclient import TestClient
from PIL import Image
from safetensors.torch import save_file

import gangen
from gangen import cli, testing
from gangen.cli.commands import COMMANDS
from gangen.cli.parser import command_parser
from gangen.components.registry import Registry
from gangen.hookspecs import KINDS
from gangen.recipe.load import load_recipe, recipe_file
from gangen.reference.pages import MADE, find_pages
from gangen.serving.app import Limits, application

ROOT = Path(__file__).parents[1]
RECIPE = """
code: [my_gan.py]
data: {{use: image/points, size: 100, heldout_size: 10}}
players: {{generator: image/mlp, discriminator: image/mlp}}
objective: {objective}
phases: {{adversarial: {{steps: 1, turns: {{discriminate: 1, generate: 1}}}}}}
"""

# What makes the runs that these pages train small.
SHORT = ["trainer.batch_size=8", "every.evaluate=0", "phases.adversarial.steps=1"]
THIN = ["players.generator.embedding_dim=8", "players.generator.hidden_dim=8"]
NARROW = [f"players.{name}.{key}=8" for name in ("generator", "discriminator") for key in ("width", "max_width")]
SMALLER = {
    "text_gan": [
        *(*SHORT[:2], *THIN, "phases.imitate.steps=1", "phases.discriminate.steps=1"),
        "data={use: text/lines, path: verses.csv, label_column: label, tokenizer: words, unknown: keep}",
    ],
    "lines": [*SHORT, *THIN, "phases.pretrain.steps=1", "data.vocab_size=280"],
    "image_gan": [*SHORT, *NARROW, "metrics=[{use: prdc, extractor: image/identity, samples: 50}]"],
    "my_images": [*SHORT, *NARROW, "data.size=16"],
}


def blocks(page: str | Path) -> list[str]:
    """What is set apart on a page, as code or as commands."""
    found = re.findall(r"(?:^(?: {4}.*)?\n)+", (ROOT / "docs" / page).read_text(encoding="utf-8"), re.M)
    return [textwrap.dedent(block) for block in found if block.strip()]


def commands(text: str) -> list[list[str]]:
    """What is said to gangen in ``text``, a command a line or several with ``;`` or ``&&`` between them."""
    found = []
    for line in re.sub(r"\\\n", "", text).splitlines():
        words = shlex.shlex(line, posix=True, punctuation_chars=";&|>")
        words.whitespace_split = True
        said = [[]]
        for word in words:
            if word in (";", "&&", "|", ">"):
                said.append([])
            else:
                said[-1].append(word)
        for command in said:
            before = next((at for at, word in enumerate(command) if Path(word).name == "gangen"), None)
            if before == 0 or (before and command[before - 1] == "-m"):
                command = command[before + 1 :]
                found.append(command if command and command[0] in COMMANDS else ["train", *command])
    return found


def block(page: str, word: str) -> str:
    """The one block of a page that has ``word``."""
    [found] = [block for block in blocks(page) if word in block]
    return found


def smaller(command: list[str]) -> list[str]:
    """A command that is given with overrides as readers of these pages give it, for a smaller run of the same kind."""
    return command + SMALLER.get(Path(command[1]).stem, []) if command[0] in ("train", "check", "data") else command


def settings_of(name: str, registry: Registry) -> set[str]:
    """What can be set where the model of a recipe is drawn from."""
    recipe = load_recipe(registry.recipes()[name], registry=registry, run_code=False)
    uses = [recipe.sampler, *(it.component for it in recipe.players.values() if it.kind == "generators")]
    return {it.name for use in uses for it in registry.find(use.kind, use.name).settings.parameters}


@pytest.fixture(scope="module")
def played(tmp_path_factory):
    """A folder with a little of all that these pages begin with: data of one's own, and two runs."""
    folder = tmp_path_factory.mktemp("played")
    (folder / "recipes").symlink_to(ROOT / "recipes")
    (folder / "my_text.txt").write_text("".join(f"line {number} of my text\n" for number in range(60)))
    reviews = [f"the food was {word} {number},{number % 5 + 1}\n" for number in range(30) for word in ("good", "cold")]
    (folder / "reviews.csv").write_text("review,stars\n" + "".join(reviews))
    verses = [f"Praise ye him {number},{label}\n" for number in range(30) for label in ("psalms", "law")]
    (folder / "verses.csv").write_text("text,label\n" + "".join(verses))
    (folder / "photos").mkdir()
    for number in range(30):
        Image.effect_noise((20, 20), 50 + number).convert("RGB").save(folder / f"photos/{number}.png")
    labels = [f"{number}.png,{'cat' if number % 2 else 'dog'}\n" for number in range(30)]
    (folder / "photos/metadata.csv").write_text("file_name,label\n" + "".join(labels))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for name in ("text_gan", "image_gan"):
            assert cli.main(smaller(["train", name])) == 0
    return folder


@pytest.fixture
def here(played, monkeypatch):
    """In the folder ``played``, where what is trained in Python is small, too."""
    monkeypatch.chdir(played)
    train = gangen.train

    def short(recipe, **overrides):
        small = dict(setting.split("=", 1) for setting in SMALLER.get(Path(str(recipe)).stem, []))
        return train(recipe, **overrides, **{key: yaml.safe_load(value) for key, value in small.items()})

    monkeypatch.setattr(gangen, "train", short)


@pytest.mark.parametrize(
    ("page", "word"),
    [
        ("images.md", "--interpolate"),  # of the newest run: before there are others
        ("../README.md", "gangen check"),
        ("../README.md", "data.path=reviews.csv"),
        ("recipes.md", "gangen schema"),
        ("sampling.md", "--set candidates"),
        ("python.md", "gangen sample psalms law"),
        ("sharing.md", "--dry-run"),
    ],
)
def test_commands_do_what_they_are_shown_to_do(page, word, here, capsys):
    for command in commands(block(page, word)):
        if command[0] == "publish" and "--dry-run" not in command:
            continue
        if {"judge", "100000", "theirs.yaml", "recipes/seqgan_oracle.yaml"}.isdisjoint(command):
            assert cli.main(smaller(command)) == 0, capsys.readouterr().err


@pytest.mark.parametrize(
    ("page", "word", "counts"),
    [("../README.md", "run.metrics", [3, 3, 4]), ("python.md", ".interpolate(", [1, 4, 4, 32])],
)
def test_python_does_what_it_is_shown_to_do(page, word, counts, here):
    found, names = [], {"gangen": gangen}
    for statement in ast.parse(block(page, word)).body:
        if isinstance(statement, ast.Expr):
            found.append(eval(ast.unparse(statement), names))
        else:
            exec(ast.unparse(statement), names)
    assert [len(values) for values in found] == counts
    assert all(value is not None for values in found for value in values)


def test_a_program_runs_as_shown(here):
    [export] = commands(block("sharing.md", "digits.pt2\n"))
    assert cli.main(export) == 0
    exec(block("sharing.md", "torch.export.load"), shown := {})
    assert shown["images"].shape == (4, 1, 32, 32)


def test_requests_are_answered(here):
    asked = re.findall(r"curl -s localhost:8000(/\w+) .*-d '(.*?)'", block("sharing.md", "curl"))
    with TestClient(application(gangen.load("runs/image_gan"), Limits())) as client:
        head = {"Content-Type": "application/json"}
        answers = [client.post(path, content=body, headers=head) for path, body in asked]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert len(answers[0].json()["samples"]) == 4


@pytest.mark.parametrize(
    ("page", "word", "rest"),
    [
        ("../README.md", "run: runs/gumbel", "data: {use: text/lines, path: verses.csv, label_column: label}"),
        ("recipes.md", "lazy_", "{data: image/points, players: {generator: image/mlp, discriminator: image/mlp}}"),
        (
            "text.md",
            "leak:",
            "{data: {use: text/lines, path: my_text.txt}, phases: {one: {steps: 1, turns: {policy: 1}}}}",
        ),
    ],
)
def test_recipes_can_be_played(page, word, rest, here):
    Path("shown.yaml").write_text(yaml.safe_dump(yaml.safe_load(block(page, word)) | yaml.safe_load(rest)))
    assert cli.main(["check", "shown.yaml"]) == 0


def test_an_extractor_of_ones_own_fits(here):
    Path("my_extractor.py").write_text(block("metrics.md", "class LeNet"))
    shapes = {"0.weight": (8, 1, 5, 5), "0.bias": (8,), "2.weight": (16, 8, 5, 5), "2.bias": (16,)}
    shapes |= {"5.weight": (32, 400), "5.bias": (32,)}
    save_file({name: torch.zeros(shape) for name, shape in shapes.items()}, "lenet.safetensors")
    np.savez("digits.npz", np.zeros((40, 32, 32), np.uint8) + np.arange(40, dtype=np.uint8)[:, None, None])
    recipe = yaml.safe_load(RECIPE.format(objective="image/gan"))
    recipe["data"] = {"use": "image/arrays", "images": "digits.npz", "size": 32}
    recipe["players"] = {"generator": "image/r3gan", "discriminator": "image/r3gan"}
    recipe |= yaml.safe_load(block("metrics.md", "code: [my_extractor.py]"))
    Path("shown.yaml").write_text(yaml.safe_dump(recipe))
    assert cli.main(["check", "shown.yaml"]) == 0


def test_an_account_is_kept_as_shown():
    class Source:
        pass

    exec(block("data.md", "gangen.Account("), {"gangen": gangen, "self": (source := Source())})
    assert "57 to train on, 2 out of range" in str(source.accounts[0])


@pytest.mark.parametrize("objective", ["local/duel", "{use: adversarial, loss: local/margin}"])
def test_a_part_of_ones_own_fits(objective, tmp_path):
    [code] = [block for block in blocks("plugins.md") if "class Duel" in block]
    (tmp_path / "my_gan.py").write_text(code)
    (tmp_path / "recipe.yaml").write_text(RECIPE.format(objective=objective))
    assert cli.main(["check", str(tmp_path / "recipe.yaml")]) == 0


def test_a_plugin_is_tested_as_shown(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["new-plugin", "acme"]) == 0
    monkeypatch.syspath_prepend("gangen-acme")
    exec(block("plugins.md", "check_generator"), shown := {})
    with testing.installed(acme=importlib.import_module("gangen_acme")):
        shown["test_the_generator"]()
        shown["test_the_game"]()
    for name in [name for name in sys.modules if name.partition(".")[0] == "gangen_acme"]:
        del sys.modules[name]


def test_a_session_in_python(tmp_path, python):
    session = [block for block in blocks("python.md") if "runs/text_gan" not in block]
    (tmp_path / "session.py").write_text("".join(session) + "print(len(run.metrics), len(model.sample(n=3)))")
    assert python("session.py", cwd=tmp_path).stdout.endswith("2 3\n")


def test_a_first_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    short = ["phases.adversarial.steps=2", "data.size=200", "data.heldout_size=50"]
    for block in blocks("tutorial.md"):
        if "class Margin" in block:
            Path("my_loss.py").write_text(block)
        elif "import gangen" in block:
            exec(compile(block, "tutorial.md", "exec"), {})
        for command in commands(block):
            assert cli.main([*command, *(short if command[0] == "train" else ())]) == 0


PAGES = pytest.mark.parametrize(
    "page", [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md"))], ids=lambda page: page.name
)


@PAGES
def test_links_lead_somewhere(page):
    links = re.findall(r"\]\(([\w./-]+\.\w+)\)", page.read_text(encoding="utf-8"))
    made = {f"{name}.md" for name in MADE}
    assert [link for link in links if not (link in made or (page.parent / link).exists())] == []


@PAGES
def test_what_is_named_is_there(page):
    registry = Registry.discover()
    there = {component.name for kind in KINDS for component in registry.all(kind)}
    named = set(re.findall(r"`((?:conditional|gangen|image|text)/\w+)`", page.read_text(encoding="utf-8")))
    assert named - there == set()
    recipes = set(re.findall(r"`(\w+)\.yaml`", page.read_text(encoding="utf-8")))
    assert recipes - registry.recipes().keys() - {"mine"} == set()


@PAGES
def test_commands_that_are_shown_can_be_given(page):
    registry = Registry.discover()
    brought = [component.bare_name for component in registry.all("commands")]
    for command in commands("\n".join(blocks(page))):
        if command[1:] and command[1] in (*brought, "acme/demo", "theirs.yaml", "mine.yaml"):
            continue  # of plugins, and files that readers write
        options, settings = command_parser().parse_known_args(command)
        if hasattr(options, "overrides"):
            path = recipe_file(options.recipe, registry, COMMANDS)
            load_recipe(path, options.overrides + settings, registry, run_code=False)
        else:
            assert settings == []
        if command[0] == "sample" and options.run and (name := Path(options.run).name) in registry.recipes():
            assert {setting.partition("=")[0] for setting in options.set} <= settings_of(name, registry)


@PAGES
def test_python_that_is_shown_names_what_there_is(page):
    named = set()
    for shown in blocks(page):
        if re.search(r"^(import|from) ", shown, re.M):
            for node in ast.walk(ast.parse(shown)):
                if isinstance(node, ast.ImportFrom) and node.module == "gangen":
                    named |= {alias.name for alias in node.names}
                elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "gangen":
                    named.add(node.attr)
    assert [name for name in sorted(named) if not hasattr(gangen, name)] == []


def test_what_is_said_to_be_installed_with_gangen_can_be():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    told = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("gangen/**/*.py"), *ROOT.glob("plugins/**/*.py")]
    named = {name for path in told for name in re.findall(r"gangen\[(\w+)\]", path.read_text(encoding="utf-8"))}
    assert {"demo", "lm", "serve"} <= named <= extras.keys()


def test_the_site_leads_to_every_page():
    nav = yaml.load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"), yaml.BaseLoader)["nav"]
    found = re.findall(r"[\w/]+\.md", str(nav))
    assert sorted(found) == sorted(f"{name}.md" for name in [*find_pages(), *MADE])
    assert [*find_pages()][:3] == ["index", "tutorial", "primer"]


def test_the_contract_has_every_kind_and_every_check():
    page = (ROOT / "docs/contract.md").read_text(encoding="utf-8")
    rows = {row[0]: row[1:] for row in re.findall(r"^\| (\w+) \| (.*?) ?\| (.*) \|$", page, re.M)}
    for kind in KINDS.values():
        handed, had = rows[kind.name]
        assert re.findall(r"\w+", handed) == list(kind.handed)
        assert [name for name in kind.members if not re.search(rf"`{name}\b", had)] == []
    checks = {name for name in testing.__all__ if name != "installed"}
    assert checks == {name for name in re.findall(r"`(\w+)\(", page) if name in checks}


def test_pages_are_made_of_all_that_is_installed(capsys):
    assert cli.main(["docs", "reference/losses"]) == 0
    hinge = capsys.readouterr().out.partition("## gangen/hinge\n")[2].partition("\n## ")[0]
    assert "Papers: Lim and Ye 2017" in hinge and "`image_gan`" in hinge
    assert cli.main(["docs", "reference/generators"]) == 0
    lstm = capsys.readouterr().out.partition("## text/lstm\n")[2].partition("\n## ")[0]
    assert "| `hidden_dim` | integer >= 1 | `" in lstm and "| `temperature` |" in lstm
    assert "`gumbel`" in lstm and "`image_gan`" not in lstm
    assert cli.main(["docs", "reference/recipe"]) == 0
    assert "## trainer\n" in capsys.readouterr().out
