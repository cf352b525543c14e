"""The command: addresses that cannot be had, and a server that answers and ends when it is told to."""

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request

import pytest

import gangen
from gangen import UsageError, cli
from gangen.serving.app import Limits
from gangen.serving.server import serve


def test_a_port_in_use_is_told(model):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UsageError, match=rf"port {port} of 127.0.0.1 cannot be had: .*in use.*\ntake another by"):
            serve(model, host="127.0.0.1", port=port, limits=Limits())


@pytest.mark.parametrize(("host", "port"), [("127.0.0.1", 70_000), ("nowhere.invalid", 0), ("127.0.0.1", -1)])
def test_what_can_be_no_address_is_told(model, host, port):
    with pytest.raises(UsageError, match=f"port {port} of {host} cannot be had"):
        serve(model, host=host, port=port, limits=Limits())


@pytest.mark.parametrize("flag", ["--max-n", "--max-bytes", "--max-seconds"])
def test_limits_are_more_than_nothing(flag, capsys):
    assert cli.main(["serve", "runs/none", flag, "0"]) == 2
    assert f"{flag} must be more than 0, got 0" in capsys.readouterr().err


def test_a_run_is_served_until_the_server_is_told_to_end(tmp_path):
    recipe = {
        "run": str(tmp_path / "run"),
        "data": {"use": "image/points", "size": 64, "heldout_size": 8},
        "players": {"generator": "image/mlp", "discriminator": "image/mlp"},
        "objective": "image/gan",
        "phases": {"adversarial": {"steps": 1, "turns": {"discriminate": 1, "generate": 1}}},
    }
    run = gangen.train(recipe)
    command = [sys.executable, "-u", "-m", "gangen", "serve", str(run.folder), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ) as server:
        try:
            title, _, address, *_ = server.stdout.readline().split()
            assert title == "run"
            asked = urllib.request.Request(
                f"{address}/sample", b'{"n": 2, "seed": 1}', {"Content-Type": "application/json"}
            )
            with urllib.request.urlopen(asked, timeout=60) as answer:
                assert json.load(answer)["samples"] == [list(point) for point in run.model.sample(n=2, seed=1)]
        finally:
            server.send_signal(signal.SIGINT)
        assert server.wait(60) in (0, 130)
