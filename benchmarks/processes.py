"""What two processes on CPUs gain over one, beside torch's DistributedDataParallel on the same networks and batch.

    ACCELERATE_USE_CPU=1 torchrun --nproc-per-node 2 benchmarks/processes.py

One thread each. A round of an image GAN is a step of the discriminator and one of the generator: DCGAN, 64 images of
32 x 32. That of a language model is a step of imitation: 64 texts of 32 tokens. The three ways take turns, block by
block. Prints the median milliseconds of a round, and efficiency: the time of one process that has the whole batch, over
twice that of two.
"""

import statistics
import time
from collections.abc import Callable, Mapping

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from gangen.contracts import Clock
from gangen.losses import NonSaturating
from gangen.optimizers import Learning, adam
from gangen.training.players import Player, learning
from gangen_image.networks.dcgan import DCGANDiscriminator, DCGANGenerator
from gangen_image.spec import ImageSpec
from gangen_text.networks.lstm import LSTMGenerator
from gangen_text.spec import TextSpec

BATCH, BLOCKS, ROUNDS = 64, 12, 4
CLOCK = Clock("adversarial", 0, 1)
LOSS = NonSaturating()
Turns = Mapping[str, Callable[[Mapping[str, Callable], int], Tensor]]


class Likelihood(nn.Module):
    """A language model whose forward pass is what it is asked for, as DistributedDataParallel wants it."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, tokens: Tensor) -> Tensor:
        return self.net.log_prob(tokens)


def image_game() -> tuple[dict[str, nn.Module], Turns]:
    spec = ImageSpec(3, 32)
    images = torch.randn(BATCH, 3, 32, 32)

    def discriminate(nets: Mapping[str, Callable], n: int) -> Tensor:
        with torch.no_grad():
            fakes = nets["generator"](torch.randn(n, 100))
        return LOSS.discriminator(*nets["discriminator"](torch.cat([images[:n], fakes])).chunk(2))

    def generate(nets: Mapping[str, Callable], n: int) -> Tensor:
        return LOSS.generator(None, nets["discriminator"](nets["generator"](torch.randn(n, 100))))

    nets = {"generator": DCGANGenerator(spec, norm="none"), "discriminator": DCGANDiscriminator(spec, norm="none")}
    return nets, {"discriminator": discriminate, "generator": generate}


def text_game() -> tuple[dict[str, nn.Module], Turns]:
    net = LSTMGenerator(TextSpec(vocab_size=2000, max_length=32, start=0), embedding_dim=128, hidden_dim=256)
    tokens = torch.randint(4, 2000, (BATCH, 32))
    return {"generator": Likelihood(net)}, {"generator": lambda nets, n: -nets["generator"](tokens[:n]).mean()}


def play(players: Mapping[str, Player], turns: Turns, n: int) -> None:
    """A round as gangen's trainer plays it."""
    nets = {name: player.net for name, player in players.items()}
    for name, turn in turns.items():
        with learning(players, [name]) as (learner,):
            turn(nets, n).backward()
            if n < BATCH:
                learner.share_gradients()
            learner.step(CLOCK)


def play_wrapped(nets: Mapping[str, nn.Module], wrapped: Mapping, optimizers: Mapping, turns: Turns, n: int) -> None:
    """A round in which the one who learns is wrapped, and the others are frozen."""
    for name, turn in turns.items():
        for other, net in nets.items():
            net.requires_grad_(other == name)
        optimizers[name].zero_grad()
        turn({**nets, name: wrapped[name]}, n).backward()
        optimizers[name].step()


def measure(title: str, made: tuple[dict[str, nn.Module], Turns]) -> None:
    nets, turns = made
    players = {name: Player(name, net, Learning(adam)) for name, net in nets.items()}
    wrapped = {name: DistributedDataParallel(net) for name, net in nets.items()}
    optimizers = {name: torch.optim.Adam(net.parameters(), fused=True) for name, net in nets.items()}
    alone = dist.get_rank() == 0
    ways = {
        "one process": lambda: play(players, turns, BATCH) if alone else None,
        "two": lambda: play(players, turns, BATCH // 2),
        "two, wrapped": lambda: play_wrapped(nets, wrapped, optimizers, turns, BATCH // 2),
    }
    taken: dict[str, list[float]] = {way: [] for way in ways}
    for block in range(BLOCKS + 1):
        for way, work in ways.items():
            dist.barrier()
            start = time.perf_counter()
            for _ in range(ROUNDS):
                work()
            if block and alone:  # the first one warms up
                taken[way].append((time.perf_counter() - start) / ROUNDS * 1000)
        for net in nets.values():
            net.requires_grad_(True)
    if alone:
        one, *others = (statistics.median(it) for it in taken.values())
        size = sum(parameter.nbytes for net in nets.values() for parameter in net.parameters())
        print(f"{title}, {size / 2**20:.1f} MiB of gradients: one process {one:.0f} ms", flush=True)
        for way, ms in zip(list(ways)[1:], others, strict=True):
            print(f"  {way:14}{ms:7.1f} ms   efficiency {one / ms / 2:.2f}", flush=True)


def main() -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo")
    torch.manual_seed(0)
    measure("image GAN", image_game())
    measure("imitation of text", text_game())
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
