"""How long ``gangen plugins`` takes where 50 plugins are installed besides.

    python benchmarks/plugins.py

Each registers a network and a game. Prints the median of seven calls, in seconds of the clock and of CPU time.
"""

import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

PLUGINS, TIMES = 50, 7
MODULE = """
from gangen import hookimpl

@hookimpl
def gangen_generators(register):
    register("warp", ".networks:Warp", summary="a network")

@hookimpl
def gangen_objectives(register):
    register("game", ".games:Game", summary="a game")
"""


def install(number: int, site: Path) -> None:
    name = f"p{number}"
    (site / f"gangen_{name}").mkdir()
    (site / f"gangen_{name}/__init__.py").write_text(MODULE)
    metadata = site / f"gangen_{name}-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: gangen-{name}\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(f"[gangen]\n{name} = gangen_{name}\n")


def listed(site: Path) -> tuple[float, float]:
    paths = os.pathsep.join([str(site), os.environ.get("PYTHONPATH", "")])
    begun, before = time.monotonic(), os.times()
    command = [sys.executable, "-m", "gangen", "plugins"]
    shown = subprocess.run(command, env=os.environ | {"PYTHONPATH": paths}, capture_output=True, text=True, check=True)
    after = os.times()
    assert shown.stdout.count("gangen-p") == PLUGINS
    worked = after.children_user + after.children_system - before.children_user - before.children_system
    return time.monotonic() - begun, worked


with TemporaryDirectory() as folder:
    for number in range(PLUGINS):
        install(number, Path(folder))
    taken = [listed(Path(folder)) for _ in range(TIMES)]
clock, cpu = (statistics.median(values) for values in zip(*taken, strict=True))
print(f"{clock:.2f} s by the clock, {cpu:.2f} s of CPU time")
