"""A run whose networks begin as those of another."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from gangen.errors import RecipeError
from gangen.training.assemble import check, start_players
from gangen.training.run import train

THREE = (
    "phases={adversarial: {steps: 3, turns: {discriminate: 1, generate: 1}}}",
    *("players.generator.ema=0.9", "every.checkpoint=1"),
)
# Nothing is learned, so that what a run began with is what it ends with.
STILL = (
    "players.generator.optimizer.lr=0",
    "players.discriminator.optimizer.lr=0",
    "seed=5",
    "phases.adversarial.steps=1",
)


@pytest.fixture
def recipe(points):
    def load(run: str, *overrides: str):
        return points(*THREE, *overrides, run=run)

    load.registry = points.registry
    return load


@pytest.fixture
def play(recipe, tmp_path):
    def play(run: str, *overrides: str):
        """Play a recipe; returns the tensors of its newest checkpoint, by player and file."""
        train(recipe(run, *overrides), recipe.registry)
        newest = tmp_path / run / "checkpoints" / (tmp_path / run / "checkpoints/latest").read_text().strip()
        return {f"{path.parent.name}/{path.stem}": load_file(path) for path in newest.glob("*/[am]*.safetensors")}

    return play


def same(one, other):
    return one.keys() == other.keys() and all(one[name].equal(other[name]) for name in one)


def test_all_players_and_averages_start_as_those_of_another_run(play, tmp_path):
    before = play("before")
    after = play("after", f"start_from={tmp_path / 'before'}", *STILL)
    assert same(before["generator/model"], after["generator/model"])
    assert same(before["discriminator/model"], after["discriminator/model"])
    for name, average in before["generator/average"].items():
        followed = average.lerp(before["generator/model"][name], 9 / 13)  # it goes on as after 3 steps: 4 / 13 stays
        assert after["generator/average"][name].allclose(followed, atol=1e-6)


def test_one_player_may_start_so_and_a_frozen_one_is_kept(play, tmp_path):
    before, scratch = play("before"), play("scratch", *STILL)
    teacher = (
        "players.teacher={kind: discriminators, use: image/mlp, hidden_dim: 8, frozen: true, init: discriminator}",
    )
    start = f"start_from={{discriminator: {tmp_path / 'before'}}}"
    after = play("after", start, *STILL, *teacher)
    assert same(after["discriminator/model"], before["discriminator/model"])
    assert same(after["teacher/model"], before["discriminator/model"])
    assert same(after["generator/model"], scratch["generator/model"])
    again = play("after", start, *STILL[:3], "phases.adversarial.steps=4", *teacher)  # goes on, from its checkpoint
    assert same(again["teacher/model"], before["discriminator/model"])


def test_a_player_may_start_from_a_file_of_weights(play, recipe, tmp_path):
    """That of an exported model, which network and average both start as."""
    play("before")
    exported = tmp_path / "before/model/generator.safetensors"
    after = play("after", f"start_from={{generator: {exported}}}", *STILL)
    assert same(after["generator/model"], load_file(exported)) and same(after["generator/average"], load_file(exported))
    save_file({"weight": torch.ones(2)}, tmp_path / "other.safetensors")
    for name in ("text.safetensors", "net.pkl"):
        (tmp_path / name).write_text("weights")
    for file, words in (
        ("other.safetensors", r"other.safetensors does not fit player 'generator': .* is absent there and"),
        ("text.safetensors", "text.safetensors holds no weights of safetensors: "),
        ("none.safetensors", "none.safetensors holds no weights of safetensors: No such file"),
        ("net.pkl", "net.pkl is no file of safetensors, and others are not read"),
    ):
        with pytest.raises(RecipeError, match=rf"start_from.*: .*{words}"):
            check(recipe("again", f"start_from={{generator: {tmp_path / file}}}"), recipe.registry)
    with pytest.raises(RecipeError, match=r"a file has the weights of one player; name it, as in {generator: FILE}"):
        recipe("again", f"start_from={exported}")


def test_what_does_not_fit_is_told_of_in_words(play, recipe, tmp_path):
    play("before")
    start = f"start_from={tmp_path / 'before'}"
    with pytest.raises(
        RecipeError, match=r"start_from=.*: player 'generator' of .* does not fit: .*\[8, 2\] there and \[9, 2\]"
    ):
        check(recipe("after", start, "players.generator.hidden_dim=9"), recipe.registry)
    with pytest.raises(RecipeError, match=r"nowhere has no checkpoint to start from"):
        check(recipe("after", "start_from=nowhere"), recipe.registry)
    critics = "players={critic: {kind: discriminators, use: image/mlp}}"
    with pytest.raises(RecipeError, match=r"start_from=.*keeps no player 'critic'"):
        start_players(recipe("after", start, critics), {"critic": None}, torch.device("cpu"))
    with pytest.raises(
        RecipeError, match=r"start_from.genrator=.*: there is no player 'genrator'; did you mean 'generator'\?"
    ):
        recipe("after", f"start_from.genrator={tmp_path / 'before'}")


def test_an_average_of_the_first_format_is_not_forgotten_at_once(play, tmp_path):
    before = play("before")
    state = tmp_path / "before/checkpoints/step-00000003/state.json"
    kept = json.loads(state.read_text())
    state.write_text(json.dumps({name: entry for name, entry in kept.items() if name not in ("format", "seen")}))
    state.with_name("manifest.json").unlink()
    after = play("after", f"start_from={tmp_path / 'before'}", *STILL)
    for name, average in before["generator/average"].items():
        followed = average.lerp(before["generator/model"][name], 9 / 13)
        assert after["generator/average"][name].allclose(followed, atol=1e-6)
