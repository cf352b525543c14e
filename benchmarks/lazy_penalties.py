"""What becomes of recipes/grid25.yaml where its penalties are a lazy turn, at as many steps as with them in every step.

    python benchmarks/lazy_penalties.py [SEEDS] [OVERRIDE ...]

Both penalties are played every 8th or 16th step, with the recipe's weights or with so many times these, as lazy
regularisation has it (Karras et al., 2020, appendix B). Overrides are those of recipes and apply to every run. Prints a
table in Markdown, of seeds 0 to SEEDS - 1 (3); about a minute of one core for each run, which stay in runs/lazy.
"""

import sys
from pathlib import Path

from gangen import Figure, cli
from gangen.run_directory import RunDirectory

RECIPE = Path(__file__).parent.parent / "recipes/grid25.yaml"
START, END = 0.5, 0.003
WAYS = [(1, 1), (8, 1), (8, 8), (16, 1), (16, 16)]
# With how many digits they are told.
FIGURES = {"modes": 0, "good": 3, "kl": 3}


def play(every: int, times: int, seed: int, overrides: list[str]) -> dict[str, float]:
    """The last figures of a run; raises SystemExit where it does not come to its end."""
    run = RunDirectory(f"runs/lazy/every{every}-times{times}-{seed}")
    weight = f"{{start: {START * times}, end: {END * times}, shape: exponential}}"
    penalties = f"[{{use: r1, weight: {weight}}}, {{use: r2, weight: {weight}}}]"
    own = [f"run={run.root}", f"seed={seed}"]
    if every > 1:
        own += ["objective.penalties=[]", f"objective.lazy_penalties={penalties}"]
        own.append(f"phases.adversarial.turns={{discriminate: 1, penalize: {{every: {every}}}, generate: 1}}")
    if code := cli.main([str(RECIPE), *own, *overrides]):
        sys.exit(code)
    rows = [row for row in run.read_metrics() if isinstance(row.get("modes"), Figure)]
    return {name: rows[-1][name].value for name in FIGURES}


def main(given: list[str]) -> None:
    seeds = int(next((it for it in given if "=" not in it), 3))
    overrides = [it for it in given if "=" in it]
    lines = ["| penalties | modes | good | KL |", "|---|---|---|---|"]
    for every, times in WAYS:
        found = [play(every, times, seed, overrides) for seed in range(seeds)]
        way = "in every step" if every == 1 else f"every {every} steps, {times} times the weight"
        columns = [" ".join(f"{row[name]:.{digits}f}" for row in found) for name, digits in FIGURES.items()]
        lines.append(f"| {way} | {' | '.join(columns)} |")
    print("\n".join(lines))


if __name__ == "__main__":
    main(sys.argv[1:])
