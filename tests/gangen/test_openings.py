"""What games with more players than two need of the framework, shown by a plugin from somebody else."""

import json

import pytest
import torch

from gangen import UsageError, cli, saved_model
from gangen.components.registry import Registry


@pytest.fixture
def loop(monkeypatch, foreign, tmp_path):
    """Run the command line where gangen-loop is installed, in an empty folder; returns that folder."""
    foreign("loop")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def play(recipe: str, *overrides: str) -> None:
    assert cli.main([f"loop/{recipe}", *overrides]) == 0


def figures(run) -> dict[str, list[float]]:
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return {name: [row[name] for row in rows] for name in ("watch/moved", "watch/moved_since_start")}


def test_four_players_are_sampled_in_both_directions(loop):
    play("cycle")
    weights = {path.name for path in (loop / "runs/cycle/model").glob("*.safetensors")}
    assert weights == {"to_a.safetensors", "to_b.safetensors"}
    translators = saved_model.load("runs/cycle")
    there, back = (translators.sample("1 0", seed=1, direction=name) for name in ("to_b", "to_a"))
    assert there == translators.sample("1 0", seed=2) and there != back
    point = torch.tensor([[1.0, 0.0]])
    assert there == translators.codec.decode(translators.networks["to_b"](point))
    with pytest.raises(UsageError, match="no sampling setting 'way'\nit has: direction"):
        translators.sample("1 0", way="to_a")


def test_an_encoder_is_kept_with_the_model_and_reconstructs(loop):
    play("bigan")
    pair = saved_model.load("runs/bigan")
    assert set(pair.networks) == {"generator", "encoder"}
    point = torch.tensor([[0.5, -0.5]])
    expected = pair.codec.decode(pair.networks["generator"](pair.networks["encoder"](point)))
    assert pair.draw("reconstruct", "0.5 -0.5") == expected
    assert cli.main(["sample", "0.5 -0.5", "--run", "runs/bigan", "--verb", "reconstruct", "-o", "again.txt"]) == 0
    assert (loop / "again.txt").read_text() == f"{expected[0]}\n"


def test_a_discriminator_is_kept_with_the_model_and_chooses(loop):
    play("bigan", "sampler={use: loop/best_of, candidates: 16}", "run=runs/best")
    best = saved_model.load("runs/best")
    assert set(best.networks) == {"generator", "encoder", "discriminator"}
    chosen, one = (verdicts(it, best, n=64) for it in (best, saved_model.load(_with_candidates(loop, 1))))
    assert chosen.mean() > one.mean()


def verdicts(drawn, judge, n):
    points = torch.tensor([[float(word) for word in text.split()] for text in drawn.sample(n=n, seed=0)])
    with torch.no_grad():
        return judge.networks["discriminator"](points, judge.networks["encoder"](points))


def _with_candidates(folder, candidates):
    about = folder / "runs/best/model/gangen.json"
    content = json.loads(about.read_text())
    about.write_text(json.dumps(content | {"sampler": {"use": "loop/best_of", "candidates": candidates}}))
    return "runs/best"


def test_a_network_inside_of_a_network_is_built_for_the_data_too(loop, capsys):
    assert cli.main(["check", "loop/cycle"]) == 0
    said = capsys.readouterr().out
    # Of 2 coordinates to 6 or 8 features, and from there through 16 hidden units to a logit.
    assert f"player critic_a: loop/critic, {3 * 6 + 7 * 16 + 17} parameters" in said
    assert f"player critic_b: loop/critic, {3 * 8 + 9 * 16 + 17} parameters" in said
    assert cli.main(["check", "loop/cycle", "players.critic_a.encoder.featurs=3"]) == 2
    assert "unknown option 'featurs' for encoder 'loop/layers'; did you mean 'features'?" in capsys.readouterr().err


def test_a_turn_that_teaches_nobody_watches_a_frozen_player_and_a_snapshot(loop):
    play("cycle")
    seen = figures(loop / "runs/cycle")
    moved, since_start = seen["watch/moved"], seen["watch/moved_since_start"]
    # The snapshot is taken as the phase begins, and again after four steps; who is frozen stays where all began.
    assert moved[0] == moved[4] == 0 and 0 < moved[1] < moved[3]
    assert moved[:4] == since_start[:4] and since_start[4] > 0
    saved = {path.name for path in (loop / "runs/cycle/checkpoints/step-00000008").iterdir() if path.is_dir()}
    assert "start" not in saved and "snapshot" in saved


def test_all_of_it_can_be_rehearsed(loop, capsys):
    assert cli.main(["check", "loop/cycle", "--play", "run=runs/other"]) == 0
    assert "saved, loaded, and sampled twice alike" in capsys.readouterr().out
    assert not (loop / "runs").exists()


def test_a_sampler_that_needs_other_players_is_refused_with_its_place(loop, capsys):
    assert cli.main(["check", "loop/bigan", "sampler=loop/both_ways"]) == 2
    said = capsys.readouterr().err
    assert "sampler 'loop/both_ways' needs a player 'to_a'" in said and "needs a player 'to_b'" in said


def test_samplers_are_listed(loop):
    names = [component.name for component in Registry.discover().all("samplers")]
    assert [it for it in names if it.startswith(("gangen/", "loop/"))] == [
        "gangen/player",
        "loop/best_of",
        "loop/both_ways",
        "loop/inverted",
    ]
