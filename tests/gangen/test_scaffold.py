"""What gangen writes to begin with works as it is: a plugin of one's own, a recipe of one's own."""

import importlib
import importlib.util
import tomllib
from pathlib import Path

import pytest

from gangen import cli, testing


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_new_plugin_passes_its_own_tests_and_its_recipe_is_played(here, install, monkeypatch, capsys):
    assert cli.main(["new-plugin", "sound_lab"]) == 0
    assert "gangen-sound-lab && pip install" in capsys.readouterr().out
    folder = here / "gangen-sound-lab"
    written = [path.read_text() for path in folder.rglob("*") if path.is_file()]
    assert len(written) == 10 and not any("acme" in text for text in written)
    assert {path.name for path in (folder / ".github/workflows").iterdir()} == {"test.yml"}

    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    assert project["name"] == "gangen-sound-lab" and project["dependencies"][0].startswith("gangen>=")
    monkeypatch.syspath_prepend(str(folder))
    ((name, module),) = project["entry-points"]["gangen"].items()
    with testing.installed(**{name: importlib.import_module(module)}):
        tests = _loaded(folder / "tests/test_sound_lab.py")
        for test in (test for name, test in vars(tests).items() if name.startswith("test_")):
            test()
    install(name, "", module=module)
    assert cli.main(["sound_lab/demo", "phases.adversarial.steps=2", "every.checkpoint=2"]) == 0
    assert Path("runs/demo/model/generator.safetensors").is_file()
    assert cli.main(["new-plugin", "sound_lab", "elsewhere"]) == 2
    assert "the name 'sound_lab' is already taken" in capsys.readouterr().err


def _loaded(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["new-plugin", "text"], "the name 'text' is already taken by a plugin that is installed"),
        (["new-plugin", "Acme!"], "'Acme!' cannot be the name of a plugin: use small letters"),
        (["new-plugin", "acme", "there"], "there is there already: name another folder"),
        (["new-plugin", "acme", "there/mine.yaml/acme"], "cannot write there/mine.yaml/acme: Not a directory"),
        (["copy", "image_gann", "mine.yaml"], "no recipe; did you mean 'image_gan'"),
        (["copy", "image_gan", "there/mine.yaml"], "there/mine.yaml is there already: name another file"),
        (["copy", "image_gan", "nowhere/mine.yaml"], "cannot write nowhere/mine.yaml: No such file"),
    ],
)
def test_nothing_that_is_there_is_replaced(words, message, here, capsys):
    (here / "there").mkdir()
    (here / "there/mine.yaml").write_text("mine")
    assert cli.main(words) == 2
    assert message in capsys.readouterr().err
    assert [path.name for path in here.rglob("*")] == ["there", "mine.yaml"]
    assert (here / "there/mine.yaml").read_text() == "mine"


def test_a_copy_of_a_recipe_is_the_recipe(root, capsys):
    assert cli.main(["copy", "grid25", "mine.yaml"]) == 0
    assert capsys.readouterr().out == "mine.yaml\nnext:    gangen mine.yaml\n"
    assert Path("mine.yaml").read_text() == (root / "recipes/grid25.yaml").read_text()
