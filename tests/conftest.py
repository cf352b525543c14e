"""What tests share: where the repository is, a clean environment for subprocesses, and small labelled text."""

import os
import random
import subprocess
import sys
from pathlib import Path

import forked
import pytest
import torch

ROOT = Path(__file__).parent.parent


def pytest_configure() -> None:
    """Games of tests are so small that a second thread is waited for longer than it helps."""
    torch.set_num_threads(1)


def environment(**extra: str) -> dict[str, str]:
    """The environment of a subprocess: one thread, no hub, none of a launcher's variables."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR")
    }
    return kept | {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"} | extra


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def python():
    """Run this interpreter with ``arguments``, in ``processes`` processes where more than one; returns what it said."""

    def run(*arguments: object, processes: int = 1, check: bool = True, cwd: Path = ROOT, **extra: str):
        several = {"ACCELERATE_USE_CPU": "1"} if processes > 1 else {}
        done = forked.run(list(map(str, arguments)), environment(**several, **extra), cwd, processes)
        assert not check or done.returncode == 0, done.stderr[-4000:]
        return done

    return run


@pytest.fixture(scope="session")
def torchrun():
    """Run this interpreter with ``arguments`` as torchrun starts two processes; returns what they said."""

    def run(*arguments: object, cwd: Path, **extra: str):
        launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
        known = environment(ACCELERATE_USE_CPU="1", **extra)
        return subprocess.run([*launcher, *arguments], env=known, capture_output=True, text=True, timeout=300, cwd=cwd)

    return run


@pytest.fixture(scope="session")
def labelled_csv(tmp_path_factory) -> Path:
    """160 short texts of two labels that differ in their words."""
    words = {
        "weather": ["sun", "rain", "wind", "snow", "cloud", "storm"],
        "kitchen": ["pan", "stove", "bread", "salt", "oven", "knife"],
    }
    chance = random.Random(0)
    lines = ["text,label"]
    for number in range(160):
        label = "weather" if number % 2 else "kitchen"
        lines.append(f"{' '.join(chance.choices(words[label], k=chance.randint(2, 6)))} {number % 7},{label}")
    path = tmp_path_factory.mktemp("data") / "texts.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path
