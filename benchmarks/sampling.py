"""What ``Model.sample`` costs beside its network called by hand, in CPU time.

    gangen ring8 && OMP_NUM_THREADS=1 python benchmarks/sampling.py runs/ring8

By hand: as many rows at once, no gradients, the codec, but no seeds of rows. Both draw 10,000 samples in turns, eleven
times. Prints the median of each, and of what seeds take for a sample.
"""

import statistics
import sys
import time
from collections.abc import Callable

import torch

import gangen
from gangen.model import NUMBERS_AT_ONCE

N, TIMES = 10_000, 11


def by_hand(model: gangen.Model) -> None:
    network, condition = model.networks["generator"], model.codec.encode(None, N)
    at_once = NUMBERS_AT_ONCE // network.sample(1, {key: rows[:1] for key, rows in condition.items()})[0].numel()
    for start in range(0, N, at_once):
        rows = {key: column[start : start + at_once] for key, column in condition.items()}
        model.codec.decode(network.sample(min(at_once, N - start), rows))


def seconds(work: Callable[[], object]) -> float:
    begun = time.process_time()
    work()
    return time.process_time() - begun


model = gangen.load(sys.argv[1])
with torch.no_grad():
    taken = [(seconds(lambda: model.sample(n=N, seed=1)), seconds(lambda: by_hand(model))) for _ in range(TIMES)]
ours, theirs = zip(*taken, strict=True)
print(f"Model.sample {statistics.median(ours):.3f} s, by hand {statistics.median(theirs):.3f} s")
print(f"seeds: {statistics.median(a - b for a, b in taken) / N * 1e6:.1f} µs a sample")
