"""A model of words to be served: what it draws follows from prompt and seed, in no time."""

import threading

import pytest
import torch

from gangen import UsageError, noise
from gangen.model import Model


class Words:
    """Prompts are words; samples are words with numbers, or files where there is a suffix."""

    takes = "a word"

    def prompts(self):
        return ["ab", "cd"]

    def encode(self, prompt, n):
        if prompt == "?":
            raise UsageError("'?' is no word")
        return {"word": torch.full((n,), len(prompt or ""))}

    def decode(self, samples):
        return [f"{value:.6f}" for value in samples.tolist()]

    def write(self, samples, path):
        path.write_text("\n".join(samples))


class Noisy:
    networks = ()

    def __init__(self):
        self.asked = []
        self.may_draw = threading.Event()
        self.may_draw.set()

    def sample(self, n, condition, *, scale: float = 1.0, most: int | None = None, start: torch.Tensor | None = None):
        self.may_draw.wait(60)
        self.asked.append(n)
        return condition["word"] + scale * noise.uniform(n)


@pytest.fixture
def model():
    return Model(Noisy(), {}, Words(), "words", torch.device("cpu"))
