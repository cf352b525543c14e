"""What cannot be played is refused before any training, with its place in the recipe and what to do."""

import re
from types import SimpleNamespace

import pytest

from gangen.components.registry import Registry
from gangen.errors import RecipeError
from gangen.recipe.load import load_recipe
from gangen.training.assemble import check
from gangen.training.compatibility import find_blind_spots

RECIPE = """\
run: {run}
data: {{use: image/points, size: 100, heldout_size: 20}}
players:
  generator: {{use: image/mlp, latent_dim: 2}}
  discriminator: image/mlp
objective: image/gan
phases:
  adversarial: {{steps: 2, turns: {{discriminate: 1, generate: 1}}}}
metrics: [image/modes]
"""


@pytest.fixture
def recipe(tmp_path):
    path = tmp_path / "points.yaml"
    path.write_text(RECIPE.format(run=tmp_path / "run"))
    return path


def refusal(recipe, *overrides: str) -> str:
    registry = Registry.discover()
    with pytest.raises(RecipeError) as refused:
        check(load_recipe(recipe, overrides, registry), registry)
    return str(refused.value)


def test_what_fits_is_described_and_nothing_is_written(recipe, tmp_path):
    registry = Registry.discover()
    lines = check(load_recipe(recipe, (), registry), registry)
    assert "phase adversarial: 2 steps of 1 x discriminate, 1 x generate" in lines
    assert lines[-1] == f"{recipe} can be played"
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            ["phases.adversarial.turns.generat=1"],
            "command line: phases.adversarial.turns.generat=1: objective 'image/gan' has no turn 'generat'; "
            "did you mean 'generate'?; it has: discriminate, generate, penalize",
        ),
        (
            ["objective=image/semi_supervised", "phases.adversarial.turns={supervise: 1}"],
            "turn 'supervise' of 'image/semi_supervised' updates a player 'supervised', "
            "which this recipe does not have",
        ),
        (
            ["objective=image/semi_supervised", "phases.adversarial.turns={discriminate: 1}"],
            "points.yaml:5:3: 'image/mlp' lacks classify(), which turn 'discriminate' of 'image/semi_supervised' needs",
        ),
        (
            ["data=image/digits", "objective.auxiliary=1"],
            "points.yaml:5:3: 'image/mlp' lacks classify(), which 'image/gan' needs with its options",
        ),
        (
            ["trainer.batch_size=7", "trainer.accumulate=2"],
            "command line: trainer.batch_size=7: batch_size 7 is the batch of all processes together; "
            "it must be a multiple of 1 (processes) x 2 (accumulate)",
        ),
        (
            ["metrics=[image/modes, label_accuracy]"],
            "metric label_accuracy needs data with labels; take it out of the recipe",
        ),
        (
            ["data=image/digits", "metrics=[frechet, {use: kid, extractor: {use: image/classifier, seed: 1}}]"],
            "two different extractors are called 'classifier', and so would be their figures; take one of them",
        ),
        (["metrics=[text/bleu]"], "metric Bleu looks at text, which these data are not; take it out"),
        (["metrics=[text/nll]"], "metric HeldOutNLL looks at text, which these data are not; take it out"),
        (["data=image/digits"], "points.yaml:9:11: metric image/modes needs data with known modes"),
    ],
)
def test_what_does_not_fit_is_refused(overrides, message, recipe):
    assert message in refusal(recipe, *overrides)


def test_a_game_needs_a_generator(recipe):
    recipe.write_text(re.sub(r"\n  generator: .*", "", recipe.read_text()))
    assert "points.yaml:3:1: a game needs a player called 'generator'" in refusal(recipe)


def test_an_extractor_that_misses_a_fault_is_refused_where_it_is_the_only_one(recipe):
    loaded = load_recipe(recipe, ["metrics=[image/modes, frechet, kid]"], Registry.discover())
    blind, seeing = (
        SimpleNamespace(extractor=SimpleNamespace(name=name, key=name, blind_to=blind_to))
        for name, blind_to in (("bag", "the order of words"), ("eye", None))
    )
    [problem] = find_blind_spots(loaded, [SimpleNamespace(), blind, blind])
    assert "extractor 'bag' hardly sees the order of words, and none here does: add a metric" in problem.message
    assert find_blind_spots(loaded, [SimpleNamespace(), blind, seeing]) == []
    other = SimpleNamespace(extractor=SimpleNamespace(name="form", key="form", blind_to="what texts are about"))
    assert find_blind_spots(loaded, [SimpleNamespace(), blind, other]) == []
    assert find_blind_spots(loaded, [SimpleNamespace()]) == []
