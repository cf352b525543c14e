"""Which text metric sees which fault: held-out verses, made faulty on purpose, in the place of samples.

    python benchmarks/text_faults.py [SEEDS]

Of text/verses a tenth is held out: 500 verses to be made faulty, the others to compare with. Prints a table in
Markdown, a row for each fault and a last one for real texts. Figures are means over seeds 0 to SEEDS - 1 (3), each of
which has a split and faults of its own.
"""

import random
import statistics
import sys
from types import SimpleNamespace

import torch

from gangen.evaluation import evaluate
from gangen.splits import TensorSplit
from gangen_text.bleu import Bleu, SelfBleu
from gangen_text.copying import Copied
from gangen_text.lengths import Lengths
from gangen_text.metrics import Distinct, Entropy, Unique
from gangen_text.ngram_nll import ForwardNLL, ReverseNLL
from gangen_text.verses import Verses

COUNT = 500
METRICS = (ForwardNLL, ReverseNLL, Bleu, SelfBleu, Copied, Lengths, Distinct, Entropy, Unique)
COLUMNS = {
    "forward NLL": "forward_nll",
    "reverse NLL": "reverse_nll",
    "BLEU-2": "bleu_2",
    "BLEU-4": "bleu_4",
    "Self-BLEU-2": "self_bleu_2",
    "Self-BLEU-4": "self_bleu_4",
    "copied": "copied",
    "copied run": "copied_run",
    "length distance": "length_distance",
    "distinct-2": "distinct_2",
    "entropy-2": "entropy_2",
    "unique": "unique",
}
Texts = list[str]


def faults(clean: Texts, training: Texts, chance: random.Random) -> dict[str, Texts]:
    return {
        "none": clean,
        "words shuffled": [" ".join(chance.sample(text.split(), len(text.split()))) for text in clean],
        "50 verses, ten times": clean[: COUNT // 10] * 10,
        "first half of each": [" ".join(text.split()[: len(text.split()) // 2]) for text in clean],
        "copies of training texts": training,
        "copies, another first word": [" ".join(["Zebras", *text.split()[1:]]) for text in training],
        "one word, ten times": [" ".join([chance.choice(text.split())] * 10) for text in clean],
    }


def measured(seed: int) -> dict[str, dict[str, float]]:
    """Figures by fault."""
    verses, chance = Verses(heldout=0.1, seed=seed), random.Random(seed)
    codec, held = verses.codec, verses.heldout.tensors["tokens"]
    order = torch.randperm(len(held), generator=torch.Generator().manual_seed(seed))
    data = SimpleNamespace(
        codec=codec,
        train=TensorSplit(tokens=verses.train.tensors["tokens"]),
        heldout=TensorSplit(tokens=held[order[COUNT:]]),
    )
    training = chance.sample(range(len(data.train)), COUNT)
    texts = codec.decode(held[order[:COUNT]]), codec.decode(data.train.tensors["tokens"][training])
    metrics, rows = [metric(samples=COUNT) for metric in METRICS], {}
    for name, faulty in faults(*texts, chance).items():
        cut = [tokens[: codec.spec.max_length - 1] for tokens in codec.tokenize(faulty)]
        samples = codec.pack(cut)
        bench = SimpleNamespace(
            data=data, samples=lambda n, samples=samples: samples[:n], seed=seed, device=torch.device("cpu")
        )
        rows[name] = evaluate(metrics, bench)
    real = {name.removesuffix("_real"): figure for name, figure in rows["none"].items() if name.endswith("_real")}
    return rows | {"real texts": real}


def main(seeds: int) -> None:
    torch.set_num_threads(1)
    runs = [measured(seed) for seed in range(seeds)]
    print(f"| fault | {' | '.join(COLUMNS)} |\n|---|{'---:|' * len(COLUMNS)}")
    for name, figures in runs[0].items():
        means = [
            f"{statistics.fmean(run[name][key] for run in runs):.2f}" if key in figures else ""
            for key in COLUMNS.values()
        ]
        print(f"| {name} | {' | '.join(means)} |")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 3)
