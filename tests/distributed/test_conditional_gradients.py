"""Two processes play every conditional game as one does: equal gradients in every turn, identical weights.

The games are the recipes in tests/plugins/gangen_conditional/games, tiny ones of two steps a phase, which
test_resume.py plays too. Their optimizers have a large eps: Adam would blow up the rounding of gradients that are zero
in theory into differences of weights.
"""

from pathlib import Path

import pytest
import yaml

GAMES = {path.stem: path for path in (Path(__file__).parents[1] / "plugins/gangen_conditional/games").glob("*.yaml")}


@pytest.fixture(scope="module")
def played(play_on_one_and_two):
    recipes = {}
    for name, path in GAMES.items():
        recipe = yaml.safe_load(path.read_text())
        recipe["trainer"] |= {"precision": "fp64", "threads": 1}
        recipes[name] = yaml.safe_dump(recipe, sort_keys=False)
    return play_on_one_and_two(recipes)


@pytest.mark.parametrize("name", sorted(GAMES))
def test_two_processes_have_the_gradients_of_one(name, played):
    phases = yaml.safe_load(GAMES[name].read_text())["phases"]
    assert played.turns(name) == {turn for phase in phases.values() for turn in phase["turns"]}
    assert played.differences(name) == []
