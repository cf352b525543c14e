"""A distribution from somebody else, installed as pip installs it, is trained with next to two broken ones."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

FIXTURES = Path(__file__).parents[1] / "fixtures"


@pytest.fixture(scope="module")
def gangen(tmp_path_factory):
    """Run ``python -m gangen`` where gangen-echo, gangen-broken and gangen-taken are installed."""
    site, folder = tmp_path_factory.mktemp("site"), tmp_path_factory.mktemp("work")
    plugins = [FIXTURES / f"gangen-{name}" for name in ("echo", "broken", "taken")]
    pip = f"{sys.executable} -m pip install --quiet --no-deps --no-build-isolation --no-index --target".split()
    subprocess.run([*pip, site, *plugins], check=True, capture_output=True)
    path = os.pathsep.join([str(site), *filter(None, [os.environ.get("PYTHONPATH")])])
    unwanted = ("RANK", "WORLD_SIZE", "GANGEN_STRICT_PLUGINS")
    environment = {name: value for name, value in os.environ.items() if name not in unwanted} | {"PYTHONPATH": path}

    def run(*words: str) -> subprocess.CompletedProcess:
        command = [sys.executable, "-m", "gangen", *words]
        return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)

    run.folder = folder
    return run


def test_the_broken_ones_are_kept_out(gangen):
    listed = gangen("plugins")
    assert listed.returncode == 0
    assert "echo" in listed.stdout and "gangen-echo 0.3.1" in listed.stdout
    assert "broken: ImportError: libring.so: cannot open shared object file" in listed.stdout
    assert "echo (gangen-taken): the name 'echo' is already taken by gangen-echo" in listed.stdout


def test_its_recipe_trains_and_is_sampled_from(gangen):
    trained = gangen("echo/tiny", "run=runs/tiny")
    assert trained.returncode == 0, trained.stderr
    assert (gangen.folder / "runs/tiny/model/points.json").is_file()
    sampled = gangen("sample", "-n", "3", "--seed", "1", "--set", "scale=0.5")
    assert sampled.returncode == 0, sampled.stderr
    assert len(sampled.stdout.splitlines()) == 3
