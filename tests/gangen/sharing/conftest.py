"""A run to be shared, and a stand-in for the hub."""

from pathlib import Path

import pytest
from standin_hub import TOKEN, Hub, talk_to

import gangen

POINTS = {
    "data": {"use": "image/points", "size": 64, "heldout_size": 8},
    "players": {
        "generator": {"use": "image/mlp", "latent_dim": 2, "hidden_dim": 8},
        "discriminator": {"use": "image/mlp", "hidden_dim": 8},
    },
    "objective": "image/gan",
    "phases": {"adversarial": {"steps": 4, "turns": {"discriminate": 1, "generate": 1}}},
    "trainer": {"batch_size": 8, "threads": 1},
    "every": {"log": 1, "sample": 2, "checkpoint": 4, "evaluate": 4},
    "metrics": [{"use": "image/modes", "samples": 16}],
}


@pytest.fixture(scope="session")
def trained(tmp_path_factory) -> Path:
    """A run of a game of points, of four steps; nobody writes to it."""
    folder = tmp_path_factory.mktemp("runs") / "points"
    gangen.train(POINTS, run=str(folder))
    return folder


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """An empty hub that this process talks to, logged in; what is fetched goes to a folder of the test."""
    from huggingface_hub import constants

    with Hub().serving() as hub:
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
        talk_to(hub.address, monkeypatch)
        yield hub
