"""What ``compile: true`` is worth: a DCGAN at 32 x 32, compiled and as it is, in turns.

    python benchmarks/compilation.py

The batch is 64, one thread, 64 channels. Rows: the R1 penalty with its gradient, for a discriminator without norms
and one with layer norm, and a round of one step of the discriminator and one of the generator (batch norm). Prints CPU
milliseconds, the median of interleaved stretches, their ratio, and the seconds of the first call, which compiles (once:
torch keeps on disk what it compiled). "difference" is the largest of any gradient relative to the largest gradient of
the same weight; where an activation falls on the other side of a leaky ReLU's corner, that is some 1e-3.
"""

import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor

from gangen import noise
from gangen.contracts import Clock
from gangen.losses import NonSaturating
from gangen.optimizers import Learning, sgd
from gangen.penalties import R1
from gangen.schedules import Schedule
from gangen.training.compilation import compile_game
from gangen.training.players import Player, learning, networks_of
from gangen_image.networks.dcgan import DCGANDiscriminator, DCGANGenerator
from gangen_image.objectives.gan import ImageGAN
from gangen_image.spec import ImageSpec

BATCH, STRETCHES = 64, 15
SPEC = ImageSpec(channels=3, size=32, labels=())
CLOCK = Clock("adversarial", 0, 1)
IMAGES = torch.randint(256, (BATCH, 3, 32, 32), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)

Gradients = dict[str, Tensor]


def game(norm: str, turns: tuple[str, ...], compiled: bool) -> Callable[[], Gradients]:
    """Plays ``turns``, or R1 alone where there are none; the weights never change, so that gradients compare."""
    torch.manual_seed(0)
    nets = {"generator": DCGANGenerator(SPEC), "discriminator": DCGANDiscriminator(SPEC, norm=norm)}
    still = Learning(sgd, {"lr": Schedule(0.0)})
    players = {name: Player(name, net.train(), still) for name, net in nets.items()}
    networks = networks_of(players)
    objective = ImageGAN(SPEC, loss=NonSaturating(), lazy_penalties=[R1()])
    if compiled:
        compile_game(players, objective, print)
    images = SPEC.prepare(IMAGES)

    def step(learner: Player, loss: Callable[[], Tensor]) -> Gradients:
        with learning(players, [learner.name]), noise.shared(1):
            loss().backward()
            learner.step(CLOCK)
        named = learner.net.named_parameters()
        return {f"{learner.name}.{name}": it.grad for name, it in named if it.grad is not None}

    def penalty() -> Tensor:
        return objective.lazy_penalties[0](lambda samples: networks.discriminator(samples), images, images, CLOCK)

    def play() -> Gradients:
        gradients = {} if turns else step(players["discriminator"], penalty)
        for turn in (getattr(objective, name) for name in turns):
            gradients |= step(players[turn.updates[0]], lambda turn=turn: turn(networks, {"image": IMAGES}, CLOCK)[0])
        return gradients

    return play


def seconds(play: Callable[[], Gradients], clock: Callable[[], float] = time.process_time) -> float:
    start = clock()
    play()
    return clock() - start


def main() -> None:
    torch.set_num_threads(1)
    rows = {
        "R1, no norm": ("none", ()),
        "R1, layer norm": ("layer", ()),
        "a round, batch norm": ("batch", ("discriminate", "generate")),
    }
    print(f"{'':20} {'plain ms':>9} {'compiled':>9} {'ratio':>6} {'difference':>11} {'first s':>8}")
    for name, (norm, turns) in rows.items():
        plain, compiled = (game(norm, turns, it) for it in (False, True))
        first = seconds(compiled, time.perf_counter)
        expected, found = plain(), compiled()
        difference = max(((found[key] - it).abs().max() / it.abs().max()).item() for key, it in expected.items())
        taken = [(seconds(plain), seconds(compiled)) for _ in range(STRETCHES)]
        before, after = (1e3 * statistics.median(column) for column in zip(*taken, strict=True))
        print(f"{name:20} {before:9.1f} {after:9.1f} {before / after:6.2f} {difference:11.1e} {first:8.1f}", flush=True)


if __name__ == "__main__":
    main()
