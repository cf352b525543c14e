"""A model for others: a folder that is whole or not there, and a card of what is known."""

import shutil

import pytest
from huggingface_hub.repocard import metadata_load
from safetensors.torch import load_file

import gangen
from gangen import RunError, UsageError, cli

CODE = """
from torch import nn
from gangen import hookimpl, noise

@hookimpl
def gangen_generators(register):
    register("mine", f"{__name__}:Mine")

class Mine(nn.Module):
    def __init__(self, spec):
        super().__init__()
        self.layer = nn.Linear(2, 2)

    def sample(self, n, condition=None):
        return self.layer(noise.normal(n, 2))
"""


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def run(trained, tmp_path):
    """A copy of the run, to be written to."""
    return shutil.copytree(trained, tmp_path / "run")


def test_what_is_exported_draws_what_the_run_draws(trained, tmp_path):
    folder = gangen.export(trained, tmp_path / "given")
    assert gangen.load(folder).sample(n=3, seed=1) == gangen.load(trained).sample(n=3, seed=1)
    assert sorted(path.name for path in folder.iterdir()) == [
        "README.md",
        "codec.json",
        "gangen.json",
        "generator.safetensors",
        "samples.png",
    ]


def test_a_card_says_how_to_use_a_model_how_good_it_is_and_how_it_was_made(trained, tmp_path):
    gangen.export(trained, tmp_path / "given", license="CC-BY-4.0", data_license="mit")
    card = (tmp_path / "given/README.md").read_text(encoding="utf-8")
    metadata = metadata_load(tmp_path / "given/README.md")
    assert metadata == {"license": "cc-by-4.0", "library_name": "gangen", "tags": ["gangen"]}
    figures = [name for name, it in gangen.Run(trained).metrics[-1].items() if "/" not in name and it is not None]
    assert "Measured at step 4" in card and "| modes" in card and figures
    assert "![samples](samples.png)" in card and "| licence of the data | mit |" in card
    assert "| plugin image | gangen " in card and "data: {use: image/points, " in card
    uses = [line for line in card.splitlines() if line.startswith(("import gangen", "model"))]
    assert len(eval("\n".join(uses[2:]).removeprefix("model."), {"sample": gangen.load(trained).sample})) == 4


def test_a_card_names_the_metrics_of_an_evaluation_with_their_protocol(run, tmp_path):
    gangen.evaluate(run, [{"use": "image/modes", "samples": 32}])
    gangen.export(run, tmp_path / "given")
    card = (tmp_path / "given/README.md").read_text(encoding="utf-8")
    assert "| image/modes | " in card and "samples: 32" in card


def test_a_card_does_not_tell_where_files_of_this_machine_are(run, tmp_path):
    recipe = (run / "recipe.yaml").read_text()
    (run / "recipe.yaml").write_text(recipe.replace("start_from: null", "start_from: /home/someone/secret/other"))
    gangen.export(run, tmp_path / "given")
    card = (tmp_path / "given/README.md").read_text()
    assert "start_from: other" in card and "secret" not in card and str(run) not in card


def test_a_player_that_sampling_does_not_need_goes_with_it_on_request_and_can_be_trained_on(trained, tmp_path):
    folder = gangen.export(trained, tmp_path / "given", players=["discriminator"])
    given = load_file(folder / "discriminator.safetensors")
    kept = load_file(next(trained.glob("checkpoints/step-*/discriminator/model.safetensors")))
    assert given.keys() == kept.keys() and all((given[name] == kept[name]).all() for name in kept)
    assert sorted(gangen.load(folder).networks) == ["discriminator", "generator"]
    start = {name: str(folder / f"{name}.safetensors") for name in ("generator", "discriminator")}
    gangen.train(trained / "recipe.yaml", run=str(tmp_path / "on"), start_from=start)
    with pytest.raises(UsageError, match="has no player 'discriminato'; did you mean 'discriminator'"):
        gangen.export(trained, tmp_path / "other", players=["discriminato"])
    with pytest.raises(UsageError, match="not the newest model of a run"):
        gangen.export(folder, tmp_path / "other", players=["discriminator"])
    assert not (tmp_path / "other").exists()


def test_a_card_of_ones_own_stays_as_it_is(trained, tmp_path):
    folder = gangen.export(trained, tmp_path / "given", license="mit")
    (folder / "README.md").write_text("---\nlicense: mit\n---\nmine\n")
    files = gangen.publish(folder, "me/points", dry_run=True)
    assert files["README.md"] == len("---\nlicense: mit\n---\nmine\n")
    gangen.publish(folder, "me/points", dry_run=True, license="MIT")
    with pytest.raises(UsageError, match=r"README.md is there already, and stays as it is: write there, by hand"):
        gangen.publish(folder, "me/points", dry_run=True, license="apache-2.0")


@pytest.mark.parametrize("options", [{}, {"license": "any licence"}])
def test_a_licence_is_asked_for_by_an_option(options, trained):
    words = "got 'any licence'" if options else r"does not say under which licence .*\nsay it by --license, as in"
    with pytest.raises(UsageError, match=words):
        gangen.publish(trained, "me/points", dry_run=True, **options)


def test_nothing_half_written_is_left(run, tmp_path):
    with pytest.raises(UsageError, match="is there already"):
        gangen.export(run, run)
    with pytest.raises(RunError, match="there is no folder"):
        gangen.export(tmp_path / "nowhere", tmp_path / "given")
    (run / "model/vocabulary.pkl").write_bytes(b"")
    with pytest.raises(UsageError, match=r"vocabulary.pkl is not of a model, of which others are sent \*.json"):
        gangen.export(run, tmp_path / "given")
    (run / "model/vocabulary.pkl").unlink()
    (run / "model/more.json").symlink_to("/etc/hostname")
    with pytest.raises(RunError, match=r"more\.json is a link that leads out of the model"):
        gangen.export(run, tmp_path / "given")
    (run / "model/more.json").unlink()
    (run / "model/generator.safetensors").write_bytes(b"no weights")
    with pytest.raises(RunError, match="is damaged"):
        gangen.export(run, tmp_path / "given")
    assert not list(tmp_path.glob("*given*"))


def test_code_of_a_models_own_goes_with_it_to_be_read(trained, tmp_path, capsys):
    (tmp_path / "mine.py").write_text(CODE)
    players = {"generator": {"use": "local/mine"}}
    run = gangen.train(trained / "recipe.yaml", run="own", code=[str(tmp_path / "mine.py")], players=players)
    with pytest.raises(UsageError, match="was made with code of its own, which is not run unasked"):
        gangen.export(run, tmp_path / "given")
    assert cli.main(["export", "own", "given", "--code", "mine.py"]) == 0
    assert capsys.readouterr().out.endswith("\ngiven\n") and (tmp_path / "given/code/mine.py").read_text() == CODE
    assert "`code/mine.py`" in (tmp_path / "given/README.md").read_text()
