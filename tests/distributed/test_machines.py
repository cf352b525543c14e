"""Several machines, each with a launcher of its own, train what one process does."""

import os
import socket
import subprocess
import sys

import torch
from safetensors.torch import load_file

RECIPE = """
run: runs/two
data: {use: image/points, size: 256, heldout_size: 64}
players:
  generator: {use: image/mlp, hidden_dim: 8, optimizer: {lr: 0.01, eps: 1e-4}, ema: 0.9}
  discriminator: {use: image/mlp, hidden_dim: 8, optimizer: {lr: 0.01, eps: 1e-4}}
objective: {use: image/gan, loss: relativistic_average, penalties: [r1]}
phases: {adversarial: {steps: 3, turns: {discriminate: 1, generate: 1}}}
trainer: {batch_size: 32, precision: fp64, threads: 1}
every: {sample: 0, checkpoint: 3}
"""


def test_two_machines_train_what_one_process_does(tmp_path, python):
    """As docs/processes.md has it; this machine is both."""
    (tmp_path / "game.yaml").write_text(RECIPE)
    python("-m", "gangen", "game.yaml", "run=runs/one", cwd=tmp_path)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    launch = [sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu", "--num_machines", "2"]
    launch += ["--num_processes", "2", "--main_process_ip", "127.0.0.1", "--main_process_port", port]
    launch += ["--mixed_precision", "no", "--dynamo_backend", "no"]
    machines = [
        subprocess.Popen(
            [*launch, "--machine_rank", str(rank), "-m", "gangen", "game.yaml"],
            env=os.environ | {"ACCELERATE_USE_CPU": "1", "OMP_NUM_THREADS": "1"},
            cwd=tmp_path,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    said = [machine.communicate(timeout=300)[1] for machine in machines]
    assert [machine.returncode for machine in machines] == [0, 0], said
    for name in ("model/generator", "checkpoints/step-00000003/discriminator/model"):
        one, two = (load_file(tmp_path / "runs" / run / f"{name}.safetensors") for run in ("one", "two"))
        for key, weights in one.items():
            torch.testing.assert_close(two[key], weights, rtol=1e-10, atol=1e-12)
