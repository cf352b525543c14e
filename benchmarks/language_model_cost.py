"""What a causal language model costs as a player: answers beside ``model.generate``, a step beside a loop by hand.

    python benchmarks/language_model_cost.py [LAYERS HIDDEN_SIZE BATCH]

A fresh llama (by default 4 layers of 256 numbers, 8,000 tokens, batches of 32) on one CPU thread, float32: prompts of 8
to 32 tokens, answers of 32, which a fresh network hardly ever ends. By hand is what transformers has: generate() behind
left padding; and a loop of its forward, logits for answers alone, cross-entropy, clipping and Adam. Prints the medians
of interleaved stretches of CPU seconds, and that of their ratios: gangen's over that by hand, below 1 where it takes
less.
"""

import statistics
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import replace

import torch
import torch.nn.functional as F
from accelerate import Accelerator
from torch import Tensor

from gangen import TensorSplit, noise
from gangen.optimizers import Learning, adam
from gangen.training.phases import Phase, Turn
from gangen.training.players import Player
from gangen.training.trainer import Trainer
from gangen_text.networks.causal_lm import CausalLM
from gangen_text.objectives.sequence_kd import SequenceKD
from gangen_text.spec import PromptedSpec, TextSpec

PLAIN = TextSpec(vocab_size=8000, max_length=32, start=0, end=1, pad=2)
SPEC = PromptedSpec(vocab_size=8000, max_length=32, start=0, end=1, pad=2, input=replace(PLAIN, max_length=33))
STRETCHES, STEPS = 7, 4


def network(layers: int, size: int) -> CausalLM:
    torch.manual_seed(0)
    return CausalLM(SPEC, architecture="llama", hidden_size=size, num_hidden_layers=layers)


def rows(batch: int) -> dict[str, Tensor]:
    """Prompts "input" ``[batch, 33]`` with an end and padding behind them, and answers "tokens" ``[batch, 32]``."""
    lengths = torch.randint(8, 33, (batch, 1))
    place = torch.arange(33)
    prompts = torch.randint(3, SPEC.vocab_size, (batch, 33))
    prompts = prompts.where(place < lengths, torch.where(place == lengths, SPEC.end, SPEC.pad))
    return {"input": prompts, "tokens": torch.randint(3, SPEC.vocab_size, (batch, 32))}


def padded(prompts: Tensor) -> tuple[Tensor, Tensor]:
    """Prompts with padding at their left, and a mask that is 0 there."""
    lengths = (prompts > SPEC.pad).sum(1)
    ids = torch.full((len(prompts), int(lengths.max())), SPEC.pad)
    for row, length in enumerate(lengths.tolist()):
        ids[row, -length:] = prompts[row, :length]
    return ids, (ids != SPEC.pad).long()


def answering(net: CausalLM, batch: Mapping[str, Tensor]) -> dict[str, Callable[[], object]]:
    """Answers to the same prompts."""
    ids, mask = padded(batch["input"])
    plain = {"do_sample": True, "top_k": 0, "max_new_tokens": 32, "pad_token_id": SPEC.pad, "eos_token_id": SPEC.end}

    def ours() -> None:
        with noise.shared(0):
            net.sample(len(ids), batch)

    return {"gangen": ours, "by hand": lambda: net.net.generate(input_ids=ids, attention_mask=mask, **plain)}


class Prompts:
    """Data of one batch."""

    def __init__(self, batch: Mapping[str, Tensor]) -> None:
        self.train = TensorSplit(**batch)


def training(layers: int, size: int, batch: Mapping[str, Tensor]) -> dict[str, Callable[[], object]]:
    """``STEPS`` steps of maximum likelihood on the same rows."""
    game, net = SequenceKD(SPEC), network(layers, size)
    count = len(batch["tokens"])
    phase = Phase("imitation", 10**9, (Turn("imitate", game.imitate, game.imitate.updates),), count)
    players = {"generator": Player("generator", net, Learning(adam), clip=1.0)}
    trainer = Trainer(accelerator=Accelerator(cpu=True), data=Prompts(batch), players=players, phases=[phase])
    model = network(layers, size).net
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)
    (ids, mask), answers = padded(batch["input"]), batch["tokens"]
    both = {"input_ids": torch.cat([ids, answers], 1), "attention_mask": torch.cat([mask, torch.ones_like(answers)], 1)}

    def ours() -> None:
        for _ in range(STEPS):
            trainer.play_step(phase)
        trainer.meter.read()

    def by_hand() -> None:
        for _ in range(STEPS):
            optimizer.zero_grad()
            logits = model(**both, use_cache=False, logits_to_keep=answers.shape[1] + 1).logits[:, :-1]
            F.cross_entropy(logits.flatten(0, 1), answers.flatten()).backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()

    return {"gangen": ours, "by hand": by_hand}


def compare(what: str, contenders: Mapping[str, Callable[[], object]], times: int = 1) -> None:
    taken: dict[str, list[float]] = {name: [] for name in contenders}
    for stretch in range(STRETCHES + 1):
        for name, work in contenders.items():
            start = time.process_time()
            work()
            if stretch:  # the first warms up
                taken[name].append((time.process_time() - start) / times)
    ratio = statistics.median(ours / theirs for ours, theirs in zip(*taken.values(), strict=True))
    words = ", ".join(f"{name} {statistics.median(seconds):.3f} s" for name, seconds in taken.items())
    print(f"{what}: {words}, ratio {ratio:.3f}")


def main(layers: int = 4, size: int = 256, count: int = 32) -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    batch = rows(count)
    compare("a batch of answers", answering(network(layers, size), batch))
    compare("a step of training", training(layers, size, batch), STEPS)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
