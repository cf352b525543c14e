"""The framework's own cost: rounds of a tiny MLP game, played by the trainer and by a hand-written loop in turns.

    python benchmarks/framework_cost.py

Prints milliseconds of CPU time per round (one discriminator and one generator step) for both, the median of several
interleaved stretches on one thread, and their difference.
"""

import statistics

import torch
from accelerate import Accelerator
from interleaved import milliseconds
from torch import nn

from gangen import noise
from gangen.contracts import updates
from gangen.losses import NonSaturating
from gangen.optimizers import Learning, adam
from gangen.splits import TensorSplit
from gangen.training.phases import Phase, Turn
from gangen.training.players import Player
from gangen.training.trainer import Trainer

BATCH, ROUNDS, STRETCHES = 64, 500, 21


def networks() -> tuple[nn.Module, nn.Module]:
    torch.manual_seed(0)
    return (nn.Sequential(nn.Linear(2, 32), nn.ReLU(), nn.Linear(32, width)) for width in (2, 1))


class Game:
    loss = NonSaturating()

    @updates("discriminator")
    def discriminate(self, players, batch, clock):
        with torch.no_grad():
            fakes = players.generator(noise.normal(len(batch["points"]), 2))
        loss = self.loss.discriminator(players.discriminator(batch["points"]), players.discriminator(fakes))
        return loss, {}

    @updates("generator")
    def generate(self, players, batch, clock):
        fakes = players.generator(noise.normal(len(batch["points"]), 2))
        return self.loss.generator(None, players.discriminator(fakes)), {}


class Points:
    def __init__(self, points: torch.Tensor) -> None:
        self.train = TensorSplit(points=points)


def framework(points: torch.Tensor):
    optimizer = Learning(adam)
    players = {
        name: Player(name, net, optimizer) for name, net in zip(("generator", "discriminator"), networks(), strict=True)
    }
    game = Game()
    turns = tuple(Turn(name, getattr(game, name), getattr(game, name).updates) for name in ("discriminate", "generate"))
    phase = Phase("adversarial", 10**9, turns, BATCH)
    trainer = Trainer(
        accelerator=Accelerator(cpu=True),
        data=Points(points),
        players=players,
        phases=[phase],
    )

    def play() -> None:
        for _ in range(ROUNDS):
            trainer.play_step(phase)
        trainer.meter.read()

    return play


def by_hand(points: torch.Tensor):
    generator, discriminator = networks()
    adam = {"lr": 1e-3, "fused": True}
    generator_adam = torch.optim.Adam(generator.parameters(), **adam)
    discriminator_adam = torch.optim.Adam(discriminator.parameters(), **adam)
    loss = NonSaturating()

    def play() -> None:
        for _ in range(ROUNDS):
            real = points[torch.randint(len(points), (BATCH,))]
            with torch.no_grad():
                fakes = generator(torch.randn(BATCH, 2))
            discriminator_adam.zero_grad()
            loss.discriminator(discriminator(real), discriminator(fakes)).backward()
            discriminator_adam.step()

            generator_adam.zero_grad()
            discriminator.requires_grad_(False)
            loss.generator(None, discriminator(generator(torch.randn(BATCH, 2)))).backward()
            discriminator.requires_grad_(True)
            generator_adam.step()

    return play


def main() -> None:
    torch.set_num_threads(1)
    points = torch.randn(10_000, 2)
    contenders = {"gangen's trainer": framework(points), "hand-written loop": by_hand(points)}
    times = milliseconds(contenders, ROUNDS, STRETCHES)
    for name, spent in times.items():
        print(f"{name:18} {statistics.median(spent):.3f} ms a round  (from {min(spent):.3f} to {max(spent):.3f})")
    differences = [ours - theirs for ours, theirs in zip(*times.values(), strict=True)]
    print(f"{'difference':18} {statistics.median(differences):.3f} ms a round")


if __name__ == "__main__":
    main()
