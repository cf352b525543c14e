"""What tests of text share: real data for known facts, in a folder named by GANGEN_DATA, and made-up captions."""

import os
import random
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from gangen.splits import TensorSplit
from gangen_text.data.corpus import make_codec


@pytest.fixture
def real_data() -> Callable[[str], Path]:
    """``real_data("folder/file")`` is that file under GANGEN_DATA; the test is skipped where there is none."""

    def find(name: str) -> Path:
        root = os.environ.get("GANGEN_DATA")
        if not root:
            pytest.skip("GANGEN_DATA is not set: it names a folder with data for tests of known facts")
        path = Path(root) / name
        if not path.exists():
            pytest.skip(f"GANGEN_DATA has no {name}")
        return path

    return find


def caption(chance: random.Random) -> str:
    """A sentence of 5 to 11 words, one of some hundred thousands."""
    noun = ["man", "dog", "woman", "zebra", "child", "cat", "horse", "girl"]
    look = ["red", "small", "wet", "old", "young", "striped", "tall", "white"]
    verb = ["sits", "stands", "sleeps", "waits", "eats", "runs"]
    place = ["table", "street", "field", "beach", "bench", "grass", "train", "snow"]
    adjectives = " ".join(chance.sample(look, chance.randint(0, 2)))
    subject = f"a {adjectives} {chance.choice(noun)}".replace("  ", " ")
    ending = chance.choice(["", f" with a {chance.choice(look)} {chance.choice(noun)}"])
    return f"{subject} {chance.choice(verb)} on the {chance.choice(place)}{ending}."


@pytest.fixture
def captions() -> Callable[[int, int], list[str]]:
    """``captions(n, seed)``: sentences of a small grammar."""

    def make(n: int, seed: int) -> list[str]:
        chance = random.Random(seed)
        return [caption(chance) for _ in range(n)]

    return make


@pytest.fixture
def bench() -> Callable[..., SimpleNamespace]:
    """``bench(samples, train, heldout)``: what a metric is called with, for a generator that writes ``samples``."""

    def make(samples: list[str], train: list[str], heldout: list[str]) -> SimpleNamespace:
        codec = make_codec(samples + train + heldout, [], tokenizer="words", vocab_size=500, max_length=24)
        rows, *splits = (codec.pack(codec.tokenize(texts)) for texts in (samples, train, heldout))
        train, heldout = (TensorSplit(tokens=split) for split in splits)
        data = SimpleNamespace(codec=codec, train=train, heldout=heldout)
        return SimpleNamespace(
            data=data, training=train, samples=lambda n: rows[:n], seed=0, device=torch.device("cpu")
        )

    return make
