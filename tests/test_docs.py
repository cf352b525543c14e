"""What the documentation shows is what runs."""

import re
import textwrap
import tomllib
from pathlib import Path

import pytest
import yaml

from gangen import cli
from gangen.components.registry import Registry
from gangen.hookspecs import KINDS
from gangen.reference.pages import MADE, find_pages

ROOT = Path(__file__).parents[1]
RECIPE = """
code: [my_gan.py]
data: {{use: image/points, size: 100, heldout_size: 10}}
players: {{generator: image/mlp, discriminator: image/mlp}}
objective: {objective}
phases: {{adversarial: {{steps: 1, turns: {{discriminate: 1, generate: 1}}}}}}
"""


def blocks(page: str) -> list[str]:
    """What is set apart on a page, as code or as commands."""
    found = re.findall(r"(?:^(?: {4}.*)?\n)+", (ROOT / "docs" / page).read_text(encoding="utf-8"), re.M)
    return [textwrap.dedent(block) for block in found if block.strip()]


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
    assert recipes - registry.recipes().keys() == set()


def test_what_is_said_to_be_installed_with_gangen_can_be():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    told = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("gangen/**/*.py"), *ROOT.glob("plugins/**/*.py")]
    named = {name for path in told for name in re.findall(r"gangen\[(\w+)\]", path.read_text(encoding="utf-8"))}
    assert {"demo", "lm", "serve"} <= named <= extras.keys()


def test_the_site_leads_to_every_page():
    nav = yaml.load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"), yaml.BaseLoader)["nav"]
    found = re.findall(r"[\w/]+\.md", str(nav))
    assert sorted(found) == sorted(f"{name}.md" for name in [*find_pages(), *MADE])


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
