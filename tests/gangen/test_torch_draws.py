"""Threads that draw by seeds at the same time each draw what the seed gives alone, of noise and of torch's own."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from gangen import noise, seeded
from gangen.model import Model

OWN = {
    "rand": lambda: torch.rand(3),
    "randn": lambda: torch.randn(2, 3, dtype=torch.float64),
    "rand_like": lambda: torch.rand_like(torch.ones(3)),
    "randint": lambda: torch.randint(9, (4,)),
    "randint from": lambda: torch.randint(5, 9, (4,)),
    "randint_like": lambda: torch.randint_like(torch.ones(4), 5, 9),
    "randperm": lambda: torch.randperm(5),
    "normal": lambda: torch.normal(torch.zeros(3)),
    "uniform_": lambda: torch.empty(3).uniform_(),
    "multinomial": lambda: torch.multinomial(torch.ones(5), 2),
    "gumbel_softmax": lambda: F.gumbel_softmax(torch.zeros(2, 3)),
    "dropout": lambda: F.dropout(torch.ones(9), 0.5),
    "inside of layers": lambda: nn.LSTM(3, 4, 2, dropout=0.5)(torch.ones(2, 3))[0],
    "a distribution": lambda: torch.distributions.Gamma(1.0, 1.0).sample((3,)),
}


@pytest.fixture(scope="module")
def together():
    """``together(work, 3)`` calls ``work(0, meet)`` to ``work(2, meet)`` in threads, where ``meet`` waits for all."""

    def run(work, count):
        barrier = threading.Barrier(count, timeout=60)

        def one(number):
            try:
                return work(number, barrier.wait)
            except BaseException:
                barrier.abort()
                raise

        with ThreadPoolExecutor(count) as pool:
            return list(pool.map(one, range(count)))

    return run


@pytest.mark.parametrize("draw", OWN.values(), ids=OWN)
def test_torchs_own_draws_are_those_of_the_seed_in_every_thread(draw, together):
    def work(number, meet):
        with seeded(number):
            meet()
            first = draw()
            meet()
            with seeded(7 + number):
                inner = draw()
            meet()
            return torch.cat([it.flatten().double() for it in (first, inner, draw())])

    torch.manual_seed(1)
    expected = [work(number, lambda: None) for number in range(3)]
    found = together(work, 3)
    after = torch.rand(1)
    assert all(map(torch.equal, found, expected)) and not torch.equal(found[0], found[1])
    torch.manual_seed(1)
    assert torch.equal(after, torch.rand(1))


class Numbers:
    def encode(self, prompt, n):
        return {}

    def decode(self, samples):
        return samples.tolist()


@pytest.mark.parametrize("models", [1, 3])
def test_samples_of_a_seed_are_the_same_whoever_samples_meanwhile(models, together):
    class Meeting:
        networks = ()
        meet = staticmethod(lambda: None)

        def sample(self, n, condition):
            first = noise.normal(n, 2)
            self.meet()
            with noise.shared(5):
                second = noise.uniform(n, 2)
                self.meet()
            return first + second + noise.normal(n, 2) + torch.randn(n, 1)

    samplers = [Meeting() for _ in range(models)]
    made = [Model(sampler, {}, Numbers(), "it", torch.device("cpu"), 4) for sampler in samplers]

    def work(number, meet):
        if meet:
            samplers[number % models].meet = meet
        return made[number % models].sample(n=9, seed=number)

    expected = [work(number, None) for number in range(3)]
    assert together(work, 3) == expected
