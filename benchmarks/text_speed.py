"""What the text networks cost on one CPU thread, at the sizes of the SeqGAN experiment.

    python benchmarks/text_speed.py

Batch 64, length 20, vocabulary 5,000; LSTM with 32 embedding and 32 hidden dimensions; discriminator with 4.08 million
parameters; float32. Prints seconds of CPU time, the median of several runs after a first, and the largest resident
memory of the process so far.
"""

import resource
import statistics
import time
from collections.abc import Callable

import torch

from gangen.contracts import Clock
from gangen.losses import NonSaturating
from gangen.optimizers import Learning, adam
from gangen.training.players import Player, learning, networks_of
from gangen_text.networks.cnn import CNNDiscriminator
from gangen_text.networks.lstm import LSTMGenerator
from gangen_text.objectives.seqgan import SeqGAN
from gangen_text.spec import TextSpec

SPEC = TextSpec(vocab_size=5000, max_length=20, start=0)
BATCH, ROLLOUTS, SAMPLES = 64, 16, 10_000
WIDTHS = (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 15, 20)
COUNTS = (100, 200, 200, 200, 200, 100, 100, 100, 100, 100, 160, 160)
CLOCK = Clock("adversarial", 0, 1)


def seconds(work: Callable[[], object], runs: int) -> float:
    work()
    taken = []
    for _ in range(runs):
        start = time.process_time()
        work()
        taken.append(time.process_time() - start)
    return statistics.median(taken)


def main() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    generator = LSTMGenerator(SPEC, embedding_dim=32, hidden_dim=32)
    discriminator = CNNDiscriminator(SPEC, embedding_dim=64, filter_widths=WIDTHS, filter_counts=COUNTS, dropout=0.25)
    players = {
        "generator": Player("generator", generator, Learning(adam), clip=5.0),
        "discriminator": Player("discriminator", discriminator, Learning(adam)),
    }
    networks = networks_of(players)
    game = SeqGAN(SPEC, loss=NonSaturating(), rollouts=ROLLOUTS)
    oracle = LSTMGenerator(SPEC, embedding_dim=32, hidden_dim=32, init_std=1.0)
    batch = {"tokens": oracle.sample(BATCH)}
    both = torch.cat([batch["tokens"], generator.sample(BATCH)])

    def step(turn: Callable) -> None:
        with learning(players, turn.updates) as learners:
            turn(networks, batch, CLOCK)[0].value.backward()
            for player in learners:
                player.step(CLOCK)

    def discriminate() -> None:
        with learning(players, ("discriminator",)) as (player,):
            game.loss.discriminator(*discriminator(both).split(BATCH)).backward()
            player.step(CLOCK)

    rows = (
        ("maximum-likelihood step", lambda: step(game.imitate), 21),
        (f"discriminator step, {BATCH} real and {BATCH} given fakes", discriminate, 21),
        (f"sampling {SAMPLES:,} texts", lambda: generator.sample(SAMPLES), 5),
        (f"policy-gradient step, {ROLLOUTS} rollouts at every position", lambda: step(game.policy), 3),
    )
    print(f"{'':55}{'CPU seconds':>12}{'peak MB':>10}")
    for name, work, runs in rows:
        taken = seconds(work, runs)
        print(f"{name:55}{taken:12.4f}{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:10.0f}", flush=True)


if __name__ == "__main__":
    main()
