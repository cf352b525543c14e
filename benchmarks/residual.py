"""What it costs that a discriminator chooses: text/residual with 16 candidates, beside 16 times as many plain samples.

    python benchmarks/residual.py

The networks of recipes/text_gan.yaml, of 2,000 tokens and 48 in a text, untrained, on one CPU thread, taking turns.
Prints CPU seconds, the median of several runs after a first, and their ratio.
"""

import statistics
import time
from collections.abc import Callable

import torch

from gangen.networks import Players
from gangen.samplers import drawing
from gangen_text.networks.cnn import CNNDiscriminator
from gangen_text.networks.lstm import LSTMGenerator
from gangen_text.samplers.residual import Residual
from gangen_text.spec import TextSpec

SPEC = TextSpec(vocab_size=2000, max_length=48, start=0, end=1, pad=2, labels=("psalms", "proverbs"))
CANDIDATES, RUNS = 16, 5


def seconds(draw: Callable[..., object], *arguments: object) -> float:
    start = time.process_time()
    draw(*arguments)
    return time.process_time() - start


def main() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    generator = LSTMGenerator(SPEC, embedding_dim=192, hidden_dim=256)
    players = Players(
        {
            "generator": generator,
            "discriminator": CNNDiscriminator(SPEC, embedding_dim=64, filter_counts=(64,) * 5),
        }
    )
    sampler = Residual(players, candidates=CANDIDATES)
    print(f"{'texts':>8}{'plain x ' + str(CANDIDATES):>16}{'text/residual':>16}{'ratio':>10}")
    for n in (5, 50, 500):
        chosen, plain = {"label": torch.arange(n) % 2}, {"label": torch.arange(n * CANDIDATES) % 2}
        taken: list[tuple[float, float]] = []
        with drawing(0, torch.device("cpu"), *players.values()):
            for _ in range(RUNS + 1):
                alone = seconds(generator.sample, n * CANDIDATES, plain)
                taken.append((alone, seconds(sampler.sample, n, chosen)))
        alone, choosing = (statistics.median(column) for column in zip(*taken[1:], strict=True))
        print(f"{n:8}{alone:16.3f}{choosing:16.3f}{choosing / alone:10.2f}", flush=True)


if __name__ == "__main__":
    main()
