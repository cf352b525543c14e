"""What the plugin brings keeps its contracts, and its recipe can be played."""

from gangen import testing

POINTS = {"use": "image/points", "size": 64}


def test_the_generator():
    testing.check_generator("acme/warp", POINTS, hidden_dim=8)


def test_the_game():
    # Not of micro-batches, whose means are not that of the batch.
    testing.check_objective("acme/demo", micro_batches=False)


def test_the_recipe():
    model = testing.play("acme/demo", steps=2)
    assert len(model.sample(n=3, seed=1)) == 3
