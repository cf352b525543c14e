"""What it does to invented words that a discriminator chooses: samples of a run by the number of candidates.

    python benchmarks/choosing.py RUN [CANDIDATES ...]

RUN was played with a recipe whose sampler is text/residual. 20 texts of each label are drawn with seed 1 for each
number of candidates (1 and 8). Prints a table in Markdown, with CPU seconds on one thread.
"""

import sys
import time
from pathlib import Path

import torch

from gangen import load
from gangen.components.registry import Registry
from gangen.recipe.load import load_recipe
from gangen_text.metrics.invented import invented
from gangen_text.metrics.words import words

EACH, SEED = 20, 1


def main(run: str, *candidates: str) -> None:
    torch.set_num_threads(1)
    registry = Registry.discover()
    data = registry.build(load_recipe(Path(run) / "recipe.yaml", registry=registry).data)
    known = {word for text in data.codec.decode(data.train.rows()["tokens"]) for word in words(text)}
    model = load(run)
    print("| candidates | invented words | texts with one | CPU s |\n|---|---|---|---|")
    for count in map(int, candidates or ("1", "8")):
        start = time.process_time()
        texts = model.sample(data.codec.prompts(), EACH, seed=SEED, candidates=count)
        of_words, of_texts = invented([words(text) for text in texts], known)
        print(f"| {count} | {of_words:.3f} | {of_texts:.3f} | {time.process_time() - start:.1f} |", flush=True)


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    main(*sys.argv[1:])
