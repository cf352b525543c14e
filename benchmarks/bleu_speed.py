"""What BLEU and Self-BLEU cost, beside nltk, in seconds of CPU time of one process.

    python benchmarks/bleu_speed.py

Synthetic texts of 8 to 24 words, drawn by Zipf's law from 5,000. nltk gets a few of the hypotheses, against all
references as ours do, and its time is multiplied up: it is the same for each hypothesis. Figures of those few are
compared, too.
"""

import random
import time
from collections.abc import Callable, Sequence

from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu

from gangen_text.metrics.bleu import References, self_bleu

HYPOTHESES, REFERENCES, VOCABULARY = 1000, 10_000, 5000
# How many hypotheses nltk gets.
FEW = 4
ORDERS = (2, 3, 4, 5)
METHOD1 = SmoothingFunction().method1

Texts = Sequence[Sequence[str]]


def zipf(count: int, seed: int) -> Texts:
    chance = random.Random(seed)
    words = [f"w{number}" for number in range(VOCABULARY)]
    weights = [1 / (number + 1) for number in range(VOCABULARY)]
    return [chance.choices(words, weights, k=chance.randint(8, 24)) for _ in range(count)]


def timed(work: Callable) -> tuple[object, float]:
    start = time.process_time()
    result = work()
    return result, time.process_time() - start


def by_nltk(references: Texts, hypothesis: Sequence[str], orders: Sequence[int]) -> list[float]:
    weights = [(1 / n,) * n for n in orders]
    scores = sentence_bleu(references, hypothesis, weights, smoothing_function=METHOD1)
    return scores if len(orders) > 1 else [scores]


def main() -> None:
    hypotheses, texts = zipf(HYPOTHESES, 1), zipf(REFERENCES, 2)

    references, building = timed(lambda: References(texts))
    _, scoring = timed(lambda: references.mean(hypotheses))
    few, taken = timed(lambda: [by_nltk(texts, hypothesis, ORDERS) for hypothesis in hypotheses[:FEW]])
    apart = max(
        abs(a - b)
        for hypothesis, row in zip(hypotheses, few, strict=False)
        for a, b in zip(references.bleu(hypothesis)[1:], row, strict=True)
    )
    print(f"BLEU-2..5 of {HYPOTHESES:,} texts against {REFERENCES:,} references")
    show(building + scoring, taken, apart, f"of which references {building:.2f}")

    _, ours = timed(lambda: self_bleu(hypotheses, longest=4))
    references = References(hypotheses, longest=4)
    few, taken = timed(
        lambda: [by_nltk(hypotheses[:i] + hypotheses[i + 1 :], hypotheses[i], (4,))[0] for i in range(FEW)]
    )
    apart = max(abs(references.bleu(hypotheses[i], without=i)[3] - few[i]) for i in range(FEW))
    print(f"Self-BLEU-4 of {HYPOTHESES:,} texts")
    show(ours, taken, apart)


def show(ours: float, few: float, apart: float, note: str = "") -> None:
    nltk = few * HYPOTHESES / FEW
    print(f"  ours {ours:8.2f} s   {note}")
    print(f"  nltk {nltk:8.0f} s   {FEW} texts took {few:.2f} s, times {HYPOTHESES // FEW}")
    print(f"  {nltk / ours:,.0f} times; largest difference of those {FEW}: {apart:.1e}")


if __name__ == "__main__":
    main()
