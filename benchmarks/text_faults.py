"""Which text metric sees which fault: held-out verses, made faulty on purpose, in the place of samples.

    python benchmarks/text_faults.py [SEEDS]

Of text/verses a tenth is held out: 1,000 verses to take 500 from and make them faulty, the others to compare with.
Prints tables in Markdown, a row for each fault and a last one for real texts. Figures are means over seeds 0 to
SEEDS - 1 (3), each of which has a split, extractors and faults of its own.
"""

import random
import statistics
import sys
from types import SimpleNamespace

import torch
from torch import Tensor, nn

from gangen.contracts import Batch
from gangen.metrics.comparison import PRDC, DivergenceFrontier, Frechet
from gangen.metrics.context import MetricContext, evaluate
from gangen.splits import TensorSplit
from gangen_text.data.verses import Verses
from gangen_text.extractors.encoder import Encoder
from gangen_text.extractors.topics import Topics
from gangen_text.metrics.bleu import Bleu, SelfBleu
from gangen_text.metrics.copying import Copied
from gangen_text.metrics.lengths import Lengths
from gangen_text.metrics.ngram_nll import ForwardNLL, ReverseNLL
from gangen_text.metrics.variety import Distinct, Entropy, Unique

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
SEEN = {
    "Fréchet, encoder": "frechet_encoder",
    "Fréchet, topics": "frechet_topics",
    "frontier, encoder": "divergence_frontier_encoder",
    "frontier, topics": "divergence_frontier_topics",
    "precision, encoder": "precision_encoder",
    "recall, encoder": "recall_encoder",
    "coverage, encoder": "coverage_encoder",
    "coverage, topics": "coverage_topics",
}
Texts = list[str]


class Stand(nn.Module):
    """A generator that says ``rows``, in their order."""

    def __init__(self, rows: Tensor) -> None:
        super().__init__()
        self.rows = rows

    def sample(self, n: int, condition: Batch | None = None) -> Tensor:
        return self.rows[torch.arange(n) % len(self.rows)]


def faults(clean: Texts, training: Texts, others: Texts, chance: random.Random) -> dict[str, Texts]:
    return {
        "none": clean,
        "words shuffled": [" ".join(chance.sample(text.split(), len(text.split()))) for text in clean],
        "50 verses, ten times": clean[: COUNT // 10] * 10,
        "first half of each": [" ".join(text.split()[: len(text.split()) // 2]) for text in clean],
        "copies of training texts": training,
        "copies, another first word": [" ".join(["Zebras", *text.split()[1:]]) for text in training],
        "one word, ten times": [" ".join([chance.choice(text.split())] * 10) for text in clean],
        "no gospels": others,
    }


def measured(seed: int) -> dict[str, dict[str, float]]:
    """Figures by fault."""
    verses, chance = Verses(heldout=0.1, seed=seed), random.Random(seed)
    codec, held = verses.codec, verses.heldout.rows()["tokens"]
    order = torch.randperm(len(held), generator=torch.Generator().manual_seed(seed))
    rows = {name: tensor[order[2 * COUNT :]] for name, tensor in verses.heldout.rows().items()}
    data = SimpleNamespace(codec=codec, train=verses.train, heldout=TensorSplit(**rows))
    training = chance.sample(range(len(data.train)), COUNT)
    gospels = verses.heldout.rows()["label"] == codec.spec.labels.index("gospels")
    others = [row for row in order[: 2 * COUNT].tolist() if not gospels[row]][:COUNT]
    texts = codec.decode(held[order[:COUNT]]), codec.decode(data.train.rows()["tokens"][training])
    metrics = [metric(samples=COUNT) for metric in METRICS]
    eyes = Encoder(seed=seed), Topics(seed=seed)
    metrics += [metric(samples=COUNT, extractor=eye) for eye in eyes for metric in (Frechet, DivergenceFrontier, PRDC)]
    found = {}
    for name, faulty in faults(*texts, codec.decode(held[others]), chance).items():
        generator = Stand(codec.pack([tokens[: codec.spec.max_length - 1] for tokens in codec.tokenize(faulty)]))
        players = SimpleNamespace(averaged=lambda _, generator=generator: generator)
        figures = evaluate(metrics, MetricContext(players, data, device=torch.device("cpu"), seed=seed))
        found[name] = {key: figure.value for key, figure in figures.items()}
        if name == "none":
            real = {key: figure.real for key, figure in figures.items() if figure.real is not None}
    return found | {"real texts": real}


def print_table(runs: list[dict[str, dict[str, float]]], columns: dict[str, str]) -> None:
    print(f"| fault | {' | '.join(columns)} |\n|---|{'---:|' * len(columns)}")
    for name, figures in runs[0].items():
        means = [
            f"{statistics.fmean(run[name][key] for run in runs):.2f}" if key in figures else ""
            for key in columns.values()
        ]
        print(f"| {name} | {' | '.join(means)} |")


def main(seeds: int) -> None:
    torch.set_num_threads(1)
    runs = [measured(seed) for seed in range(seeds)]
    print_table(runs, COLUMNS)
    print()
    print_table(runs, SEEN)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 3)
