"""What the step plan is worth: a DCGAN at 32 x 32, played by the trainer and by hand-written loops in turns.

    python benchmarks/step_plan.py

The networks have 1,068,931 and 663,360 parameters, the batch is 64, one thread. A round is one step of the
discriminator and one of the generator. "autograd everywhere" is the loop that most code runs: fakes with a graph
in both steps, the discriminator's weights take a gradient in both, Adam as it comes, tensors as they come. "by hand,
best" is the loop that does what the trainer does, without the trainer. Prints CPU milliseconds a round, the median of
interleaved stretches, images a second, and how many times the first row's those are. What the trainer itself costs is
too little to be seen here: see framework_cost.py.

There is little more to be had in float32: nearly nine tenths of a round are convolutions, at the peak of a core. In
units of a forward pass of either network (they cost about the same, and a backward pass to weights or to inputs as much
again), the first row's round takes 13, the trainer's 12, and with ``reuse_fakes`` 11.

The last two rows are the discriminator's step alone with R1 and R2, in the pass of the loss and in passes of their own.
"""

import statistics
from collections.abc import Callable, Sequence

import torch
from accelerate import Accelerator
from interleaved import milliseconds
from torch import Tensor, nn

from gangen.losses import NonSaturating
from gangen.optimizers import Learning, adam
from gangen.penalties import R1, R2, Penalty
from gangen.schedules import Schedule
from gangen.splits import TensorSplit
from gangen.training.phases import Phase, Turn
from gangen.training.players import Player
from gangen.training.trainer import Trainer
from gangen_image.networks.dcgan import DCGANDiscriminator, DCGANGenerator
from gangen_image.objectives.gan import ImageGAN
from gangen_image.spec import ImageSpec

BATCH, ROUNDS, STRETCHES = 64, 5, 15
SPEC = ImageSpec(channels=3, size=32, labels=())
RATE, BETAS = 2e-4, (0.5, 0.999)

Play = Callable[[], None]


def networks() -> tuple[nn.Module, nn.Module]:
    torch.manual_seed(0)
    return DCGANGenerator(SPEC), DCGANDiscriminator(SPEC)


class Images:
    def __init__(self, images: Tensor) -> None:
        self.train = TensorSplit(image=images)


def trainer(
    images: Tensor,
    *,
    reuse_fakes: bool = False,
    turns: Sequence[str] = ("discriminate", "generate"),
    penalties: Sequence[Penalty] = (),
    networks: Callable[[], tuple[nn.Module, nn.Module]] = networks,
) -> Play:
    optimizer = Learning(adam, {"lr": Schedule(RATE), "betas": tuple(map(Schedule, BETAS))})
    players = {
        name: Player(name, net, optimizer) for name, net in zip(("generator", "discriminator"), networks(), strict=True)
    }
    game = ImageGAN(SPEC, loss=NonSaturating(), penalties=penalties, reuse_fakes=reuse_fakes)
    played = tuple(Turn(name, getattr(game, name), getattr(game, name).updates) for name in turns)
    phase = Phase("adversarial", 10**9, played, BATCH)
    plays = Trainer(accelerator=Accelerator(cpu=True), data=Images(images), players=players, phases=[phase])

    def play() -> None:
        for _ in range(ROUNDS):
            plays.play_step(phase)
        plays.meter.read()

    return play


def autograd_everywhere(images: Tensor) -> Play:
    generator, discriminator = (net.to(memory_format=torch.contiguous_format) for net in networks())
    generator_adam = torch.optim.Adam(generator.parameters(), RATE, BETAS)
    discriminator_adam = torch.optim.Adam(discriminator.parameters(), RATE, BETAS)
    loss = NonSaturating()

    def play() -> None:
        for _ in range(ROUNDS):
            fakes = generator(torch.randn(BATCH, 100))
            discriminator_adam.zero_grad()
            loss.discriminator(discriminator(real_batch(images)), discriminator(fakes.detach())).backward()
            discriminator_adam.step()

            generator_adam.zero_grad()
            loss.generator(None, discriminator(generator(torch.randn(BATCH, 100)))).backward()
            generator_adam.step()

    return play


def best_by_hand(images: Tensor, *, reuse_fakes: bool) -> Play:
    generator, discriminator = networks()
    generator_adam = torch.optim.Adam(generator.parameters(), RATE, BETAS, fused=True)
    discriminator_adam = torch.optim.Adam(discriminator.parameters(), RATE, BETAS, fused=True)
    loss = NonSaturating()

    def play() -> None:
        for _ in range(ROUNDS):
            with torch.set_grad_enabled(reuse_fakes):
                fakes = generator(torch.randn(BATCH, 100))
            discriminator_adam.zero_grad()
            loss.discriminator(discriminator(real_batch(images)), discriminator(fakes.detach())).backward()
            discriminator_adam.step()

            generator_adam.zero_grad()
            discriminator.requires_grad_(False)
            loss.generator(None, discriminator(fakes if reuse_fakes else generator(torch.randn(BATCH, 100)))).backward()
            discriminator.requires_grad_(True)
            generator_adam.step()

    return play


def apart(*penalties: Penalty) -> list[Penalty]:
    """Penalties that ask the discriminator by themselves."""
    for penalty in penalties:
        penalty.differentiates = ()
    return list(penalties)


def real_batch(images: Tensor) -> Tensor:
    return images[torch.randint(len(images), (BATCH,))].float() / 127.5 - 1


def main() -> None:
    torch.set_num_threads(1)
    images = torch.randint(256, (5_000, 3, 32, 32), dtype=torch.uint8)
    contenders = {
        "autograd everywhere": autograd_everywhere(images),
        "by hand, best": best_by_hand(images, reuse_fakes=False),
        "trainer": trainer(images),
        "by hand, best, reuse_fakes": best_by_hand(images, reuse_fakes=True),
        "trainer, reuse_fakes": trainer(images, reuse_fakes=True),
        "D, R1 and R2, one pass": trainer(images, turns=["discriminate"], penalties=[R1(), R2()]),
        "D, R1 and R2, passes apart": trainer(images, turns=["discriminate"], penalties=apart(R1(), R2())),
    }
    times = milliseconds(contenders, ROUNDS, STRETCHES)
    plain = times["autograd everywhere"]
    for name, spent in times.items():
        ratio = statistics.median(first / ours for first, ours in zip(plain, spent, strict=True))
        median = statistics.median(spent)
        print(f"{name:28} {median:6.1f} ms a round  {1000 * BATCH / median:4.0f} images/s  {ratio:.2f} times the first")


if __name__ == "__main__":
    main()
