"""How much memory a step of a large player takes, beside a step by hand.

    python benchmarks/player_memory.py WAY [LAYERS HIDDEN_SIZE]
    MALLOC_MMAP_THRESHOLD_=65536 ACCELERATE_USE_CPU=1 torchrun --nproc-per-node 2 benchmarks/player_memory.py WAY

A fresh llama (by default 8 layers of 512 numbers, 8,000 tokens: 42 M parameters), float32, steps of imitation on 4
texts of 16 tokens, on Linux. WAY is ``hand``, a loop of forward, backward, clipping and Adam; ``player``, the same by
the trainer, with a figure of each step's size; ``averaged``, with a moving average; or ``sharded``, such a one that
several processes keep together: memory that these let go of is seen only where the allocator gives it back at once,
which that variable is for. Prints the highest resident memory of three steps, and the memory after them, less
what the process had before its network was made; in multiples of the parameters' memory.
"""

import gc
import sys
from collections.abc import Callable
from pathlib import Path

import torch
from accelerate import Accelerator

from gangen import TensorSplit
from gangen.collectives import rank
from gangen.networks import count_parameters
from gangen.optimizers import Learning, adam
from gangen.training.phases import Phase, Turn
from gangen.training.players import Player
from gangen.training.trainer import Trainer
from gangen_text.networks.causal_lm import CausalLM
from gangen_text.objectives.sequence_kd import SequenceKD
from gangen_text.spec import TextSpec

SPEC = TextSpec(vocab_size=8000, max_length=16, start=0, end=1, pad=2)
TOKENS = torch.arange(3, 3 + 4 * 16).view(4, 16)


class Texts:
    """Data of one batch."""

    train = TensorSplit(tokens=TOKENS)


def steps(way: str, net: CausalLM, accelerator: Accelerator) -> Callable[[], object]:
    """What plays one step."""
    if way == "hand":
        optimizer = torch.optim.Adam(net.parameters(), lr=1e-3, fused=True)

        def by_hand() -> None:
            optimizer.zero_grad()
            (-net.log_prob(TOKENS).mean()).backward()
            torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optimizer.step()

        return by_hand
    player = Player("generator", net, Learning(adam), clip=1.0, ema=0.9 if way in ("averaged", "sharded") else None)
    if way == "sharded":
        player.shard()
    game = SequenceKD(SPEC)
    phase = Phase("imitation", 10**9, (Turn("imitate", game.imitate, game.imitate.updates),), len(TOKENS))
    trainer = Trainer(accelerator=accelerator, data=Texts(), players={"generator": player}, phases=[phase])

    def play() -> None:
        trainer.play_step(phase)
        trainer.meter.read()  # so that each step is measured

    return play


def main(way: str, layers: int = 8, size: int = 512) -> None:
    torch.set_num_threads(1)
    accelerator = Accelerator(cpu=True)
    CausalLM(SPEC, architecture="llama", hidden_size=16)  # which imports all that it needs
    before = resident("VmRSS")
    torch.manual_seed(0)
    net = CausalLM(SPEC, architecture="llama", hidden_size=size, num_hidden_layers=layers)
    count = count_parameters(net)
    step = steps(way, net, accelerator)
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")  # the highest so far is forgotten
    for _ in range(3):
        step()
    highest, after = ((it - before) / (4 * count) for it in (resident("VmHWM"), resident("VmRSS")))
    if not rank():
        print(f"{way}: {count / 1e6:.0f} M parameters; highest {highest:.2f}, after a step {after:.2f}", flush=True)
    accelerator.end_training()


def resident(name: str) -> int:
    """Bytes: VmRSS of now, VmHWM the highest."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
