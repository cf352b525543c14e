"""What each game of distillation makes of one student, at equal generated tokens and at equal CPU time.

    python benchmarks/distillation.py FOLDER [GAME ...] [OVERRIDE ...]

A student of recipes/distill.yaml imitates for 200 steps, and its discriminator learns along; each game begins there,
with a constant learning rate, and is looked at twice: when it has generated 6,400 answers (sequence_kd, which generates
none, when it has learned from so many), and when it has taken 30 CPU seconds, looking left out. Seeds are 0 to 2.
Settings are the best of three or four for each game, with data.seed=1 and seed 3: other prompts and another student.

Overrides are those of recipes and apply to all. Runs stay in FOLDER, and are not played again. Prints a table in
Markdown: means over the seeds, and what was gained since the warm-up with its standard deviation.
"""

import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any

from gangen import Callback, Run, train
from gangen.recipe.load import load_recipe
from gangen_text.networks.causal_lm import CausalLM

RECIPE = Path(__file__).parents[1] / "recipes" / "distill.yaml"
SEEDS = 0, 1, 2
ANSWERS, SECONDS = 6400, 30
FIGURES = "exact_match", "exact_match_sampled", "nll"
SHARED = [
    "data.size=4000",
    "data.heldout=0.25",  # a thousand prompts to be asked
    "trainer.threads=1",
    "every={log: 25, sample: 0, checkpoint: 1000}",
]


@dataclass
class Game:
    """An objective, its turns, and the generator's learning rate; ``answers`` are generated in each of ``steps``, and
    it is looked at after ``every`` so many.
    """

    objective: str
    turns: str
    lr: float
    answers: int
    steps: int
    every: int


BOTH = "discriminate: 1, policy: 1"
GAMES = {
    "sequence_kd": Game("text/sequence_kd", "imitate: 1", 1e-4, 64, 450, 50),
    "adversarial_distillation": Game(
        "{use: text/adversarial_distillation, group: 4, scaled: false, kl: 0.1}", BOTH, 5e-6, 320, 40, 5
    ),
    "self_play": Game("{use: text/self_play, beta: 1.0}", "policy: 1", 5e-6, 64, 120, 20),
    "ddo": Game("{use: text/ddo, beta: 1.0}", "discriminate: 1", 5e-6, 64, 120, 20),
    "imitation_rl": Game("{use: text/imitation_rl, kl: 0.1}", BOTH, 5e-6, 128, 90, 10),
}


class Spent:
    """What training has taken: ``tokens`` that were generated, and ``seconds`` of the CPU, while it is ``going`` on."""

    tokens, seconds, began, going = 0, 0.0, 0.0, False


def resume() -> None:
    Spent.began, Spent.going = time.process_time(), True


def pause() -> None:
    Spent.seconds, Spent.going = Spent.seconds + time.process_time() - Spent.began, False


class Beginning(Callback):
    """A game begins with nothing spent."""

    def start(self, trainer: Any) -> None:
        Spent.tokens, Spent.seconds = 0, 0.0
        resume()


class Before:
    """What was spent; the metrics that follow are no training."""

    def __call__(self, context: Any) -> dict[str, float]:
        pause()
        return {"tokens": Spent.tokens, "seconds": Spent.seconds}


class After:
    """Training goes on."""

    def __call__(self, context: Any) -> dict[str, float]:
        resume()
        return {}


def counted(sample: Callable) -> Callable:
    @wraps(sample)
    def sampling(self: CausalLM, *args: Any, **settings: Any) -> Any:
        rows = sample(self, *args, **settings)
        Spent.tokens += Spent.going * int(self.spec.mask(rows).sum())
        return rows

    return sampling


class Student(CausalLM):
    """A generator whose tokens are counted."""

    sample = counted(CausalLM.sample)


def warmed_up(folder: Path, seed: int, overrides: Sequence[str]) -> Run:
    """The student that all games begin with."""
    turns = "imitate: 1, discriminate: {every: 4}"
    phases = f"phases={{warmup: {{steps: 200, turns: {{{turns}}}}}}}"
    run = f"run={folder / f'warmup-{seed}'}"
    return train(
        load_recipe(RECIPE, [*SHARED, run, f"seed={seed}", phases, "every.evaluate=200", *overrides]).to_dict()
    )


def played(name: str, game: Game, begin: Run, folder: Path, seed: int, overrides: Sequence[str]) -> Run:
    """A game, from where ``begin`` ends."""
    own = [
        f"run={folder / f'{name}-{seed}'}",
        f"seed={seed}",
        f"start_from={{generator: {begin.folder}, discriminator: {begin.folder}}}",
        f"objective={game.objective}",
        f"players.generator.optimizer={{lr: {game.lr}}}",
        f"phases={{play: {{steps: {game.steps}, turns: {{{game.turns}}}}}}}",
        f"every.evaluate={game.every}",
    ]
    recipe = load_recipe(RECIPE, [*SHARED, *own, *overrides]).to_dict()
    recipe["players"]["generator"]["use"] = recipe["players"]["reference"]["use"] = Student
    return train({**recipe, "metrics": [Before, *recipe["metrics"], After], "callbacks": [Beginning]})


def looks(run: Run, game: Game) -> list[dict[str, float]]:
    """The last rows of figures within either budget: answers, CPU seconds."""
    rows = [row for row in run.metrics if "seconds" in row]
    return [
        [row for row in rows if row["step"] * game.answers <= ANSWERS][-1],
        [row for row in rows if row["seconds"] <= SECONDS][-1],
    ]


def line(name: str, after: str, rows: Sequence[dict[str, float]], before: Sequence[dict[str, float]] = ()) -> str:
    """Of a row for each seed, and of those where they began."""
    cells = []
    for figure in FIGURES:
        cell = f"{statistics.mean(row[figure] for row in rows):.3f}"
        if before:
            gains = [row[figure] - begin[figure] for row, begin in zip(rows, before, strict=True)]
            cell += f" ({statistics.mean(gains):+.3f} ± {statistics.stdev(gains):.3f})"
        cells.append(cell)
    spent = [f"{statistics.mean(row.get(it, 0) for row in rows):,.0f}" for it in ("step", "tokens", "seconds")]
    return f"| {' | '.join([name, after, *cells, *spent])} |"


def main(place: str, *given: str) -> None:
    overrides, folder = [it for it in given if "=" in it], Path(place)
    chosen = [it for it in given if "=" not in it] or list(GAMES)
    begins = {seed: warmed_up(folder, seed, overrides) for seed in SEEDS}
    before = [[row for row in run.metrics if "exact_match" in row][-1] for run in begins.values()]
    lines = [f"| game | after | {' | '.join(FIGURES)} | steps | tokens | CPU s |", "|---" * 8 + "|"]
    lines.append(line("before", "", before))
    for name in chosen:
        game = GAMES[name]
        seen = [looks(played(name, game, begins[seed], folder, seed, overrides), game) for seed in SEEDS]
        for after, rows in zip((f"{ANSWERS:,} answers", f"{SECONDS} CPU s"), zip(*seen, strict=True), strict=True):
            lines.append(line(name, after, rows, before))
    print("\n".join(lines))


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    main(*sys.argv[1:])
