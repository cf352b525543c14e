"""What the README shows is what runs."""

import re
import textwrap
from pathlib import Path

import pytest

from gangen import cli

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
RECIPE = """
code: [my_gan.py]
data: {{use: image/points, size: 100, heldout_size: 10}}
players: {{generator: image/mlp, discriminator: image/mlp}}
objective: {objective}
phases: {{adversarial: {{steps: 1, turns: {{discriminate: 1, generate: 1}}}}}}
"""


@pytest.mark.parametrize("objective", ["local/duel", "{use: adversarial, loss: local/margin}"])
def test_a_part_of_ones_own_fits(objective, tmp_path):
    section = README.partition("## A part of your own")[2]
    paragraph = next(part for part in re.split(r"\n(?=\S)", section) if "class Duel" in part)
    code = "\n".join(line for line in paragraph.splitlines() if not line or line.startswith(" "))
    (tmp_path / "my_gan.py").write_text(textwrap.dedent(code))
    (tmp_path / "recipe.yaml").write_text(RECIPE.format(objective=objective))
    assert cli.main(["check", str(tmp_path / "recipe.yaml")]) == 0
