"""What the documentation shows is what runs."""

import re
import shlex
import textwrap
import tomllib
from pathlib import Path

import pytest
import yaml

from gangen import cli
from gangen.cli.commands import COMMANDS
from gangen.cli.parser import command_parser
from gangen.components.registry import Registry
from gangen.hookspecs import KINDS
from gangen.recipe.load import load_recipe, recipe_file
from gangen.reference.pages import MADE, find_pages

ROOT = Path(__file__).parents[1]
RECIPE = """
code: [my_gan.py]
data: {{use: image/points, size: 100, heldout_size: 10}}
players: {{generator: image/mlp, discriminator: image/mlp}}
objective: {objective}
phases: {{adversarial: {{steps: 1, turns: {{discriminate: 1, generate: 1}}}}}}
"""


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


@pytest.mark.parametrize("objective", ["local/duel", "{use: adversarial, loss: local/margin}"])
def test_a_part_of_ones_own_fits(objective, tmp_path):
    [code] = [block for block in blocks("plugins.md") if "class Duel" in block]
    (tmp_path / "my_gan.py").write_text(code)
    (tmp_path / "recipe.yaml").write_text(RECIPE.format(objective=objective))
    assert cli.main(["check", str(tmp_path / "recipe.yaml")]) == 0


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
