"""Publishing to a stand-in for the hub, and taking a model from it by name."""

import json
import os
import subprocess
import sys

import pytest
from standin_hub import Repository, talk_to

import gangen
from gangen import RunError, UsageError, cli, saved_model

NOWHERE = "http://127.0.0.1:9"


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    saved_model._cached.cache_clear()


@pytest.fixture
def published(hub, trained):
    gangen.publish(trained, "me/points", license="mit")
    return hub


def test_what_was_published_is_sampled_from_by_its_name(published, trained, capsys):
    assert gangen.load("me/points").sample(n=3, seed=1) == gangen.load(trained).sample(n=3, seed=1)
    assert gangen.sample(n=2, seed=1, run="me/points") == gangen.sample(n=2, seed=1, run=trained)
    assert cli.main(["sample", "--run", "me/points", "-n", "2", "-o", "points.png"]) == 0
    assert published.repositories["me/points"].commits == 1


def test_the_commands_find_the_hub_that_the_environment_names(hub, trained, tmp_path):
    known = os.environ | {"HF_ENDPOINT": hub.address, "HF_HUB_OFFLINE": "0", "HF_HOME": str(tmp_path / "home")}
    told = {}
    for words in (
        ["publish", str(trained), "me/points", "--license", "mit"],
        ["sample", "--run", "me/points", "-o", "a.png"],
    ):
        done = subprocess.run([sys.executable, "-m", "gangen", *words], env=known, capture_output=True, text=True)
        told[words[0]] = (done.returncode, done.stdout)
    assert told == {"publish": (0, f"{hub.address}/me/points\n"), "sample": (0, "a.png\n")}


def test_a_dry_run_shows_the_files_and_sends_nothing(hub, trained, capsys, monkeypatch):
    monkeypatch.delenv("HF_TOKEN")
    words = ["publish", str(trained), "me/points", "--license", "mit", "--dry-run", "--with", "discriminator"]
    assert cli.main(words) == 0
    said = capsys.readouterr().out
    assert "discriminator.safetensors" in said and said.endswith(f"nothing was sent to {hub.address}/me/points\n")
    assert hub.repositories == {}


def test_no_code_is_fetched(published):
    own = published.repositories["me/points"].files
    own |= {"evil.py": b"1 / 0", "code/mine.py": b"1 / 0", "weights.bin": b"pickled", "input/codec.json": b"{}"}
    gangen.load("me/points")
    assert set(published.fetched) == {
        "gangen.json",
        "README.md",
        "codec.json",
        "generator.safetensors",
        "input/codec.json",
    }


def test_code_of_a_models_own_is_to_be_had_from_whoever_made_it(published):
    files = published.repositories["me/points"].files
    files["gangen.json"] = files["gangen.json"].replace(b"image/mlp", b"local/Mine")
    with pytest.raises(UsageError, match=r"code of its own, which does not come with it: .* add --code FILE"):
        gangen.load("me/points")


def test_a_plugin_that_is_missing_is_named_with_its_version(published):
    files = published.repositories["me/points"].files
    about = json.loads(files["gangen.json"])
    about["networks"]["generator"]["use"] = "acme/mlp"
    files["gangen.json"] = json.dumps(about | {"plugins": {"acme": "gangen-acme 1.2"}}).encode()
    with pytest.raises(UsageError, match=r"'acme/mlp'[^\0]*the model was made with gangen-acme 1.2; install it"):
        gangen.load("me/points")


def test_what_was_fetched_is_there_without_a_network_and_nothing_else_is(published, trained, monkeypatch):
    expected = gangen.load("me/points").sample(n=2, seed=1)
    talk_to(NOWHERE, monkeypatch)
    assert gangen.load("me/points").sample(n=2, seed=1) == expected
    with pytest.raises(RunError, match=r"no folder me/other, and the hub, .* does not answer\n.*hf download me/other"):
        gangen.load("me/other")
    with pytest.raises(RunError, match="the hub does not answer: nothing was published"):
        gangen.publish(trained, "me/other", license="mit")


def test_a_repository_that_is_no_model_of_gangen_is_neither_fetched_nor_overwritten(hub, trained):
    hub.repositories["me/llama"] = Repository(files={"model.safetensors": b"large", "README.md": b""})
    with pytest.raises(RunError, match=r"me/llama on the hub is no model of gangen: it has no gangen\.json"):
        gangen.load("me/llama")
    assert hub.fetched == []
    with pytest.raises(UsageError, match="me/llama on the hub is no model of gangen, and would be overwritten"):
        gangen.publish(trained, "me/llama", license="mit")
    assert hub.repositories["me/llama"].commits == 0


def test_a_private_model_is_for_those_who_may_see_it(hub, trained, monkeypatch):
    gangen.publish(trained, "me/points", license="mit", private=True)
    assert hub.repositories["me/points"].private
    with monkeypatch.context() as somebody:
        somebody.setenv("HF_TOKEN", "of_somebody_else")
        with pytest.raises(RunError, match=r"no model of that name on the hub\nif it is a private one, log in by"):
            gangen.load("me/points")
    gangen.load("me/points")


def test_what_is_public_is_not_taken_for_private(published, trained):
    with pytest.raises(UsageError, match="me/points is there already, and public"):
        gangen.publish(trained, "me/points", license="mit", private=True)
    assert published.repositories["me/points"].commits == 1


def test_publishing_again_replaces_the_model_as_a_whole(published, trained):
    files = published.repositories["me/points"].files
    files |= {"old.safetensors": b"", "notes.md": b"mine"}
    gangen.publish(trained, "me/points", license="apache-2.0")
    assert "old.safetensors" not in files and "notes.md" in files and b"apache-2.0" in files["README.md"]
    assert published.repositories["me/points"].commits == 2


def test_who_may_not_publish_is_told_why(hub, trained, monkeypatch):
    hub.refuses = "You have no rights here"
    with pytest.raises(RunError, match="the hub refuses what is asked of me/points: You have no rights here"):
        gangen.publish(trained, "me/points", license="mit")
    monkeypatch.delenv("HF_TOKEN")
    monkeypatch.setattr("huggingface_hub.get_token", lambda: None)
    with pytest.raises(RunError, match="nobody is logged in to the hub\nlog in by: hf auth login"):
        gangen.publish(trained, "me/points", license="mit")
    assert hub.repositories == {}


@pytest.mark.parametrize("name", ["points", "a/b/c", "../etc", "me/", "me/ä"])
def test_what_can_be_no_name_is_refused_before_anything_else(name, trained):
    with pytest.raises(UsageError, match="the name of a model on the hub is USER/NAME"):
        gangen.publish(trained, name, license="mit")


def test_a_path_that_is_mistyped_is_not_looked_up_on_the_hub(hub, tmp_path, monkeypatch):
    (tmp_path / "runs").mkdir()
    monkeypatch.setattr("gangen.saved_model.fetch", None)
    with pytest.raises(RunError, match="there is no folder runs/dgits\nsee: gangen runs"):
        gangen.load("runs/dgits")
