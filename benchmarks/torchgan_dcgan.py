"""torchgan's trainer and gangen's, in turns, with torchgan's own DCGAN at 32 x 32.

    pip install torchgan
    python benchmarks/torchgan_dcgan.py

Both play its generator and discriminator of 64 channels (1,068,931 and 663,360 parameters) with the non-saturating
loss, Adam, a batch of 64, one thread. A round is one step of each player. Prints CPU milliseconds a round, the median
of interleaved stretches, and how many times torchgan's speed gangen's is: as torchgan plays, and with ``reuse_fakes``.
"""

import os
import statistics
import tempfile
from collections.abc import Callable

import torch
from torch import Tensor, nn

# It writes reports otherwise, which take their time.
os.environ |= {"TENSORBOARD_LOGGING": "0", "CONSOLE_LOGGING": "0"}

from interleaved import milliseconds
from step_plan import BATCH, BETAS, RATE, ROUNDS, STRETCHES, trainer
from torchgan.losses import MinimaxDiscriminatorLoss, MinimaxGeneratorLoss
from torchgan.models import DCGANDiscriminator, DCGANGenerator
from torchgan.trainer import Trainer


class Generator(nn.Module):
    """torchgan's, as gangen plays it."""

    def __init__(self) -> None:
        super().__init__()
        self.net = DCGANGenerator()

    def sample(self, n: int, condition: object = None) -> Tensor:
        return self.net(torch.randn(n, 100))


class Discriminator(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.net = DCGANDiscriminator()

    def forward(self, images: Tensor, condition: object = None) -> Tensor:
        return self.net(images)


def networks() -> tuple[nn.Module, nn.Module]:
    # As gangen's own networks are laid out, and torchgan leaves its.
    return Generator().to(memory_format=torch.channels_last), Discriminator().to(memory_format=torch.channels_last)


def torchgans(images: Tensor, folder: str) -> Callable[[], None]:
    optimizer = {"name": torch.optim.Adam, "args": {"lr": RATE, "betas": BETAS}}
    plays = Trainer(
        {
            "generator": {"name": DCGANGenerator, "optimizer": optimizer},
            "discriminator": {"name": DCGANDiscriminator, "optimizer": optimizer},
        },
        [MinimaxGeneratorLoss(), MinimaxDiscriminatorLoss()],
        device=torch.device("cpu"),
        checkpoints=f"{folder}/model/gan",
        recon=f"{folder}/images",
    )
    plays.batch_size = BATCH

    def play() -> None:
        for _ in range(ROUNDS):
            plays.real_inputs = images[torch.randint(len(images), (BATCH,))].float() / 127.5 - 1
            plays.train_iter()

    return play


def main() -> None:
    torch.set_num_threads(1)
    images = torch.randint(256, (5_000, 3, 32, 32), dtype=torch.uint8)
    with tempfile.TemporaryDirectory() as folder:
        contenders = {
            "torchgan": torchgans(images, folder),
            "gangen": trainer(images, networks=networks),
            "gangen, reuse_fakes": trainer(images, networks=networks, reuse_fakes=True),
        }
        times = milliseconds(contenders, ROUNDS, STRETCHES)
    for name, spent in times.items():
        ratio = statistics.median(theirs / it for theirs, it in zip(times["torchgan"], spent, strict=True))
        print(f"{name:20} {statistics.median(spent):6.1f} ms a round  {ratio:.2f} times torchgan's speed")


if __name__ == "__main__":
    main()
