"""What each game of the menu makes of one and the same language model, beside as many more steps of imitation.

    python benchmarks/text_menu.py RUN [GAME ...] [OVERRIDE ...]

RUN was played by maximum likelihood, with the metrics that are to be taken. Each game begins with its generator: the
others learn for 200 steps, and then all of them for 200, the generator with a constant learning rate of 1e-4.
Games of texts with labels, as sentigan, are played where they are named.
Overrides are those of recipes and apply to every game, as in phases.play.steps=500. Prints a table in Markdown, with
the CPU seconds of a game, its evaluation included; runs stay beside RUN, in RUN-GAME.
"""

import sys
import time
from pathlib import Path

import torch

from gangen import Figure, cli
from gangen.run_directory import RunDirectory

FILTERS = "filter_widths: [1, 2, 3, 4, 5], filter_counts: [64, 64, 64, 64, 64]"
CNN = f"players.discriminator={{use: text/cnn, {FILTERS}, dropout: 0.5, optimizer: {{lr: 1e-3, betas: [0.5, 0.99]}}}}"
EMBEDDINGS = "embedding_dim: 1, representations: 64, filter_widths: [2, 3, 4, 5], filter_counts: [64, 64, 64, 64]"
RELGAN = f"players.discriminator={{use: text/cnn, {EMBEDDINGS}, optimizer: {{lr: 1e-4}}}}"
RELAX = "loss: relativistic_paired, temperature: {start: 1, end: 0.01, shape: exponential}"
MEDIATOR = "players.mediator={kind: generators, init: generator, optimizer: {lr: 1e-3}}"
REFERENCE = "players.reference={kind: generators, copy_of: generator}"
GAMES = {
    "imitation": ("text/seqgan", "", "imitate: 1"),
    "coop": ("{use: text/coop, by: weights}", CNN, "discriminate: 1, cooperate: 1"),
    "coop-choice": ("{use: text/coop, by: choice}", CNN, "discriminate: 1, cooperate: 1"),
    "maligan": ("text/maligan", CNN, "imitate: 1, discriminate: 1, policy: 1"),
    "cot": ("text/cot", MEDIATOR, "mediate: 1, cooperate: 1"),
    "jsdgan": ("{use: text/jsdgan, texts: 10000}", "", "generate: 1"),
    "ddo": ("{use: text/ddo, beta: 0.1}", REFERENCE, "discriminate: 1"),
    "seqgan": ("{use: text/seqgan, rollouts: 4, stride: 4}", CNN, "imitate: 1, discriminate: 1, policy: 1"),
    "gumbel": (f"{{use: text/gumbel, {RELAX}}}", CNN, "imitate: 1, discriminate: 1, relax: 1"),
    "relgan": (f"{{use: text/gumbel, {RELAX}}}", RELGAN, "discriminate: 1, relax: 1"),
    "rankgan": ("{use: text/rankgan, rollouts: 4, stride: 4}", CNN, "imitate: 1, discriminate: 1, policy: 1"),
}
# On texts with labels.
LABELLED = {
    "sentigan": ("{use: text/sentigan, rollouts: 4, stride: 4}", CNN, "imitate: 1, discriminate: 1, policy: 1"),
}
ALONE = {CNN: "discriminate", MEDIATOR: "mediate"}


def play(start: str, game: str, overrides: list[str]) -> RunDirectory:
    """Play a game from the generator of run ``start``; raises SystemExit where it is refused."""
    objective, others, turns = (GAMES | LABELLED)[game]
    run = RunDirectory(f"{start}-{game}")
    phases = {"alone": f"steps: 200, turns: {{{ALONE[others]}: 1}}"} if others in ALONE else {}
    phases["play"] = f"steps: 200, turns: {{{turns}}}"
    own = [
        f"run={run.root}",
        f"start_from={{generator: {start}}}",
        "players.generator.optimizer={lr: 1e-4}",
        f"objective={objective}",
        f"phases={{{', '.join(f'{name}: {{{phase}}}' for name, phase in phases.items())}}}",
        *([others] if others else []),
    ]
    fitting = [it for it in overrides if "alone" in phases or not it.startswith("phases.alone.")]
    if code := cli.main([str(RunDirectory(start).recipe), *own, *fitting]):
        sys.exit(code)
    return run


def figures(run: RunDirectory) -> dict[str, float]:
    """Those of the last evaluation."""
    found = {}
    for row in run.read_metrics():
        if measured := {name: it.value for name, it in row.items() if isinstance(it, Figure)}:
            found = measured
    return found


def main(start: str, *given: str) -> None:
    torch.set_num_threads(1)
    overrides = [it for it in given if "=" in it]
    before = figures(RunDirectory(start))
    lines = [f"| game | {' | '.join(before)} | CPU s |", "|---" * (len(before) + 2) + "|"]
    lines.append(f"| before | {' | '.join(f'{it:.3f}' for it in before.values())} | |")
    for game in [it for it in given if "=" not in it] or GAMES:
        began = time.process_time()
        after = figures(play(start, game, overrides))
        took = time.process_time() - began
        lines.append(f"| {game} | {' | '.join(f'{after[name]:.3f}' for name in before)} | {took:.0f} |")
    print("\n".join(lines))


if __name__ == "__main__":
    if len(sys.argv) < 2 or not Path(sys.argv[1]).is_dir():
        sys.exit(__doc__)
    main(*sys.argv[1:])
