"""What is said of a run before it is played, beside what it then has."""

import re

import pytest
import torch
from accelerate import Accelerator

from gangen.console import Console
from gangen.run_directory import RunDirectory
from gangen.training.assemble import assemble, build_game, check
from gangen.training.plan import mebibytes, plan

WIDE = "players.generator.hidden_dim=512", "players.discriminator.hidden_dim=256", "players.generator.ema=0.9"


def planned(recipe, registry):
    _, players, phases, objective = build_game(recipe, registry, torch.device("cpu"))
    return list(plan(recipe, players, phases, objective))


def test_who_learns_how_from_which_turns_is_told(points):
    override = "phases.adversarial.turns={discriminate: {times: 2, every: 4}, generate: 1}"
    lines = check(points(override, "players.generator.ema=0.9", "trainer.accumulate=2"), points.registry)
    assert "player discriminator: image/mlp, 105 parameters, gangen/adam" in lines
    assert "player generator: image/mlp, 114 parameters, gangen/adam, a moving average" in lines
    assert (
        "phase adversarial: 8 steps of 2 x discriminate every 4 steps (discriminator), 1 x generate (generator)"
        in lines
    )
    [line] = [line for line in lines if line.startswith("computed: ")]
    assert line.endswith(", fp32; batch 8 in 2 parts, over all processes")


def test_a_player_that_never_learns_has_no_optimizer(points):
    lines = planned(points("players.judge={use: image/mlp, kind: discriminators, frozen: true}"), points.registry)
    [line] = [line for line in lines if "player judge" in line]
    assert line.endswith("parameters, which never learn")


def test_penalties_are_named_with_the_place_of_a_double_backward(points):
    penalties = (
        "objective={use: image/gan, penalties: [r1, {use: lecam, weight: 1}], lazy_penalties: [gradient_penalty]}"
    )
    recipe = points(penalties, "phases.adversarial.turns.penalize=1")
    assert [line for line in planned(recipe, points.registry) if "backward" in line] == [
        "penalty 'gangen/r1' at objective.penalties.0: double backward",
        "penalty 'gangen/lecam' at objective.penalties.1: single backward",
        "penalty 'gangen/gradient_penalty' at objective.lazy_penalties.0: double backward",
    ]


@pytest.mark.parametrize("optimizer", ["adam", "{use: sgd, momentum: 0.9}", "sgd", "rmsprop"])
def test_the_memory_of_players_is_what_they_then_take(optimizer, points):
    recipe = points(*WIDE, *(f"players.{name}.optimizer={optimizer}" for name in ("generator", "discriminator")))
    [line] = [line for line in planned(recipe, points.registry) if line.startswith("memory: ")]
    run = RunDirectory(recipe.run)
    run.begin(recipe, {})
    trainer = assemble(recipe, points.registry, Accelerator(cpu=True), run, Console(quiet=True))
    trainer.play_step(trainer.phases[1])
    kept = {"weights": [], "gradients": [], "averages": [], "optimizers": []}
    for player in trainer.players.values():
        kept["weights"] += player.net.parameters()
        kept["gradients"] += [it.grad for it in player.trainable]
        kept["averages"] += player.average.parameters() if player.average else []
        kept["optimizers"] += [it for row in player.optimizer.state.values() for it in row.values() if it is not None]
    for name, tensors in kept.items():
        size = mebibytes(sum(it.numel() * it.element_size() for it in tensors))
        assert re.search(rf"\b{name} ([^,)]*)", line)[1] == size, line


def test_of_a_sharded_player_each_process_keeps_a_part(points, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "4")

    def sizes(*overrides):
        lines = planned(points("players.generator.hidden_dim=4096", *overrides), points.registry)
        [line] = [line for line in lines if line.startswith("memory: ")]
        return [float(size.replace(",", "")) for size in re.findall(r"\b([\d.,]+) MiB", line)[1:]]

    whole = sizes("players.generator.ema=0.9")
    found = sizes("players.generator.ema=0.9", "players.generator.shard=true")
    assert found == pytest.approx([1.25 * whole[0], whole[1], whole[2] / 4, whole[3] / 4], abs=0.2)
